"""The body of a request on its way to a parser: whole, inflated, out of its transfer encoding.

S3's uploads come as `aws-chunked` with signed chunks or a trailing checksum, or plain with a
checksum in a header; `Receiver` takes all of that off and checks it. Only the checksums of an
object's content are left to the service, which works them out for itself to keep them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import zlib
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from tidemill.wire.checksum import ALGORITHMS, Checksum
from tidemill.wire.chunked import ChunkDecoder
from tidemill.wire.error import WireError
from tidemill.wire.request import HttpRequest
from tidemill.wire.sign import STREAMING, Signed

WHOLE_MAX_BYTES: Final = 100 * 1024 * 1024
"""The largest body of an operation that reads it as one document (a function's code in JSON)."""
INFLATED_MAX_BYTES: Final = 16 * 1024 * 1024
_CHECKSUM_HEADER: Final = b"x-amz-checksum-"
_OF_CONTENT: Final = frozenset(
    (b"", b"partNumber", b"uploadId", b"x-id", b"AWSAccessKeyId", b"Signature", b"Expires")
)
"""What may stand in the query of a request that brings an object's content."""


@runtime_checkable
class Spooled(Protocol):
    """A body that the server put into a file."""

    path: Path
    size: int


def whole_body(request: HttpRequest) -> bytes:
    """The body as bytes, read from its file if it is in one; WireError when it is too large."""
    body = request.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, Spooled):
        if body.size > WHOLE_MAX_BYTES:
            raise WireError(
                "RequestEntityTooLargeException",
                f"The body has {body.size} bytes; this operation takes up to {WHOLE_MAX_BYTES}.",
            )
        return body.path.read_bytes()
    return bytes(body)


def inflate(request: HttpRequest, body: bytes) -> bytes:
    """The body out of its gzip, where `Content-Encoding` says that it is in one."""
    encodings = request.header(b"content-encoding")
    if encodings is None or not encodings.rstrip().lower().endswith(b"gzip"):
        return body
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, INFLATED_MAX_BYTES)
    except zlib.error as error:
        raise WireError("SerializationException", f"The body is not gzip ({error}).") from None
    if not inflater.eof:
        raise WireError(
            "SerializationException",
            f"The gzip body is cut off, or has more than {INFLATED_MAX_BYTES} bytes inside.",
        )
    return plain


def receive(request: HttpRequest, signed: Signed | None) -> HttpRequest:
    """The request with its transfer encoding off and its checksums checked; for a body in memory.

    For a body in a file, feed it to a `Receiver` instead.
    """
    receiver = Receiver(request, signed)
    if receiver.is_idle:
        return request
    return receiver.finish(receiver.feed(request.body))


