"""Files that travel with values: what a job returns by its path is sent as what the file holds.

A job's disk may be gone with it, so a `Path` to a file, or an open file, anywhere in what it
returns goes to S3, and whoever takes the value gets a copy: in a folder of this process's own,
which goes when the process does. A `Path` that is no file is a name, and so is one in arguments.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import io
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from tidemill.sdk import bucket, client
from tidemill.sdk.file import File

SENDERS: Final = 8
PREFIX: Final = "tidemill-files-"
_LOCK: Final = ".lock"


class Outgoing:
    """The files of one result."""

    def __init__(self, folder_url: str) -> None:
        self._folder_url = folder_url
        self._urls: dict[Path, str] = {}
        self._paths: dict[str, Path] = {}

    def url_of(self, path: Path) -> str | None:
        """Where the file will lie; None for what is no file."""
        url = self._urls.get(path)
        if url is None and path.is_file():
            url = self._urls[path] = self._add(path, path.name)
        return url

    def url_of_open(self, file: Any) -> str | None:
        """Where an open file will lie; None for what has nothing on disk, such as a pipe."""
        try:
            if not file.closed and file.writable():
                file.flush()
            number = file.fileno()
        except (OSError, ValueError, AttributeError):
            return None
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None
        name = file.name if isinstance(file.name, str) else "file"
        return self._add(Path(f"/dev/fd/{number}"), Path(name).name)

    def _add(self, path: Path, name: str) -> str:
        url = f"{self._folder_url}{len(self._paths)}/{name}"
        self._paths[url] = path
        return url

    def path_of(self, url: str) -> Path:
        """What lies there, or will."""
        return self._paths[url]

    def send(self) -> None:
        """Upload them all."""
        _each(_send, [*self._paths.items()])


def _send(sent: tuple[str, Path]) -> None:
    url, path = sent
    try:
        File(url).upload(path)
    except FileNotFoundError:
        # Nothing was written into the bucket yet, not even a job's inputs: this makes it.
        bucket.put(client.current(), url, b"")
        File(url).upload(path)


_folder_url_of: Callable[[], str] | None = None
_outgoing: Outgoing | None = None


def begin(folder_url_of: Callable[[], str]) -> None:
    """From now on what is encoded is a result, whose files go where `folder_url_of` says."""
    global _folder_url_of
    _folder_url_of = folder_url_of


def finish() -> None:
    """Upload the files of what was encoded since `begin`; all is as before that again."""
    global _folder_url_of, _outgoing
    sent, _folder_url_of, _outgoing = _outgoing, None, None
    if sent is not None:
        sent.send()


def is_begun() -> bool:
    """Whether what is encoded now is a result."""
    return _folder_url_of is not None


def outgoing() -> Outgoing | None:
    """The files of the result that is being encoded, if any is."""
    global _outgoing
    if _outgoing is None and _folder_url_of is not None:
        _outgoing = Outgoing(_folder_url_of())
    return _outgoing


def arrive(url: str) -> Path:
    """A copy of a file that was sent, under its own name."""
    if _outgoing is not None:  # being encoded, and read back to see whether it is the same
        return _outgoing.path_of(url)
    return File(url).download(_place(url))


def arrive_all(urls: Sequence[str]) -> list[Path]:
    """Copies of them all, several at a time."""
    if _outgoing is not None:
        return [_outgoing.path_of(url) for url in urls]
    paths = [_place(url) for url in urls]
    _each(lambda got: File(got[0]).download(got[1]), [*zip(urls, paths, strict=True)])
    return paths


def arrive_open(url: str, encoding: str | None) -> IO[Any]:
    """A copy of an open file that was sent, opened for reading from its start."""
    path = arrive(url)
    return path.open("rb") if encoding is None else path.open("r", encoding=encoding)


def reduce(value: Any) -> Any:
    """How `pickle` is to take this value while a result is encoded; NotImplemented: as ever."""
    sent = outgoing()
    if sent is None:
        return NotImplemented
    if isinstance(value, Path):
        url = sent.url_of(value)
        return NotImplemented if url is None else (arrive, (url,))
    if _is_open_file(value):
        url = sent.url_of_open(value)
        if url is not None:
            return arrive_open, (url, getattr(value, "encoding", None))
    return NotImplemented


def _is_open_file(value: Any) -> bool:
    if isinstance(value, io.IOBase):
        return not isinstance(value, io.BytesIO | io.StringIO)
    return type(value).__name__ == "_TemporaryFileWrapper"


def _each(do: Callable[[Any], object], things: list[Any]) -> None:
    if len(things) < 2:
        for thing in things:
            do(thing)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(SENDERS) as pool:
        for _ in pool.map(do, things):
            pass


_folder: tuple[int, Path] | None = None
"""The process that made it, and the folder of its copies."""
_count = 0


def _place(url: str) -> Path:
    """A place for a copy, in a folder of its own so that it can keep its name."""
    global _count
    _count += 1
    folder = _own_folder() / str(_count)
    folder.mkdir()
    return folder / url.rpartition("/")[2]


def _own_folder() -> Path:
    global _folder
    if _folder is None or _folder[0] != os.getpid():
        import tempfile

        _sweep()
        made = Path(tempfile.mkdtemp(prefix=PREFIX))
        _folder = os.getpid(), made
        lock = os.open(made / ".new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for as long as this process lives
        (made / ".new").rename(made / _LOCK)  # nobody else sees it unheld
        atexit.register(_remove, made, os.getpid())
    return _folder[1]


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # and not a fork of that process
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Remove what processes that were killed have left behind: whose lock nobody holds."""
    import shutil
    import tempfile

    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            lock = os.open(left, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.parent, ignore_errors=True)
            finally:
                os.close(lock)
