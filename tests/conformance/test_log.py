"""The log store: one process writes, another reads, lines come out with their times."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tidemill.platform.log import locate, quote, stream_token, unquote
from tidemill.platform.log_reader import LogReader, Page
from tidemill.platform.log_stream import LogEvent
from tidemill.platform.log_writer import LogWriter

GROUP = "/aws/batch/job"
T0 = 1_700_000_000_000


def name(number: int, at_ms: int = T0, definition: str = "render") -> str:
    return f"{definition}/default/{stream_token(at_ms, f'{number:024x}')}"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    writer = LogWriter(tmp_path)
    yield writer
    writer.close()


@pytest.fixture
def reader(tmp_path: Path) -> LogReader:
    return LogReader(tmp_path)


def write(writer: LogWriter, stream: str, *chunks: bytes, at_ms: int = T0) -> None:
    """One stream from its opening to its end, a chunk a second."""
    log = writer.open(GROUP, stream, at_ms)
    for second, chunk in enumerate(chunks):
        log.append(at_ms + second * 1000, chunk)
    log.close(at_ms + len(chunks) * 1000)
    writer.flush()


def messages(page: Page | None) -> list[str]:
    assert page is not None
    return [event.message for event in page.events]


def all_forward(reader: LogReader, stream: str, **bounds: int) -> list[str]:
    lines: list[str] = []
    position: int | None = None
    while True:
        page = reader.read(GROUP, stream, position, **bounds)
        assert page is not None
        if not page.events:
            return lines
        lines += messages(page)
        position = page.end


def all_backward(reader: LogReader, stream: str, **bounds: int) -> list[str]:
    lines: list[str] = []
    position: int | None = None
    while True:
        page = reader.read(GROUP, stream, position, forward=False, **bounds)
        assert page is not None
        if not page.events:
            return lines
        lines = messages(page) + lines
        position = page.start


def test_lines_are_joined_across_chunks_and_carry_the_time_they_began(
    writer: LogWriter, reader: LogReader
) -> None:
    write(writer, name(1), b"one\ntw", b"o\r\nthree", b"\n\nlast")
    page = reader.read(GROUP, name(1))
    assert page is not None
    assert [(event.at_ms - T0, event.message) for event in page.events] == [
        (0, "one"),
        (0, "two"),
        (1000, "three"),
        (2000, ""),
        (2000, "last"),
    ]


def test_a_stream_is_seen_while_it_is_written_but_not_its_unfinished_line(
    writer: LogWriter, reader: LogReader
) -> None:
    now_ms = time.time_ns() // 1_000_000
    stream = name(1, now_ms)
    log = writer.open(GROUP, stream, now_ms)
    writer.flush()
    page = reader.read(GROUP, stream)
    assert messages(page) == []
    log.append(now_ms, b"first\nsec")
    writer.flush()
    page = reader.read(GROUP, stream, page.end if page else None)
    assert messages(page) == ["first"]
    log.append(now_ms, b"ond")
    log.close(now_ms)
    writer.flush()
    assert messages(reader.read(GROUP, stream, page.end if page else None)) == ["second"]


def test_unknown_streams_and_groups_are_none(writer: LogWriter, reader: LogReader) -> None:
    write(writer, name(1), b"x\n")
    assert reader.read(GROUP, name(2)) is None
    assert reader.read("other", name(1)) is None
    assert reader.read(GROUP, "no digits") is None
    assert reader.stream(GROUP, name(2)) is None
    assert list(reader.streams("other")) == []
    with pytest.raises(ValueError, match="32 hex"):
        writer.open(GROUP, "no digits", T0)


@pytest.mark.parametrize("size", [300, 5_000, 60_000])
def test_paging_either_way_meets_every_line_once(
    writer: LogWriter, reader: LogReader, size: int
) -> None:
    lines = [f"{i} " + "é" * (i % 97) for i in range(size)]
    text = "".join(line + "\n" for line in lines).encode()
    chunks = [text[i : i + 30_001] for i in range(0, len(text), 30_001)]
    write(writer, name(1), *chunks)
    bounds = {"events_max": max(7, size // 9), "bytes_max": 700_000}
    assert all_forward(reader, name(1), **bounds) == lines
    assert all_backward(reader, name(1), **bounds) == lines


def test_an_endless_line_is_cut_alike_from_both_sides(writer: LogWriter, reader: LogReader) -> None:
    text = b"start\n" + b"x" * 1_000_000 + b"\nend\n"
    write(writer, name(1), *[text[i : i + 65_536] for i in range(0, len(text), 65_536)])
    forward = all_forward(reader, name(1))
    assert forward == all_backward(reader, name(1), events_max=2)
    assert "".join(forward) == "start" + "x" * 1_000_000 + "end"
    assert max(len(line) for line in forward) <= 256 * 1024
    assert forward[-1] == "end"


def test_whatever_the_bytes_are_both_directions_give_the_same_events(
    writer: LogWriter, reader: LogReader
) -> None:
    random = Random(7)
    pieces = [b"\n", b"\r\n", b"\r", b"\xff", b"\xc3", "é".encode(), b"x" * 90, b"y" * 70_000]
    chunks = [b"".join(random.choices(pieces, [40, 5, 5, 1, 1, 9, 30, 1], k=9)) for _ in range(900)]
    write(writer, name(1), *chunks)
    forward: list[LogEvent] = []
    backward: list[LogEvent] = []
    for events, is_forward in ((forward, True), (backward, False)):
        position: int | None = None
        while page := reader.read(GROUP, name(1), position, forward=is_forward, events_max=97):
            if not page.events:
                break
            at = len(events) if is_forward else 0
            events[at:at] = page.events
            position = page.end if is_forward else page.start
    assert forward == backward
    lines = b"".join(chunks).replace(b"\r\n", b"\n").decode("utf-8", "replace").split("\n")
    assert "".join(event.message for event in forward) == "".join(lines)
    assert len({event.at_ms for event in forward}) > 500


def test_a_large_stream_leaves_its_shared_segment(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    write(writer, name(1), *[b"%060d\n" % i * 500 for i in range(100)])
    write(writer, name(2), b"small\n")
    place = locate(str(tmp_path), GROUP, name(1))
    assert Path(place.segment).stat().st_size < 70_000
    assert Path(place.own + ".log").stat().st_size > 2_900_000
    info = reader.stream(GROUP, name(1))
    assert info is not None
    assert info.stored_bytes == 100 * 500 * 61
    assert (info.first_event_ms, info.last_event_ms) == (T0, T0 + 99_000)
    assert messages(reader.read(GROUP, name(2))) == ["small"]
    page = reader.read(GROUP, name(1), start_ms=T0 + 42_000, events_max=1)
    assert page is not None
    assert (page.events[0].at_ms, int(page.events[0].message)) == (T0 + 42_000, 42)


def test_a_time_range_bounds_both_directions(writer: LogWriter, reader: LogReader) -> None:
    write(writer, name(1), *[b"%d\n" % i for i in range(10)])
    span = {"start_ms": T0 + 3000, "end_ms": T0 + 6000}
    assert messages(reader.read(GROUP, name(1), **span)) == ["3", "4", "5"]
    assert messages(reader.read(GROUP, name(1), forward=False, **span)) == ["3", "4", "5"]
    assert messages(reader.read(GROUP, name(1), start_ms=T0 + 9001)) == []
    assert messages(reader.read(GROUP, name(1), start_ms=T0 + 8500)) == ["9"]


def test_lists_show_silent_streams_by_prefix_and_from_either_end(
    writer: LogWriter, reader: LogReader
) -> None:
    later = T0 + 3 * 86_400_000
    write(writer, name(1))
    write(writer, name(2, definition="join"), b"x\n")
    write(writer, name(3, later), b"y\n", at_ms=later)
    infos = list(reader.streams(GROUP))
    assert [info.name for info in infos] == [name(1), name(2, definition="join"), name(3, later)]
    assert (infos[0].created_ms, infos[0].last_event_ms, infos[0].stored_bytes) == (T0, None, 0)
    newest = [info.name for info in reader.streams(GROUP, "render/", newest_first=True)]
    assert newest == [name(3, later), name(1)]
    assert [info.name for info in reader.streams(GROUP, name(3, later))] == [name(3, later)]
    assert reader.groups() == [GROUP]


def test_a_torn_tail_is_passed_over_and_healed_by_the_next_writer(
    tmp_path: Path, reader: LogReader
) -> None:
    first = LogWriter(tmp_path)
    write(first, name(1), b"whole\n")
    first.close()
    segment = Path(locate(str(tmp_path), GROUP, name(1)).segment)
    record = segment.read_bytes()[-34:]
    with segment.open("ab") as file:
        file.write(record[:-3])
    assert messages(reader.read(GROUP, name(1))) == ["whole"]
    second = LogWriter(tmp_path)
    write(second, name(1), b"again\n")
    write(second, name(2), b"other\n")
    second.close()
    assert messages(reader.read(GROUP, name(1))) == ["whole", "again"]
    assert messages(reader.read(GROUP, name(2))) == ["other"]


def test_a_full_disk_holds_back_output_of_streams_that_have_ended(
    tmp_path: Path, reader: LogReader
) -> None:
    resource = pytest.importorskip("resource")
    writer = LogWriter(tmp_path)
    write(writer, name(1), b"early\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))  # stands for the full disk
    try:
        write(writer, name(2), b"small\n", at_ms=T0 + 60_000)
        write(writer, name(3), b"L" * 70_000 + b"\n", b"end\n")
        write(writer, name(4), b"x" * 2_000_000 + b"\n")
        write(writer, name(5, T0 + 120_000), b"later\n", at_ms=T0 + 120_000)
        witness = (tmp_path / "witness").open("wb")
        writer.flush()
        assert writer.is_waiting
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    writer.flush()
    assert not writer.is_waiting
    assert writer.lost_bytes == 2_000_001
    assert messages(reader.read(GROUP, name(2))) == ["small"]
    assert messages(reader.read(GROUP, name(3))) == ["L" * 70_000, "end"]
    assert messages(reader.read(GROUP, name(5, T0 + 120_000))) == ["later"]
    writer.close()
    with witness:
        assert os.fstat(witness.fileno()).st_size == 0


def test_what_could_not_be_taken_back_at_first_is_cut_off_later(
    writer: LogWriter, reader: LogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may fail in the middle of a write, and then refuse to shorten the file too."""

    def write_half(file: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.EIO, "Input/output error")
        return real_write(file, data[:-10])

    def refuse(file: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    real_write = os.write
    write(writer, name(1), b"first\n")
    large = writer.open(GROUP, name(3), T0)
    large.append(T0, b"L" * 70_000 + b"\n")
    writer.flush()
    with monkeypatch.context() as patch:
        patch.setattr("os.write", write_half)
        patch.setattr("os.ftruncate", refuse)
        write(writer, name(2), b"second\n")
        large.append(T0 + 1_000, b"the end of the large one\n")
        large.close(T0 + 1_000)
        assert writer.is_waiting
    writer.flush()
    assert not writer.is_waiting
    assert messages(reader.read(GROUP, name(1))) == ["first"]
    assert messages(reader.read(GROUP, name(2))) == ["second"]
    assert messages(reader.read(GROUP, name(3))) == ["L" * 70_000, "the end of the large one"]


def test_retention_takes_whole_minutes_but_none_that_is_written_to(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    quiet = writer.open(GROUP, name(1), T0)
    minutes = [T0 + i * 60_000 for i in range(1, 4)]
    for i, at_ms in enumerate(minutes):
        write(writer, name(i, at_ms), b"x" * 70_000 + b"\n", at_ms=at_ms)
    write(writer, name(9, T0 + 600_000), b"new\n", at_ms=T0 + 600_000)
    for path in tmp_path.rglob("*.*"):
        if path.is_file() and "seg" not in path.read_text("latin-1")[:1]:
            os.utime(path, (T0 / 1000, T0 / 1000))
    newest = Path(locate(str(tmp_path), GROUP, name(9, T0 + 600_000)).segment)
    os.utime(newest)
    assert reader.expire(GROUP, T0 + 1, limit=2) == 2
    assert reader.expire(GROUP, T0 + 1, limit=2) == 1
    assert reader.expire(GROUP, T0 + 1) == 0
    assert [info.name for info in reader.streams(GROUP)] == [name(1), name(9, T0 + 600_000)]
    quiet.append(T0 + 5000, b"at last\n")
    quiet.close(T0 + 5000)
    writer.flush()
    assert messages(reader.read(GROUP, name(1))) == ["at last"]
    assert len(list(tmp_path.rglob("*.log"))) == 0


@pytest.mark.parametrize("group", ["/aws/batch/job", "..", "a b%ü+", "x" * 512, "a/../../b"])
def test_any_group_name_has_its_own_folder(tmp_path: Path, group: str) -> None:
    assert unquote(quote(group)) == group
    writer = LogWriter(tmp_path / "logs")
    log = writer.open(group, name(1), T0)
    log.append(T0, b"here\n")
    log.close(T0)
    writer.close()
    reader = LogReader(tmp_path / "logs")
    assert reader.groups() == [group]
    assert messages(reader.read(group, name(1))) == ["here"]
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
