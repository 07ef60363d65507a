"""What a handle of a call and one of a map have in common.

A handle holds only names: the jobs' ids and where their results lie. Everything else is asked for,
so that a handle made again from the id, in any process, is as good as the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Generic, NoReturn, Self, TypeVar

from tidemill.sdk import watch
from tidemill.sdk.blockage import Blockage
from tidemill.sdk.client import Connection
from tidemill.sdk.codec import Encoded, decode
from tidemill.sdk.ledger import Ledger
from tidemill.sdk.progress import Bar, Progress
from tidemill.sdk.shape import Shape
from tidemill.sdk.watch import Sight

R = TypeVar("R")
OnProgress = Callable[[Progress], object]
CANCELLED: Final = "Cancelled by its submitter."
RESULTS: Final = "results/"


class Handle(Generic[R]):
    """What a run of one call and a map have in common."""

    def __init__(self, ledger: Ledger, reference: str, shape: Shape | None, job_id: str) -> None:
        """`shape` None is found by the function's own hints when a result is first decoded."""
        self._ledger = ledger
        self._connection: Connection = ledger.connection
        self._url = ledger.run_url + RESULTS
        self._reference = reference
        self._shape = shape
        self.id = job_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of {self._reference}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is a handle, not a value; give it to submit() as an argument by itself, "
            f"or take its result() first"
        )

    def _look(self) -> Sight:
        """How it is now, with all that was done again, here or by another process."""
        sight = self._glance()
        while sight.status == "FAILED" and self._ledger.refresh():
            sight = self._glance()
        return sight

    def _glance(self) -> Sight:
        return self._ledger.look()

    @property
    def status(self) -> str:
        """AWS's word for the state that it is in now."""
        return self._look().status

    @property
    def why(self) -> str:
        """What it waits for, or why it ended as it did; may be empty."""
        return self._look().why

    @property
    def progress(self) -> Progress:
        """How far it is now, by what its jobs say themselves too (`tm.progress` inside them)."""
        return self._progress(self._look())

    def _progress(self, sight: Sight) -> Progress:
        raise NotImplementedError

    def cancel(self, reason: str = CANCELLED) -> None:
        """End it, in whatever state it is: what runs gets SIGTERM, 30 s later SIGKILL."""
        batch = self._connection.client("batch")
        for job_id in self._current_ids():
            batch.terminate_job(jobId=job_id, reason=reason)

    def _current_ids(self) -> list[str]:
        return [part.job_id for part in self._ledger.current()]

    def wait(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Return its status once it has ended; `TimeoutError` after `timeout` seconds.

        `progress` paints a bar on the terminal; `on_progress` is called with a `Progress` each
        time that it has changed. Warns once when it, or what it waits for, can't run as things are
        set up, unless the bar says so.
        """
        return self._wait(timeout, progress, on_progress).status

    def _wait(
        self, timeout_s: float | None, progress: bool, on_progress: OnProgress | None = None
    ) -> Sight:
        heed = self._blockage.see
        if not progress and on_progress is None:
            sight = watch.until_end(self._connection, self._look, timeout_s, heed=heed)
        else:
            with Bar(self._name, self._progress, is_shown=progress, tell=on_progress) as bar:
                told = None if bar.is_shown else heed  # the bar shows the reason
                sight = watch.until_end(self._connection, self._look, timeout_s, bar.see, told)
        if not sight.has_ended:
            why = f": {sight.why}" if sight.why else ""
            raise TimeoutError(f"{self._told()} is still {sight.status} after {timeout_s:g} s{why}")
        return sight

    @functools.cached_property
    def _blockage(self) -> Blockage:
        return Blockage(self._connection, self._told())

    def _look_and_heed(self) -> tuple[Sight, str | None]:
        sight = self._look()
        return sight, self._blockage.find(sight)

    async def _awaited(self) -> Any:
        """The result, while the event loop goes on with other work."""
        import asyncio

        pace = watch.Pace(self._connection)
        while True:
            sight, told = await asyncio.to_thread(self._look_and_heed)
            if sight.has_ended:
                break
            if told is not None:  # here, where the line that awaits is found
                self._blockage.warn(told)
            await asyncio.sleep(pace.pause_s())
        return await asyncio.to_thread(self.result)

    def result(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """What the function returned."""
        raise NotImplementedError

    def retry(self) -> Self:
        """Do again what has failed, and what hangs on it, with the code as it is now.

        What it waits for is done again first where that has failed; of a map, only the failed
        children; then whatever was submitted to wait for it, and so on. Every handle of them, here
        and in other processes, then shows the new run of things. Returns itself. Does nothing where
        nothing has failed; `TidemillError` while any of it is still under way.
        """
        from tidemill.sdk import resumption

        resumption.resume(self)
        return self

    @property
    def _name(self) -> str:
        return self._reference.rpartition(":")[2]

    def _told(self) -> str:
        return f"{self._name} (job {self.id})"

    def _decode(self, encoded: Encoded) -> Any:
        if self._shape is None:
            self._shape = self._find_shape()
        return decode(encoded, self._shape)

    def _find_shape(self) -> Shape:
        raise NotImplementedError


@functools.lru_cache(maxsize=256)
def job_of(reference: str) -> Any:
    """The function that a handle from elsewhere is of: its hints say how to read its results."""
    from tidemill.sdk import function

    return function.job_of(reference)
