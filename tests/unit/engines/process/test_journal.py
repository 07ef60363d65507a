"""What a runner recorded is what the next one reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tidemill.engines.process import proc
from tidemill.engines.process.journal import (
    FILE,
    Entry,
    Head,
    Intent,
    Journal,
    Past,
    Settled,
    Spawned,
    read,
)
from tidemill.engines.process.protocol import Exited, Lost

HEAD = Head("boot", "mark", 3)
ENTRIES: list[Entry] = [
    Intent("a", 1),
    Intent("b", 1),
    Spawned("a", 10, 100),
    Spawned("b", 11, 100),
    Exited("a", 2, 0, 1),
    Intent("c", 2),
    Lost("c", 3, "gone"),
    Settled(["c"]),
    Head("boot", "mark", 4),
]


def known(past: Past) -> tuple[set[str], set[str], set[str]]:
    return set(past.open), set(past.spawned), set(past.ended)


def test_intents_without_an_end_stay_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [HEAD])
    for entry in ENTRIES:
        journal.write([entry])
    past = read(tmp_path)
    assert known(past) == ({"b"}, {"b"}, {"a"})
    assert past.head == Head("boot", "mark", 4)
    assert past.ended["a"] == Exited("a", 2, 0, 1)


def test_any_cut_off_end_leaves_what_was_written_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [HEAD])
    journal.write([Intent("a", 1)])
    whole = (tmp_path / FILE).read_bytes()
    journal.write([Exited("a", 2, 0, 1), Intent("b", 2)])
    longer = (tmp_path / FILE).read_bytes()
    for length in range(len(whole), len(longer)):
        (tmp_path / FILE).write_bytes(longer[:length])
        assert known(read(tmp_path)) == ({"a"}, set(), set())


def test_rewriting_keeps_what_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [HEAD])
    for i in range(5000):
        journal.write([Intent(f"{i}", 1), Exited(f"{i}", 2, 0, 1), Settled([f"{i}"])])
    before = (tmp_path / FILE).stat().st_size
    journal.rewrite([HEAD, Intent("live", 1), Exited("done", 2, 5, 1)])
    journal.write([Intent("later", 3)])
    assert (tmp_path / FILE).stat().st_size < before / 100
    assert known(read(tmp_path)) == ({"live", "later"}, set(), {"done"})


def test_it_is_bloated_by_what_no_longer_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path, [HEAD])
    while not journal.is_bloated:
        journal.write([Settled(["x" * 1000] * 100)])
    assert 4 << 20 <= (tmp_path / FILE).stat().st_size < 5 << 20
    journal.rewrite([HEAD])
    assert not journal.is_bloated


def test_a_full_disk_leaves_the_journal_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    journal = Journal(tmp_path, [HEAD])
    journal.write([Intent("a", 1)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / FILE).stat().st_size + 5, limits[1]))
    try:
        with pytest.raises(OSError, match=r"full|large"):
            journal.write([Exited("a", 2, 0, 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert known(read(tmp_path)) == ({"a"}, set(), set())
    journal.write([Exited("a", 2, 0, 1)])
    assert known(read(tmp_path)) == (set(), set(), {"a"})


@pytest.mark.parametrize("tail", [bytes(4096), b"\xff" * 10, b"\x03\x00\x00\x00\x93\x00\x00"])
def test_what_a_crash_of_the_machine_garbled_counts_as_unwritten(
    tmp_path: Path, tail: bytes
) -> None:
    journal = Journal(tmp_path, [HEAD])
    journal.write([Intent("a", 1)])
    with (tmp_path / FILE).open("ab") as file:
        file.write(tail)
    assert known(read(tmp_path)) == ({"a"}, set(), set())


def test_garbage_of_this_boot_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path, [Head(proc.boot_id(), "mark", 1)])
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"\x03\x00\x00\x00\x93\x00\x00")
    with pytest.raises(msgspec.MsgspecError):
        read(tmp_path)


def test_a_rewrite_that_finds_no_room_leaves_the_present_file_at_work(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    journal = Journal(tmp_path, [HEAD])
    journal.write([Intent("a", 1)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            journal.rewrite([HEAD, Intent("a", 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.write([Exited("a", 2, 0, 1)])
    assert known(read(tmp_path)) == (set(), set(), {"a"})
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_no_journal_is_an_empty_past(tmp_path: Path) -> None:
    past = read(tmp_path)
    assert past.head is None
    assert known(past) == (set(), set(), set())
