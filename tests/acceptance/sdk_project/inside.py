"""Jobs that know that they are jobs: they keep their place, report, are warned, send files."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tidemill as tm


def _noting(log: str, every: int, item_25: Callable[[], None]) -> list[int]:
    """Go through 40 items, writing each down; at the 25th of the first attempt something comes."""
    note, is_first = Path(log), not Path(log).exists()
    taken = []
    for item in tm.checkpoint(range(40), every=every):
        with note.open("a") as lines:
            lines.write(f"{item}\n")
        taken.append(item)
        if item == 25 and is_first:
            item_25()
    return taken


@tm.job(attempts=2)
def killed(log: str) -> list[int]:
    return _noting(log, 10, lambda: os.kill(os.getpid(), signal.SIGKILL))


@tm.job
def interrupted(log: str) -> list[int]:
    return _noting(log, 1000, lambda: os.kill(os.getpid(), signal.SIGTERM))


@tm.job
def endless(log: str) -> None:
    for item in tm.checkpoint(range(100_000)):
        Path(log).write_text(str(item))
        time.sleep(0.01)  # the job's own


@tm.job
def reporting(total: int) -> int:
    for done in range(total):
        tm.progress(done, total, "counting")
    tm.progress(total, total, "counted")
    return total


@tm.job(soft_timeout="1s")
def warned() -> str:
    try:
        time.sleep(30)  # the job's own
    except tm.SoftTimeout as warning:
        return str(warning)
    return "nobody warned"


@tm.job(soft_timeout="1s")
def heedless() -> None:
    time.sleep(30)  # the job's own


@tm.job(attempts=3, retry_on=ConnectionError)
def flaky(log: str, kind: str) -> int:
    with Path(log).open("a") as lines:
        lines.write("once more\n")
    raise {"connection": ConnectionResetError, "value": ValueError}[kind]("as ever")


@tm.job
def length(text: str) -> int:
    return len(text)


@tm.job
def parent() -> int:
    return os.getppid()


@tm.job
def told() -> tm.Context:
    return tm.context()


@dataclass
class Report:
    name: str
    page: Path
    sources: list[Path]


def _folder() -> Path:
    return Path(tempfile.mkdtemp(dir=os.environ.get("TIDEMILL_TEST_FOLDER")))


@tm.job
def fetch(tenant: str) -> list[Path]:
    folder = _folder()
    for number in range(3):
        (folder / f"{tenant}-{number}.txt").write_text(f"{tenant}{number}")
    return sorted(folder.iterdir())


@tm.job
def bind(pages: list[Path]) -> Report:
    book = _folder() / "book.txt"
    book.write_text("+".join(page.read_text() for page in pages))
    return Report(pages[0].stem, book, pages)


@tm.job
def shelve(reports: list[Report]) -> str:
    return " ".join(report.page.read_text() for report in reports)


@tm.job
def leave_open() -> dict[str, object]:
    lost = tempfile.TemporaryFile()  # noqa: SIM115 - returned open
    lost.write(b"\0" * (9 << 20))
    named = tempfile.NamedTemporaryFile("w", encoding="utf-8")  # noqa: SIM115 - likewise
    named.write("über")
    return {"lost": lost, "named": named, "name": Path("nothing"), "folder": Path("/")}


@tm.job
def append(log: tm.File, line: str) -> tm.File:
    text = log.read_text() if log.exists() else ""
    with log.open("w") as lines:
        lines.write(f"{text}{line}\n")
    return log
