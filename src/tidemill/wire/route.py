"""Which service, protocol and operation a request asks for.

Looks at, in this order: `X-Amz-Target`, the path and header of rpc-v2-cbor, the form of the query
protocol, and for the REST services method and path. The service that the signature names decides
among services; without a signature the request itself has to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tidemill.wire import location, s3
from tidemill.wire.error import Mismatch, WireError, shorten
from tidemill.wire.model import Operation, ServiceModel, load
from tidemill.wire.request import HttpRequest
from tidemill.wire.service import (
    BY_API_VERSION,
    BY_SIGNING_NAME,
    BY_TARGET_PREFIX,
    KNOWN,
    Profile,
    profile_of,
)
from tidemill.wire.uri import AmbiguousRequest, Router

CBOR: Final = "smithy-rpc-v2-cbor"
_FORM_TYPE: Final = b"application/x-www-form-urlencoded"
_REST_SERVICES: Final = ("batch", "scheduler", "lambda")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: the operation `operation` of `service`, spoken in `protocol`.

    `operation` is empty where only the service and the protocol are known, which is enough to
    answer an error. `labels` are the raw values of the path's labels.
    """

    service: str
    protocol: str
    operation: str
    model: ServiceModel = field(repr=False)
    labels: Mapping[str, bytes] = field(default_factory=dict, compare=False)

    @property
    def specification(self) -> Operation:
        """The operation as the model has it."""
        return self.model.operations[self.operation]


def identify(request: HttpRequest, scope_service: str | None) -> Route:
    """The route of a request; WireError when there is none.

    `scope_service` is the service's signing name in the request's credential scope, if it has one.
    """
    profile = None
    if scope_service is not None:
        profile = BY_SIGNING_NAME.get(scope_service)
        if profile is None:
            raise WireError(
                "UnknownService",
                f"The request is signed for the service '{shorten(scope_service)}', "
                f"which no Tidemill server knows; it may be one of {KNOWN}.",
            )
    target = request.header(b"x-amz-target")
    if target is not None:
        return _by_target(target, profile)
    if _is_cbor(request):
        return _by_rpc_path(request, profile)
    if (form := _action_form(request, profile)) is not None:
        return _by_action(form, profile)
    return _by_path(request, profile)


def presume(request: HttpRequest, scope_service: str | None) -> Route | None:
    """The route of a request that is refused before anybody asks for it.

    It says in which form to refuse; it may lack the operation, or be None.
    """
    try:
        return identify(request, scope_service)
    except WireError as error:
        return error.route


def resolve(model: ServiceModel, protocol: str, operation: str) -> Route:
    """The route of an operation whose name stands in the request; made once per operation."""
    key = (protocol, operation)
    route: Route | None = model.compiled.get(key)
    if route is None:
        if operation not in model.operations:
            raise _unknown(Route(model.name, protocol, "", model), operation)
        route = model.compiled[key] = Route(model.name, protocol, operation, model)
    return route


def resolve_rest(model: ServiceModel, request: HttpRequest, path: bytes | None = None) -> Route:
    """The route of a REST request within its service; `path` stands in for the request's own."""
    protocol = model.metadata.protocol
    path = request.raw_path if path is None else path
    router: Router | None = model.compiled.get("router")
    if router is None:
        router = model.compiled["router"] = Router(model)
    name = router.fixed(request.method, path)
    if name is not None:
        return resolve(model, protocol, name)
    partial = Route(model.name, protocol, "", model)
    try:
        query = location.read_query(request.query)
        found = router.match(request.method, path, query, request.header_map)
    except Mismatch as mismatch:
        raise WireError(malformed_code(protocol), str(mismatch), route=partial) from None
    except AmbiguousRequest as half:
        names = " and ".join(f"'{name}'" for name in half.missing)
        raise WireError(
            profile_of(model.name).invalid,
            f"{half.operation} also needs {names} in the query string.",
            route=partial,
        ) from None
    if found is None:
        raise _no_such_path(partial, request.method, path, router.methods(path))
    name, labels = found
    return Route(model.name, protocol, name, model, labels)


def malformed_code(protocol: str, of_body: bool = False) -> str:
    """The code of a protocol for what cannot be read, in the body or elsewhere."""
    if protocol == "rest-xml":
        return "MalformedXML" if of_body else "InvalidArgument"
    return "MalformedInput" if protocol == "query" else "SerializationException"


def _by_target(target: bytes, profile: Profile | None) -> Route:
    prefix, _, name = target.decode("latin-1").rpartition(".")
    named = BY_TARGET_PREFIX.get(prefix)
    if named is None:
        known = ", ".join(p for p in BY_TARGET_PREFIX if p)
        raise WireError(
            "UnknownOperationException",
            f"X-Amz-Target '{shorten(prefix)}.{shorten(name)}' names no service here; its first "
            f"part has to be one of {known}.",
        )
    route = resolve(load(named.name), "json", name)
    _agree(profile, named, route)
    return route


