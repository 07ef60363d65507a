"""What SQLite alone has: a file, its folder, its write-ahead log, and a copy while it is used."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tidemill.platform import checkpoint
from tidemill.platform.sqlite import SqliteStore
from tidemill.platform.store import Migration, StoreError, Write

TABLE = Migration(
    component="test",
    number=1,
    sqlite="CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)",
    postgres="",
)
NOTE = "INSERT INTO note (id, text) VALUES ($1, $2)"

WRITER = """
import asyncio, sys
from tidemill.platform.sqlite import SqliteStore
from tidemill.platform.store import Write

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open([])
    for number in range(1, 1_000_000):
        rows = [(f"{number}/{part}", number) for part in range(10)]
        await store.commit([Write("INSERT INTO event_cursor VALUES ($1, $2)", rows)])
        print(number, flush=True)

asyncio.run(main())
"""


def refuse(path: Path, message: str, *migrations: Migration) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        asyncio.run(SqliteStore(path).open(migrations))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tidemill.db"
    path.write_bytes(b"precious text" * 1000)
    refuse(path, "damaged or no Tidemill database.*backup")
    assert path.read_bytes() == b"precious text" * 1000


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refuse(tmp_path / "file" / "tidemill.db", "data folder .*file can't be used")
    (tmp_path / "tidemill.db").mkdir()
    refuse(tmp_path / "tidemill.db", "can't be opened")


def test_a_full_disk_is_one_sentence_and_what_was_committed_stays(tmp_path: Path) -> None:
    path = tmp_path / "tidemill.db"
    small = Migration(
        component="test",
        number=1,
        sqlite=f"{TABLE.sqlite}; PRAGMA max_page_count = 40",
        postgres="",
    )

    async def main() -> None:
        store = SqliteStore(path)
        await store.open([small])
        await store.commit([Write(NOTE, [(1, "kept")])])
        with pytest.raises(StoreError, match=r"disk that holds .* is full: make room"):
            await store.commit([Write(NOTE, [(n, "x" * 4000) for n in range(2, 200)])])
        assert await store.fetch("SELECT id, text FROM note") == [(1, "kept")]
        await store.close()

    asyncio.run(main())


def test_the_log_stays_short_however_much_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_PAGES", 50)
    monkeypatch.setattr(checkpoint, "LONG_PAGES", 200)
    path = tmp_path / "tidemill.db"

    async def main() -> None:
        store = SqliteStore(path)
        await store.open([TABLE])
        for number in range(2_000):
            await store.commit([Write(NOTE, [(number, "x" * 2000)])])
            await asyncio.sleep(0)
        log_bytes = path.with_name("tidemill.db-wal").stat().st_size
        await store.close()
        assert log_bytes < 1_000 * 4096, "the log was never begun anew"
        assert {entry.name for entry in tmp_path.iterdir()} == {"tidemill.db", "tidemill.db.lock"}

    asyncio.run(main())


def test_a_backup_taken_amid_commits_is_whole(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqliteStore(tmp_path / "tidemill.db")
        await store.open([TABLE])
        await store.commit([Write(NOTE, [(n, "x" * 500) for n in range(20_000)])])
        backup = asyncio.create_task(store.backup(str(tmp_path / "copy.db")))
        number = 20_000
        while not backup.done():
            await store.commit([Write(NOTE, [(number, "a"), (number + 1, "b")])])
            number += 2
            await asyncio.sleep(0)
        await backup
        with pytest.raises(StoreError, match="exists already"):
            await store.backup(str(tmp_path / "copy.db"))
        await store.close()

        copy = SqliteStore(tmp_path / "copy.db")
        await copy.open([TABLE])
        ((count, last),) = await copy.fetch("SELECT COUNT(*), MAX(id) FROM note")
        assert 20_000 <= count == last + 1
        assert count % 2 == 0
        assert await copy.fetch("PRAGMA integrity_check") == [("ok",)]
        await copy.close()

    asyncio.run(main())


def test_killed_at_any_moment_it_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "tidemill.db"
    acknowledged = 0
    for round_ in range(3):
        path.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                acknowledged = int(line)
                if acknowledged >= 100 * (round_ + 1):
                    writer.send_signal(signal.SIGKILL)
        database = apsw.Connection(str(path))
        counts = database.execute(
            "SELECT number, COUNT(*) FROM event_cursor GROUP BY number ORDER BY number"
        ).fetchall()
        database.close()
        assert len(counts) >= acknowledged
        assert counts == [(number, 10) for number in range(1, len(counts) + 1)]
