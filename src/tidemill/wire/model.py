"""A service's model, read from botocore's data and kept without its documentation.

Reads `botocore/data/<service>/<version>/service-2.json.gz` itself: importing botocore would cost
more than the whole start of the server may. Decoding into these structs skips every text that
nothing here needs. What is compiled from a model (codecs, checks, routes) is made when it is first
used and kept in `ServiceModel.compiled`.
"""

from __future__ import annotations

import gzip
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from tidemill.wire import sqs


class XmlNamespace(msgspec.Struct):
    """The namespace that an element declares."""

    uri: str
    prefix: str | None = None


class Http(msgspec.Struct, rename="camel"):
    """The HTTP side of an operation; RPC protocols use only the method."""

    method: str = "POST"
    request_uri: str = "/"
    response_code: int = 200


class ErrorTrait(msgspec.Struct, rename="camel"):
    """What a modelled error says of itself."""

    code: str | None = None
    http_status_code: int | None = None
    sender_fault: bool | None = None


class Ref(msgspec.Struct, rename="camel"):
    """The use of a shape: a member of a structure, of a list, of a map, or an operation's."""

    shape: str
    location: str | None = None
    location_name: str | None = None
    flattened: bool | None = None
    xml_namespace: XmlNamespace | str | None = None
    xml_attribute: bool = False
    jsonvalue: bool = False
    timestamp_format: str | None = None
    eventpayload: bool = False
    eventheader: bool = False
    result_wrapper: str | None = None


class Shape(msgspec.Struct, rename="camel"):
    """A type of the model. Of the fields, only those that fit its `type` are set."""

    type: str
    members: dict[str, Ref] = {}
    member: Ref | None = None
    key: Ref | None = None
    value: Ref | None = None
    required: list[str] = []
    min: float | int | None = None
    max: float | int | None = None
    pattern: str | None = None
    enum: list[str] = []
    payload: str | None = None
    location_name: str | None = None
    flattened: bool | None = None
    xml_namespace: XmlNamespace | str | None = None
    timestamp_format: str | None = None
    jsonvalue: bool = False
    exception: bool = False
    fault: bool = False
    error: ErrorTrait | None = None
    union: bool = False
    document: bool = False
    eventstream: bool = False
    sensitive: bool = False
    query_name: str | None = None


class Compression(msgspec.Struct):
    """The encodings in which a client may send the body."""

    encodings: list[str] = []


class Operation(msgspec.Struct, rename="camel"):
    """One operation: its shapes, and how it goes over HTTP."""

    name: str
    http: Http = msgspec.field(default_factory=Http)
    input: Ref | None = None
    output: Ref | None = None
    errors: list[Ref] = []
    deprecated: bool = False
    requestcompression: Compression | None = None


class Metadata(msgspec.Struct, rename="camel"):
    """What holds for the whole service."""

    protocol: str
    protocols: list[str] = []
    api_version: str = ""
    json_version: str = "1.0"
    target_prefix: str = ""
    xml_namespace: XmlNamespace | str | None = None
    service_id: str = ""
    aws_query_compatible: dict[str, Any] | None = None


class ServiceModel(msgspec.Struct):
    """A service: metadata, operations and shapes, as botocore's JSON has them.

    `name` is botocore's name of the service. `compiled` belongs to the modules that compile.
    """

    metadata: Metadata
    operations: dict[str, Operation] = {}
    shapes: dict[str, Shape] = {}
    name: str = ""
    compiled: dict[Any, Any] = {}

    @classmethod
    def from_dict(cls, description: dict[str, Any], name: str = "") -> ServiceModel:
        """A model from an already decoded description."""
        model = msgspec.convert(description, cls)
        model.name = name
        return model

    @property
    def protocols(self) -> list[str]:
        """The protocols that the model lists, preferred first."""
        return self.metadata.protocols or [self.metadata.protocol]

    def shape(self, ref: Ref) -> Shape:
        """The shape that `ref` uses."""
        return self.shapes[ref.shape]

    def wire_name(self, ref: Ref, name: str) -> str:
        """The name under which a member travels; `name` is what the model calls it."""
        return ref.location_name or self.shapes[ref.shape].location_name or name

    def query_name(self, ref: Ref, name: str) -> str:
        """The name under which a member travels in the query protocol's forms and XML."""
        return self.shapes[ref.shape].query_name or self.wire_name(ref, name)

    def is_flattened(self, ref: Ref) -> bool:
        """Whether a list or map stands without an element of its own around it."""
        flattened = ref.flattened
        return bool(self.shapes[ref.shape].flattened if flattened is None else flattened)

    def timestamp_format(self, ref: Ref, default: str) -> str:
        """`iso8601`, `rfc822` or `unixtimestamp`; `default` is the place's own."""
        return ref.timestamp_format or self.shapes[ref.shape].timestamp_format or default

    def namespace(self, ref: Ref | None) -> XmlNamespace | None:
        """The namespace that the element of `ref` declares, or the service's for None."""
        declared = self.metadata.xml_namespace
        if ref is not None:
            declared = ref.xml_namespace or self.shapes[ref.shape].xml_namespace
        return XmlNamespace(declared) if isinstance(declared, str) else declared

    def error_shapes(self) -> dict[str, str]:
        """Error codes to shape names; an error is found by its shape's name or its code."""
        found: dict[str, str] | None = self.compiled.get("errors")
        if found is None:
            found = {}
            for name, shape in self.shapes.items():
                if shape.exception:
                    found[name] = name
                    if shape.error is not None and shape.error.code:
                        found.setdefault(shape.error.code, name)
            self.compiled["errors"] = found
        return found


def _data_folder() -> Path:
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        raise RuntimeError("The service models are missing: install botocore.")
    return Path(spec.origin).parent / "data"


_DECODER = msgspec.json.Decoder(ServiceModel)


@cache
def load(service: str) -> ServiceModel:
    """The newest model of `service` (botocore's name, `batch`); LookupError when there is none."""
    found = sorted((_data_folder() / service).glob("*/service-2.json*"))
    if not found:
        raise LookupError(f"botocore has no model of a service {service!r}")
    content = found[-1].read_bytes()
    if found[-1].suffix == ".gz":
        content = gzip.decompress(content)
    model = _DECODER.decode(content)
    model.name = service
    if service == "sqs":
        sqs.restore_query_names(model)
    return model
