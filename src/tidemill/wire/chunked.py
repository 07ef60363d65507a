"""The transfer encoding `aws-chunked`: chunks with a size, often a signature, and trailers.

The decoder is fed what comes in and gives back the payload as it appears. Each chunk's signature
is made over the one before it, the first over the request's own (AWS's "Signature calculations
for the Authorization header: transferring payload in multiple chunks").
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from tidemill.wire.error import WireError

_LINE_MAX: Final = 4096
_TRAILERS_MAX: Final = 32
_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSigner:
    """What signatures of chunks are made with; `seed` is the request's own signature."""

    key: bytes
    timestamp: str
    scope: str
    seed: str

    def sign_chunk(self, previous: str, sha256: str) -> str:
        """The signature of a chunk with this hash, after one with the signature `previous`."""
        return self._sign("AWS4-HMAC-SHA256-PAYLOAD", f"{previous}\n{_EMPTY_SHA256}\n{sha256}")

    def sign_trailer(self, previous: str, sha256: str) -> str:
        """The signature of the trailers with this hash, after the last chunk's."""
        return self._sign("AWS4-HMAC-SHA256-TRAILER", f"{previous}\n{sha256}")

    def _sign(self, kind: str, rest: str) -> str:
        text = f"{kind}\n{self.timestamp}\n{self.scope}\n{rest}"
        return hmac.digest(self.key, text.encode(), "sha256").hex()


class _State(enum.Enum):
    SIZE = enum.auto()
    DATA = enum.auto()
    DATA_END = enum.auto()
    TRAILER = enum.auto()
    DONE = enum.auto()


class ChunkDecoder:
    """Takes an `aws-chunked` body apart.

    `signer` is None where chunks are not signed, or where nobody checks it: a signature in front
    of a chunk is passed over then.
    """

    def __init__(self, signer: ChunkSigner | None, has_trailer: bool) -> None:
        self._signer = signer
        self._has_trailer = has_trailer
        self._state = _State.SIZE
        self._buffer = bytearray()
        self._left = 0
        self._previous = signer.seed if signer else ""
        self._stated = ""
        self._sha256 = hashlib.sha256()
        self.trailers: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> bytes:
        """The payload in `data` and in what was kept back before; WireError for a bad chunk."""
        self._buffer += data
        payload: list[bytes] = []
        while self._step(payload):
            pass
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def finish(self) -> None:
        """Say that no more comes; WireError when the last chunk has not come."""
        if self._state is _State.TRAILER and not self._buffer:
            self._end_trailers()
        if self._state is not _State.DONE:
            raise WireError(
                "IncompleteBody",
                "The aws-chunked body ends before its last chunk: a chunk of size 0 is due.",
            )

    def _step(self, payload: list[bytes]) -> bool:
        match self._state:
            case _State.SIZE:
                line = self._line()
                return line is not None and self._begin(line)
            case _State.DATA:
                return self._take(payload)
            case _State.DATA_END:
                line = self._line()
                if line:
                    raise _malformed("a chunk is longer than the size before it")
                self._state = _State.DATA_END if line is None else _State.SIZE
                return line is not None
            case _State.TRAILER:
                line = self._line()
                return line is not None and self._trailer(line)
            case _State.DONE:
                if self._buffer.strip(b"\r\n"):
                    raise _malformed("something follows its last chunk")
                self._buffer.clear()
                return False

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > _LINE_MAX:
                raise _malformed("a line of it is too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _begin(self, line: bytes) -> bool:
        size, _, extension = line.partition(b";")
        try:
            self._left = int(size.strip(), 16)
        except ValueError:
            raise _malformed("the size of a chunk is not a hexadecimal number") from None
        if self._left < 0 or len(size) > 16:
            raise _malformed("the size of a chunk is out of range")
        self._stated = ""
        if self._signer is not None:
            name, _, value = extension.strip().partition(b"=")
            if name != b"chunk-signature":
                raise _malformed("a chunk has no chunk-signature")
            self._stated = value.decode("latin-1")
        self._sha256 = hashlib.sha256()
        if self._left:
            self._state = _State.DATA
            return True
        self._check_chunk()
        self._state = _State.TRAILER
        return True

    def _take(self, payload: list[bytes]) -> bool:
        part = bytes(self._buffer[: self._left])
        if not part:
            return False
        del self._buffer[: len(part)]
        payload.append(part)
        self._left -= len(part)
        if self._signer is not None:
            self._sha256.update(part)
        if self._left:
            return False
        self._check_chunk()
        self._state = _State.DATA_END
        return True

    def _check_chunk(self) -> None:
        if self._signer is not None:
            made = self._signer.sign_chunk(self._previous, self._sha256.hexdigest())
            self._compare(made, self._stated)
            self._previous = made

    def _compare(self, made: str, stated: str) -> None:
        if not hmac.compare_digest(made.encode(), stated.encode("latin-1", "replace")):
            raise WireError(
                "SignatureDoesNotMatch",
                "The signature of a chunk of the body does not match the one calculated for it; "
                "check the secret access key and that nothing changes the body on its way.",
            )

    def _trailer(self, line: bytes) -> bool:
        if not line:
            if not self._has_trailer or self.trailers:
                self._end_trailers()
            # Else it is the empty line after the last chunk, which some clients send first.
            return True
        name, colon, value = line.partition(b":")
        if not colon or len(self.trailers) == _TRAILERS_MAX:
            raise _malformed("a trailer is not of the form name:value, or there are too many")
        self.trailers[name.strip().lower()] = value.strip()
        return True

    def _end_trailers(self) -> None:
        stated = self.trailers.pop(b"x-amz-trailer-signature", None)
        if self._signer is not None and self._has_trailer:
            text = b"".join(b"%s:%s\n" % item for item in self.trailers.items())
            made = self._signer.sign_trailer(self._previous, hashlib.sha256(text).hexdigest())
            self._compare(made, (stated or b"").decode("latin-1"))
        self._state = _State.DONE


def _malformed(what: str) -> WireError:
    return WireError("InvalidRequest", f"The aws-chunked body is malformed: {what}.")
