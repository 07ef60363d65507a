"""`tm.File`: an object in S3 by its URL, read and written like a file, and only when asked for."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Final, Literal, TextIO, cast, overload

from tidemill.sdk import bucket, client

AT_ONCE_BYTES: Final = 8 << 20
"""What is read or written by one request; larger objects in parts, by boto3's own transfer."""
BUFFER_BYTES: Final = 1 << 20
_Mode = Literal["r", "rb", "w", "wb"]


@dataclass(frozen=True, slots=True)
class File:
    """An object in S3. It costs nothing until it is opened, and travels as its URL.

    Every method raises `FileNotFoundError` where there is no such object.
    """

    url: str

    def __post_init__(self) -> None:
        name, key = bucket.split(self.url)
        if not self.url.startswith("s3://") or not name or not key:
            raise ValueError(f"File({self.url!r}) needs a URL like s3://bucket/key.")

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.url.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Its bytes."""
        return int(self._head()["ContentLength"])

    def exists(self) -> bool:
        """Whether it is there now."""
        try:
            self._head()
        except FileNotFoundError:
            return False
        return True

    @overload
    def open(self, mode: Literal["r", "w"], *, encoding: str = "utf-8") -> TextIO: ...
    @overload
    def open(self, mode: Literal["rb", "wb"] = "rb", *, encoding: str = "utf-8") -> BinaryIO: ...
    def open(self, mode: _Mode = "rb", *, encoding: str = "utf-8") -> IO[Any]:
        """As a file: `rb` and `r` read what is asked for, `wb` and `w` write it anew.

        What is written becomes the object when the file is closed, as a whole; if an exception
        leaves its `with` block, nothing does. A reader sees one version: if the object is replaced
        meanwhile, reading on fails.
        """
        match mode:
            case "rb":
                return cast("IO[Any]", io.BufferedReader(self._ranges(), BUFFER_BYTES))
            case "r":
                reader = io.BufferedReader(self._ranges(), BUFFER_BYTES)
                return io.TextIOWrapper(reader, encoding)
            case "wb":
                return cast("IO[Any]", _Writer(self.url))
            case "w":
                return _TextWriter(_Writer(self.url), encoding, write_through=True)
        raise ValueError(f'mode={mode!r} of a File must be "r", "rb", "w" or "wb".')

    def __iter__(self) -> Iterator[str]:
        """Its lines, as text."""
        with self.open("r") as lines:
            yield from lines

    def read_bytes(self, start: int = 0, end: int | None = None) -> bytes:
        """Its bytes, or those from `start` up to but without `end`."""
        if end is not None and end <= start:
            return b""
        with self._found():
            if start == 0 and end is None:
                return bucket.get(client.current(), self.url)
            if end is None:
                end = self.size
            end = min(end, self.size)
            return b"" if end <= start else bucket.get(client.current(), self.url, (start, end))

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of it as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Replace it."""
        self._write(data)

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        """Replace it."""
        self.write_bytes(text.encode(encoding))

    def download(self, path: str | os.PathLike[str]) -> Path:
        """Copy it to `path`, or into the folder `path`; the path of the copy."""
        target = Path(path)
        if target.is_dir():
            target /= self.name
        s3, (name, key) = client.client("s3"), bucket.split(self.url)
        with self._found():
            answer = s3.get_object(Bucket=name, Key=key)
            with contextlib.closing(answer["Body"]) as body:
                if answer["ContentLength"] <= AT_ONCE_BYTES:
                    target.write_bytes(body.read())
                    return target
            s3.download_file(name, key, str(target))
        return target

    def upload(self, path: str | os.PathLike[str]) -> File:
        """Replace it by what the file at `path` holds; this same `File`."""
        with Path(path).open("rb") as source:
            self._put(source)
        return self

    def _put(self, source: IO[bytes]) -> None:
        """Replace it by all that `source` has from its start."""
        source.seek(0)
        start = source.read(AT_ONCE_BYTES + 1)
        if len(start) <= AT_ONCE_BYTES:
            self._write(start)
            return
        source.seek(0)
        name, key = bucket.split(self.url)
        with self._found():
            client.client("s3").upload_fileobj(source, name, key)

    def _write(self, data: bytes) -> None:
        from tidemill.sdk import courier

        if courier.carry(self.url, data):
            return
        name, key = bucket.split(self.url)
        with self._found():
            client.client("s3").put_object(Bucket=name, Key=key, Body=data)

    def _ranges(self) -> _Ranges:
        head = self._head()
        return _Ranges(self, int(head["ContentLength"]), head["ETag"])

    def _head(self) -> dict[str, Any]:
        name, key = bucket.split(self.url)
        with self._found():
            head: dict[str, Any] = client.client("s3").head_object(Bucket=name, Key=key)
        return head

    @contextlib.contextmanager
    def _found(self) -> Iterator[None]:
        from botocore.exceptions import ClientError

        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NoSuchBucket"):
                raise
            raise FileNotFoundError(errno.ENOENT, "There is no such object", self.url) from None


class _Ranges(io.RawIOBase):
    """One version of an object, read by ranges."""

    def __init__(self, file: File, size: int, etag: str) -> None:
        super().__init__()
        self._bucket, self._key = bucket.split(file.url)
        self._size = size
        self._etag = etag
        self._at = 0
        self.name = file.url

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes: it costs nothing."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to where the next read begins."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if begin + offset < 0:
            raise ValueError(f"seek to {begin + offset}, before the start of {self.name}")
        self._at = begin + offset
        return self._at

    def readall(self) -> bytes:
        """All that is left, by one request."""
        return self._read(self._size - self._at)

    def readinto(self, buffer: Any) -> int:
        """As much as the buffer holds, by one request."""
        data = self._read(min(len(buffer), self._size - self._at))
        buffer[: len(data)] = data
        return len(data)

    def _read(self, count: int) -> bytes:
        if count <= 0:
            return b""
        span = f"bytes={self._at}-{self._at + count - 1}"
        s3 = client.client("s3")
        answer = s3.get_object(Bucket=self._bucket, Key=self._key, Range=span, IfMatch=self._etag)
        data: bytes = answer["Body"].read()
        self._at += len(data)
        return data


class _Writer(io.BufferedIOBase):
    """What becomes an object when it is closed; kept on disk where it is large."""

    def __init__(self, url: str) -> None:
        import tempfile

        super().__init__()
        self._file = File(url)
        self._spool = tempfile.SpooledTemporaryFile(AT_ONCE_BYTES)  # noqa: SIM115 - closed in close
        self.is_given_up = False
        self.name = url

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Take more."""
        return self._spool.write(data)

    def tell(self) -> int:
        """How much there is."""
        return self._spool.tell()

    def close(self) -> None:
        """Make the object, unless it is given up."""
        if self.closed:
            return
        try:
            if not self.is_given_up:
                self._file._put(cast("IO[bytes]", self._spool))
        finally:
            self._spool.close()
            super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_given_up = kind is not None
        self.close()

    def __del__(self) -> None:
        self.is_given_up = True  # nobody closed it: nobody said that it is finished
        super().__del__()


class _TextWriter(io.TextIOWrapper):
    """Text over a `_Writer`."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        cast("_Writer", self.buffer).is_given_up = kind is not None
        self.close()

    def __del__(self) -> None:
        if not self.closed:
            cast("_Writer", self.buffer).is_given_up = True
        super().__del__()
