"""Reading XML bodies: requests of rest-xml.

Expat is driven directly, so that a document type declaration is refused before any entity of it
could be expanded, and nesting is bounded. Names are compared without their namespace prefixes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from xml.parsers import expat

from tidemill.wire import scalar
from tidemill.wire.error import Mismatch, item_step
from tidemill.wire.model import Ref, ServiceModel, Shape

_DEPTH_MAX: Final = 100


class Element:
    """One element: its name without prefix, attributes, text and child elements."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.text = ""
        self.children: list[Element] = []


ReadElement = Callable[[Element], Any]
ReadElements = Callable[[list[Element]], Any]


class _Builder:
    """Collects expat's events into elements."""

    def __init__(self) -> None:
        self.open: list[Element] = [Element("", {})]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) > _DEPTH_MAX:
            raise Mismatch("The body", "a Structure: its XML is nested too deeply")
        element = Element(tag.rpartition(":")[2], attributes)
        self.open[-1].children.append(element)
        self.open.append(element)

    def end(self, _tag: str) -> None:
        self.open.pop()

    def data(self, text: str) -> None:
        self.open[-1].text += text

    def doctype(self, *_: Any) -> None:
        raise Mismatch("The body", "a Structure: XML with a document type declaration is refused")


def decode(body: bytes) -> Element:
    """The root element of an XML text in UTF-8; Mismatch when it is not one."""
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.buffer_size = 65536
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Mismatch("The body", f"a Structure: it is not XML ({error})") from None
    return builder.open[0].children[0]


def reader_of(model: ServiceModel) -> XmlReader:
    """The model's reader of XML; it is made once."""
    found: XmlReader | None = model.compiled.get("xml_reader")
    if found is None:
        found = model.compiled["xml_reader"] = XmlReader(model)
    return found


class XmlReader:
    """Compiles shapes into closures from elements to parameters.

    A closure raises Mismatch for what does not fit; unknown elements are passed over.
    """

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._made: dict[str, ReadElement] = {}

    def structure(self, ref: Ref, names: Iterable[str] | None = None) -> ReadElement:
        """The closure for a structure, or for those members of it that `names` lists."""
        shape = self._model.shape(ref)
        return self._structure(shape, shape.members.keys() if names is None else names)

    def element(self, ref: Ref) -> ReadElement:
        """The closure for a shape that has an element of its own around it."""
        shape = self._model.shape(ref)
        if shape.type == "structure":
            return self._recursive(ref.shape, shape)
        if shape.type == "list":
            return self._wrapped_list(shape)
        if shape.type == "map":
            read_entries = self._entries(shape)
            return lambda element: read_entries(element.children)
        return _text_reader(scalar.reader(self._model, ref), keeps_space=shape.type == "string")

    def _recursive(self, name: str, shape: Shape) -> ReadElement:
        made = self._made.get(name)
        if made is None:
            self._made[name] = lambda element: self._made[name](element)
            made = self._made[name] = self._structure(shape, shape.members)
        return made

    def _structure(self, shape: Shape, names: Iterable[str]) -> ReadElement:
        model = self._model
        single: dict[str, tuple[str, ReadElement]] = {}
        repeated: dict[str, tuple[str, ReadElements]] = {}
        attributes: dict[str, tuple[str, scalar.Reader]] = {}
        for name in names:
            ref = shape.members[name]
            wire_name = model.wire_name(ref, name).rpartition(":")[2]
            kind = model.shape(ref).type
            if ref.xml_attribute:
                attributes[wire_name] = (name, scalar.reader(model, ref))
            elif kind in ("list", "map") and model.is_flattened(ref):
                for key in _flattened_names(model, ref, wire_name):
                    repeated.setdefault(key, (name, self._flattened(ref)))
            else:
                single[wire_name] = (name, self.element(ref))
                # A shape's own element name holds for its use as a root; as a member the
                # model's name for the member is accepted beside it.
                single.setdefault(ref.location_name or name, single[wire_name])
        return _structure_reader(single, repeated, attributes)

    def _wrapped_list(self, shape: Shape) -> ReadElement:
        assert shape.member is not None
        read_items = _items_reader(self.element(shape.member))
        tag = self._model.wire_name(shape.member, "member")

        def read(element: Element) -> Any:
            return read_items([child for child in element.children if child.tag == tag])

        return read

    def _flattened(self, ref: Ref) -> ReadElements:
        shape = self._model.shape(ref)
        if shape.type == "map":
            return self._entries(shape)
        assert shape.member is not None
        return _items_reader(self.element(shape.member))

    def _entries(self, shape: Shape) -> ReadElements:
        assert shape.key is not None
        assert shape.value is not None
        key_tag = self._model.wire_name(shape.key, "key")
        value_tag = self._model.wire_name(shape.value, "value")
        read_key, read_value = self.element(shape.key), self.element(shape.value)

        def read(elements: list[Element]) -> dict[str, Any]:
            entries = {}
            for entry in elements:
                parts = {child.tag: child for child in entry.children}
                if key_tag not in parts or value_tag not in parts:
                    raise Mismatch("An entry", f"a Map's: it has a <{key_tag}> and a <{value_tag}>")
                key = read_key(parts[key_tag])
                try:
                    entries[key] = read_value(parts[value_tag])
                except Mismatch as mismatch:
                    raise mismatch.within("member").within(key) from None
            return entries

        return read


def _flattened_names(model: ServiceModel, ref: Ref, wire_name: str) -> list[str]:
    """A flattened list goes by its member's name or by its items'; clients differ in it."""
    item = model.shape(ref).member
    names = [wire_name]
    if item is not None and item.location_name:
        names.append(item.location_name)
    return names


def _text_reader(read_text: scalar.Reader, keeps_space: bool) -> ReadElement:
    def read(element: Element) -> Any:
        return read_text(element.text if keeps_space else element.text.strip())

    return read


def _items_reader(read_item: ReadElement) -> ReadElements:
    def read(elements: list[Element]) -> list[Any]:
        items: list[Any] = []
        for element in elements:
            try:
                items.append(read_item(element))
            except Mismatch as mismatch:
                raise mismatch.within(item_step(len(items) + 1)) from None
        return items

    return read


def _structure_reader(
    single: dict[str, tuple[str, ReadElement]],
    repeated: dict[str, tuple[str, ReadElements]],
    attributes: dict[str, tuple[str, scalar.Reader]],
) -> ReadElement:
    def read(element: Element) -> dict[str, Any]:
        params: dict[str, Any] = {}
        groups: dict[str, list[Element]] = {}
        name = ""
        try:
            for child in element.children:
                if child.tag in single:
                    name, read_child = single[child.tag]
                    params[name] = read_child(child)
                elif child.tag in repeated:
                    groups.setdefault(child.tag, []).append(child)
            for tag, elements in groups.items():
                name, read_group = repeated[tag]
                params[name] = read_group(elements)
            if attributes:
                for key, text in element.attributes.items():
                    if (known := attributes.get(key.rpartition(":")[2])) is not None:
                        name, read_text = known
                        params[name] = read_text(text)
        except Mismatch as mismatch:
            raise mismatch.within(name) from None
        return params

    return read
