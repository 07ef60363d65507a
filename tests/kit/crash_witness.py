"""What jobs of the crash tests leave behind: a file of lines, each added whole by O_APPEND.

A job holds a lock while it, or anything that it started, lives; an attempt that finds its job's
lock taken runs beside its own ghost, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_LOCK = """\
exec 9>>"{folder}/locks/$AWS_BATCH_JOB_ID"
flock -n 9 && found=alone || found=ghost
"""
_SCRIPT = """\
me="$AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT $$"
echo "start $me $found" >>"{folder}/witness"
echo "output of $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ATTEMPT"
code=0
{work}
echo "end $me" >>"{folder}/witness"
exit $code
"""


@dataclass(slots=True)
class Seen:
    """What one attempt has written: the pids of its starts, and of its ends."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    ghosts: int = 0


class Witness:
    """The file, read as it grows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attempts: dict[tuple[str, int], Seen] = {}
        self.ended = 0
        (folder / "locks").mkdir(parents=True)
        self._path = folder / "witness"
        self._path.touch()
        self._offset = 0

    def script(self, name: str, work: str, *, is_locked: bool = True) -> str:
        """Write a job that does `work`, shell lines that may set `code`; its path.

        One that leaves nothing behind may do without the lock, which costs a process.
        """
        path = self.folder / f"{name}.sh"
        text = _LOCK + _SCRIPT if is_locked else _SCRIPT
        path.write_text(text.format(folder=self.folder, work=work))
        return str(path)

    def read(self) -> Witness:
        """Take in what was added since; half a line is left for later."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.decode().splitlines():
            self._take(line.split())
        return self

    def of(self, job_id: str, attempt: int = 1) -> Seen:
        """What that attempt has written so far."""
        self.read()
        return self.attempts.get((job_id, attempt), Seen())

    def check(self) -> None:
        """No attempt began twice, and none beside what an earlier one had left."""
        for attempt, seen in self.read().attempts.items():
            assert len(seen.starts) == 1, f"{attempt} ran {len(seen.starts)} times"
            assert not seen.ghosts, f"{attempt} ran beside its own ghost"
            assert seen.ends in ([], seen.starts), f"{attempt}: {seen}"

    def _take(self, words: list[str]) -> None:
        seen = self.attempts.setdefault((words[1], int(words[2])), Seen())
        pid = int(words[3])
        if words[0] == "end":
            seen.ends.append(pid)
            self.ended += 1
        else:
            seen.starts.append(pid)
            seen.ghosts += words[4:] == ["ghost"]
