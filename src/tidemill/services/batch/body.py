"""The bodies of jobs that are about to start: the newest few megabytes, the rest is loaded."""

from __future__ import annotations

from tidemill.services.batch.launch import Launch

SIZE_MAX_BYTES = 4 * 1024 * 1024


class BodyCache:
    """Bodies by job id; those that were not used for longest go first.

    A body is put in when its job is submitted, so that a job that starts at once is never
    loaded, and taken apart when its first attempt starts, so that an array's is so only once.
    """

    def __init__(self, size_max_bytes: int = SIZE_MAX_BYTES) -> None:
        self._kept: dict[str, bytes | Launch] = {}
        self._size_bytes = 0
        self._size_max_bytes = size_max_bytes

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._kept

    def put(self, job_id: str, body: bytes) -> None:
        """Keep a body, letting go of as many as it takes."""
        self.drop(job_id)
        self._kept[job_id] = body
        self._size_bytes += len(body)
        while self._size_bytes > self._size_max_bytes and len(self._kept) > 1:
            self.drop(next(iter(self._kept)))

    def launch(self, job_id: str) -> Launch:
        """How to start attempts of the job, whose body must be here.

        Raises `ValueError` when the body tells of no program.
        """
        found = self._kept.pop(job_id)
        if isinstance(found, bytes):
            self._size_bytes -= len(found)
            found = Launch(found)
            self._size_bytes += found.size_bytes
        self._kept[job_id] = found
        return found

    def drop(self, job_id: str) -> None:
        """Let one go, if it is here."""
        found = self._kept.pop(job_id, None)
        if found is not None:
            self._size_bytes -= found.size_bytes if isinstance(found, Launch) else len(found)