class Receiver:
    """Decodes and checks one body as it is fed.

    `is_idle`: there is nothing to decode or to check, so it need not be fed. `rewrites`: what
    `feed` gives back is not what went in. `signed` is None where nobody checks signatures.
    """

    def __init__(self, request: HttpRequest, signed: Signed | None) -> None:
        self._request = request
        self._size = 0
        self._stated: dict[str, bytes] = {}
        self._sums: dict[str, Checksum] = {}
        self._announced: list[bytes] = []
        self._is_content = _is_content_of_object(request)
        self._decoder = _decoder(request, signed)
        self._expect()
        self.rewrites = self._decoder is not None
        self.is_idle = not self.rewrites and not self._sums

    def feed(self, data: bytes) -> bytes:
        """Take in a part of the body as it was sent; the payload's part in it."""
        if self._decoder is not None:
            data = self._decoder.feed(data)
        self._size += len(data)
        for checksum in self._sums.values():
            checksum.update(data)
        return data

    def finish(self, body: Any) -> HttpRequest:
        """The request with `body`, which is all that `feed` gave back; WireError when it is bad.

        Trailers have become headers, so that a checksum is found at one place.
        """
        request = self._request
        if self._decoder is None:
            self._compare()
            return request
        self._decoder.finish()
        self._check_size()
        trailers = self._decoder.trailers
        for announced in self._announced:
            if announced not in trailers:
                raise WireError(
                    "MalformedTrailerError",
                    f"The trailer {announced.decode('latin-1')} was announced but did not come.",
                )
        self._stated |= {
            name.removeprefix(_CHECKSUM_HEADER).decode("latin-1"): value
            for name, value in trailers.items()
            if name.startswith(_CHECKSUM_HEADER)
        }
        self._compare()
        headers = [pair for pair in request.headers if pair[0] != b"content-encoding"]
        headers += trailers.items()
        if encoding := _other_encodings(request):
            headers.append((b"content-encoding", encoding))
        return HttpRequest(request.method, request.raw_path, request.query, headers, body)

    def _expect(self) -> None:
        """Prepare for every checksum that the headers state or promise."""
        headers = self._request.header_map
        for name in headers.get(b"x-amz-trailer", b"").lower().split(b","):
            if name.strip().startswith(_CHECKSUM_HEADER):
                self._announced.append(name.strip())
        is_of_body = not _states_checksum_of_object(self._request)
        for name, value in headers.items():
            if is_of_body and name.startswith(_CHECKSUM_HEADER):
                ending = name.removeprefix(_CHECKSUM_HEADER).decode("latin-1")
                if ending not in ("algorithm", "mode", "type"):
                    self._prepare(ending)
                    self._stated[ending] = value
        if (md5 := headers.get(b"content-md5")) is not None:
            self._prepare("md5")
            self._stated["md5"] = md5
        for name in self._announced:
            self._prepare(name.removeprefix(_CHECKSUM_HEADER).decode("latin-1"))

    def _prepare(self, ending: str) -> None:
        if ending not in ALGORITHMS:
            raise WireError(
                "InvalidRequest",
                f"The checksum x-amz-checksum-{ending} is not supported; "
                f"supported are {', '.join(ALGORITHMS)}.",
            )
        if not self._is_content:
            self._sums[ending] = ALGORITHMS[ending]()

    def _check_size(self) -> None:
        stated = self._request.header(b"x-amz-decoded-content-length")
        if stated is not None and stated != str(self._size).encode():
            raise WireError(
                "IncompleteBody",
                f"The body has {self._size} bytes, but x-amz-decoded-content-length says "
                f"{stated.decode('latin-1')}.",
            )

    def _compare(self) -> None:
        for ending, checksum in self._sums.items():
            name = "Content-MD5" if ending == "md5" else f"x-amz-checksum-{ending}"
            stated = self._stated[ending]
            digest = checksum.digest()
            try:
                expected = base64.b64decode(stated, validate=True)
            except (binascii.Error, ValueError):
                expected = b""
            if len(expected) != len(digest):
                raise WireError(
                    "InvalidDigest" if ending == "md5" else "InvalidRequest",
                    f"Value for {name} header is invalid: it is base64 of {len(digest)} bytes.",
                )
            if not hmac.compare_digest(expected, digest):
                raise WireError(
                    "BadDigest",
                    f"The {name} you specified did not match the calculated checksum, "
                    f"{base64.b64encode(digest).decode()}.",
                )


def _states_checksum_of_object(request: HttpRequest) -> bool:
    """CompleteMultipartUpload's checksums are of the object that its parts make."""
    return request.method == "POST" and b"uploadId=" in request.query


def _is_content_of_object(request: HttpRequest) -> bool:
    """PutObject and UploadPart: a key, and no sub-resource of it but the part."""
    if request.method != "PUT" or b"/" not in request.raw_path.strip(b"/"):
        return False
    names = {pair.partition(b"=")[0] for pair in request.query.split(b"&")}
    return all(name in _OF_CONTENT or name.startswith(b"X-Amz-") for name in names)


def _decoder(request: HttpRequest, signed: Signed | None) -> ChunkDecoder | None:
    declared = request.header(b"x-amz-content-sha256") or b""
    encodings = (request.header(b"content-encoding") or b"").lower()
    if not declared.startswith(STREAMING) and b"aws-chunked" not in encodings:
        return None
    is_signed = declared.startswith(STREAMING + b"AWS4-HMAC-SHA256-PAYLOAD")
    signer = signed.chunk_signer() if is_signed and signed is not None else None
    return ChunkDecoder(signer, has_trailer=request.header(b"x-amz-trailer") is not None)


def _other_encodings(request: HttpRequest) -> bytes:
    """`Content-Encoding` without `aws-chunked`, which is about the transfer only."""
    value = request.header(b"content-encoding") or b""
    parts = [part.strip() for part in value.split(b",")]
    return b",".join(part for part in parts if part and part.lower() != b"aws-chunked")
