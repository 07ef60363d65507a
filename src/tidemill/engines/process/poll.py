"""The runner's one place to wait: an epoll over all that may happen, and timers."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable
from typing import Final

READ: Final = select.EPOLLIN
READ_WRITE: Final = select.EPOLLIN | select.EPOLLOUT


class Timer:
    """A call that is due later; `callback` is None once it was made or cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget it; harmless when it has fired."""
        self.callback = None


class Poll:
    """Calls back what is registered for a file or due at a time; `wait` is one wake-up."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def add(self, file: int, handler: Callable[[], None]) -> None:
        """Call `handler` at each wake-up in which `file` can be read or was closed."""
        self._epoll.register(file, READ)
        self._handlers[file] = handler

    def modify(self, file: int, events: int) -> None:
        """Wait for other events of a file that was added."""
        self._epoll.modify(file, events)

    def remove(self, file: int) -> None:
        """Forget `file`, which is closed next: that takes it out of the epoll as well."""
        del self._handlers[file]

    def after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back in the first wake-up after `delay_s`."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), timer))
        return timer

    def wait(self) -> None:
        """Sleep until something happens, then call all whose time it is."""
        for file, _ in self._epoll.poll(self._timeout_s(), 256):
            handler = self._handlers.get(file)
            if handler is not None:
                handler()
        timers = self._timers
        while timers and timers[0][0] <= time.monotonic():
            timer = heapq.heappop(timers)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def _timeout_s(self) -> float | None:
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not timers:
            return None
        return max(0.0, timers[0][0] - time.monotonic())