def _is_cbor(request: HttpRequest) -> bool:
    if request.header(b"smithy-protocol") is not None:
        return True
    content_type = request.header(b"content-type")
    return content_type == b"application/cbor" and request.raw_path.startswith(b"/service/")


def _by_rpc_path(request: HttpRequest, profile: Profile | None) -> Route:
    protocol = request.header(b"smithy-protocol") or b"rpc-v2-cbor"
    parts = request.raw_path.decode("latin-1").split("/")
    named = BY_TARGET_PREFIX.get(parts[2]) if len(parts) == 5 else None
    model = load(named.name) if named is not None else None
    if protocol != b"rpc-v2-cbor" or model is None or CBOR not in model.protocols:
        raise WireError(
            "UnknownOperationException",
            f"smithy-protocol '{shorten(protocol.decode('latin-1'))}' at "
            f"'{shorten('/'.join(parts))}' is not served here; rpc-v2-cbor is, at "
            "/service/GraniteServiceVersion20100801/operation/NAME.",
        )
    assert named is not None
    route = resolve(model, CBOR, parts[4])
    _agree(profile, named, route)
    return route


def _agree(signed_for: Profile | None, named: Profile, route: Route) -> None:
    if signed_for is not None and signed_for is not named:
        raise WireError(
            "InvalidSignatureException",
            f"Credential should be scoped to correct service: '{named.signing_name}', "
            f"not '{signed_for.signing_name}'.",
            route=route,
        )


def _action_form(request: HttpRequest, profile: Profile | None) -> dict[str, str] | None:
    """The form of a query request: from the body, or from the query string of a GET."""
    if profile is not None and profile.api_version is None:
        return None
    content_type = request.header(b"content-type") or b""
    encoded = b""
    if request.method == "POST" and content_type.startswith(_FORM_TYPE):
        encoded = request.body
    if b"Action=" not in encoded:
        encoded = request.query
    if not isinstance(encoded, bytes) or b"Action=" not in encoded:
        return None
    try:
        form = dict(location.read_pairs(encoded))
    except Mismatch as mismatch:
        raise WireError("MalformedQueryString", str(mismatch)) from None
    return form if "Action" in form else None


def _by_action(form: Mapping[str, str], profile: Profile | None) -> Route:
    version = form.get("Version")
    named = profile or BY_API_VERSION.get(version or "")
    if named is None:
        raise WireError(
            "InvalidAction",
            f"Version '{shorten(version or '')}' is no service's here: "
            + ", ".join(f"{p.api_version} is {p.name}'s" for p in BY_API_VERSION.values())
            + ".",
        )
    model = load(named.name)
    if version is not None and version != model.metadata.api_version:
        raise WireError(
            "InvalidAction",
            f"Could not find operation {shorten(form['Action'])} for version {shorten(version)}: "
            f"the version of {named.name} is {model.metadata.api_version}.",
            route=Route(model.name, "query", "", model),
        )
    return resolve(model, "query", form["Action"])


def _by_path(request: HttpRequest, profile: Profile | None) -> Route:
    if profile is None:
        return _by_unsigned_path(request)
    model = load(profile.name)
    protocol = model.metadata.protocol
    if profile.name == "s3":
        return resolve_rest(model, request, s3.effective_path(request))
    if protocol.startswith("rest-"):
        return resolve_rest(model, request)
    wanted = "an X-Amz-Target header" if profile.target_prefix else "a form with an Action"
    raise WireError(
        "MissingAction" if protocol == "query" else "UnknownOperationException",
        f"A request to {profile.name} names its operation by {wanted}; this one has none.",
        route=Route(model.name, protocol, "", model),
    )


def _by_unsigned_path(request: HttpRequest) -> Route:
    for name in _REST_SERVICES:
        try:
            return resolve_rest(load(name), request)
        except WireError:
            continue
    return resolve_rest(load("s3"), request, s3.effective_path(request))


def _unknown(route: Route, operation: str) -> WireError:
    name = shorten(operation)
    if route.protocol == "query":
        version = route.model.metadata.api_version
        text = f"Could not find operation {name} for version {version} of {route.service}."
        return WireError("InvalidAction", text, route=route)
    text = f"The service {route.service} has no operation {name}."
    return WireError("UnknownOperationException", text, route=route)


def _no_such_path(route: Route, method: str, path: bytes, methods: list[str]) -> WireError:
    shown = shorten(path.decode("latin-1"))
    if route.service == "s3":
        return WireError(
            "MethodNotAllowed",
            f"The specified method is not allowed against this resource: {method} {shown}.",
            members={"Method": method, "ResourceType": "SERVICE" if path == b"/" else "OBJECT"},
            route=route,
        )
    hint = f"; it has {' and '.join(methods)} there" if methods else ""
    text = f"The service {route.service} has no operation {method} {shown}{hint}."
    return WireError("UnknownOperationException", text, route=route)
