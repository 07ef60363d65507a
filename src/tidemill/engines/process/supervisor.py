"""The runner's heart: starts attempts as room comes free, sees their ends, reports both.

Everything is gathered during a wake-up and done in one `turn` at its end, in an order that keeps
the promises: output is in the log store before the end it belongs to is recorded; an end is in
the journal before it is reported; an intent is in the journal before its process exists. What
is to start goes first, so that no room stands empty while the books are kept of what has ended.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from tidemill.engines.process import memory, proc
from tidemill.engines.process.journal import Entry, Head, Intent, Journal, Settled, Spawned
from tidemill.engines.process.orphan import Orphans
from tidemill.engines.process.outbox import Outbox
from tidemill.engines.process.poll import Poll, Timer
from tidemill.engines.process.pool import Pools
from tidemill.engines.process.protocol import Ended, Exited, Lost, Order
from tidemill.engines.process.reaper import Death, Reaper
from tidemill.engines.process.run import Run
from tidemill.engines.process.spawn import ShortageError, Spawner, SpawnError, is_shortage
from tidemill.engines.process.warm import WarmPool
from tidemill.platform.log_writer import LogWriter

RETRY_S: Final = 1.0
"""After how long it is tried again what a full disk did not take, or what lacked files."""


FILES_KEPT: Final = 16
"""Of the files that the runner may open: for its server, its journal and its looks at memory."""


class Supervisor:
    """Knows every attempt of this runner, from its order until its end is settled."""

    def __init__(
        self,
        poll: Poll,
        logs: LogWriter,
        spawner: Spawner,
        journal: Journal,
        head: Head,
        ended: dict[str, Ended],
    ) -> None:
        self.pools = Pools()
        self.outbox = Outbox(poll, self._watch)
        self.head = head
        self.reap_due = False
        self._poll = poll
        self._logs = logs
        self._spawner = spawner
        self._journal = journal
        self._reaper = Reaper()
        self._memory = memory.Watch()
        self._warm = WarmPool(poll, spawner, self, head.mark)
        self._runs: dict[str, Run] = {}
        self._by_pid: dict[int, Run] = {}
        self._orphans = Orphans(
            poll,
            self._reaper,
            self._runs,
            self._by_pid,
            self._is_own,
            head.mark,
            lambda stray: self._entries.append(stray),
        )
        self._ended = ended
        self._taken: list[Run] = []
        self._short: list[Run] = []
        """Meant to start, but the machine had no file or process for them: tried again soon."""
        self._dead: list[Callable[[], None]] = []
        """How each attempt is finished that this wake-up has found dead: after the next begin."""
        self._entries: list[Entry] = []
        self._new_ends: list[Ended] = []
        self._look_timer: Timer | None = None
        self._retry_timer: Timer | None = None

    # What the server orders.

    def start(self, orders: Sequence[Order]) -> None:
        """Start what is not known yet, in this order; report what is."""
        for order in orders:
            if not self.pools.holds(order.attempt_id) and not self._report(order.attempt_id):
                self.pools.hold(order)

    def recover(self, attempt_ids: Sequence[str]) -> None:
        """Report what became of each."""
        for attempt_id in attempt_ids:
            if not self.pools.holds(attempt_id) and not self._report(attempt_id):
                self._report_unknown(attempt_id)

    def stop(self, stops: Sequence[tuple[str, float]]) -> None:
        """Drop what waits, end what runs."""
        for attempt_id, grace_s in stops:
            if self.pools.drop(attempt_id):
                self._end(Exited(attempt_id, _now_ms()))
            elif (run := self._runs.get(attempt_id)) is not None:
                self._stop(run, grace_s)
            elif not self._report(attempt_id):
                self._report_unknown(attempt_id)

    def settle(self, attempt_ids: Sequence[str]) -> None:
        """Forget ended attempts."""
        known = [attempt_id for attempt_id in attempt_ids if self._ended.pop(attempt_id, None)]
        if known:
            self._entries.append(Settled(known))

    def stop_all(self, grace_s: float) -> None:
        """Stop everything; `is_idle` says when it is done."""
        self.stop([(attempt_id, grace_s) for attempt_id in (*self.pools.held(), *self._runs)])

    def lead(self, epoch: int) -> None:
        """Remember that orders of epochs before this one are refused."""
        if epoch > self.head.epoch:
            self.head.epoch = epoch
            self._entries.append(self.head)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing is left to be recorded."""
        return not self._runs and not self._entries and not self._new_ends

    @property
    def lost_bytes(self) -> int:
        """How much output of attempts was dropped because it could not be written."""
        return self._logs.lost_bytes

    # What happens in a wake-up.

    def turn(self) -> bool:
        """Do what this wake-up has led to; False when it can't be recorded, nor told, for now."""
        self._warm.read()
        if self.reap_due:
            self.reap_due = False
            self._reap()
        has_begun = self._begin_next()
        self._warm.flush()
        dead, self._dead = self._dead, []
        for finish in dead:
            finish()
        self._flush_logs()
        if not self._record(self._new_ends) or not has_begun:
            return False
        for end in self._new_ends:
            self.outbox.ended(end)
        self._new_ends.clear()
        if self._journal.is_bloated:
            with contextlib.suppress(OSError):  # no room for another file: this one goes on
                self._journal.rewrite(self._live())
        return True

    def close(self) -> None:
        """Let go of everything at the runner's end."""
        self._warm.close()
        self._logs.close()

    def forked(self, run: Run, pid: int, at_ms: int) -> None:
        """A warm interpreter has forked the attempt."""
        self._begin(run, pid, at_ms)

    def fell_cold(self, run: Run) -> None:
        """No warm interpreter will start the attempt: spawn it."""
        self._launch(run, warm=False)

    def exited(self, run: Run, status: int, cpu_s: float, memory_peak_bytes: int) -> None:
        """A warm interpreter has reaped the attempt's process."""
        self._remove(run)
        self._orphans.sweep()
        self._dead.append(partial(self._finish, run, status, cpu_s, memory_peak_bytes))

    def vanished(self, run: Run) -> None:
        """The warm interpreter died, and with it the knowledge of what became of the attempt."""
        self._remove(run)
        self._orphans.sweep(lost_forks=True)
        self._close(run)
        reason = "The interpreter that it was forked from died."
        self._end(Lost(run.order.attempt_id, _now_ms(), reason))

    def _begin_next(self) -> bool:
        """Start all that has room; False when it can't be recorded that it is meant to."""
        failed = True
        while failed:
            orders = list(self.pools.take())
            refused = [order for order in orders if not self._admit(order)]
            for order in reversed(refused):
                self.pools.put_back(order)
            if not self._record():
                return False
            taken, self._taken = self._taken, []
            failed = sum(map(self._launch, taken)) < len(taken)
        return True

    def _admit(self, order: Order) -> bool:
        """Give an attempt that has room its log stream, and mean to start it.

        False when the machine has no room or no file for the stream now.
        """
        now_ms = _now_ms()
        try:
            stream = self._logs.open(order.log_group, order.log_stream, now_ms)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and is_shortage(error):
                self._turn_again()
                return False
            self.pools.release(order)
            reason = f"CannotStartContainerError: its log stream can't be written: {error}"
            self._end(Exited(order.attempt_id, now_ms, reason=reason))
            return True
        run = self._runs[order.attempt_id] = Run(order, stream)
        self._taken.append(run)
        self._entries.append(Intent(order.attempt_id, now_ms))
        return True

    def _launch(self, run: Run, *, warm: bool = True) -> bool:
        """Make the attempt's process, or record why there is none; False when it has ended so."""
        if run.stop_grace_s is not None:
            self._fail(run, "")
            return False
        if warm and self._warm.takes(run):
            return True
        try:
            output = self.open_output(run)
            try:
                now_ms = _now_ms()
                pid = self._spawner.spawn(run.order, output)
            finally:
                os.close(output)
        except ShortageError:
            self.close_output(run)
            self._short.append(run)
            self._turn_again()
            return True
        except SpawnError as error:
            self._fail(run, str(error))
            return False
        self._begin(run, pid, now_ms)
        return True

    def open_output(self, run: Run) -> int:
        """Make the pipe for the attempt's output; its writing end. Raises `ShortageError`."""
        try:
            run.output, output = os.pipe()
        except OSError as error:
            raise ShortageError(f"there is no pipe for its output: {error.strerror}") from None
        if output >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - FILES_KEPT:
            os.close(output)
            self.close_output(run)
            raise ShortageError("the runner needs the last files itself")
        os.set_blocking(run.output, False)
        return output

    def _watch(self, attempt_id: str) -> None:
        """Follow the output of an attempt that goes on; a short one's is read at its end."""
        run = self._runs.get(attempt_id)
        if run is not None and run.output >= 0 and not run.is_watched:
            run.is_watched = True
            self._poll.add(run.output, lambda: self._read(run))

    def _read(self, run: Run) -> None:
        if run.output >= 0 and not run.read(_now_ms()):
            self.close_output(run)

    def close_output(self, run: Run) -> None:
        """Let go of the pipe, read or not."""
        if run.output >= 0:
            if run.is_watched:
                self._poll.remove(run.output)
            os.close(run.output)
            run.output = -1

    def _begin(self, run: Run, pid: int, at_ms: int) -> None:
        run.pid = pid
        run.started_ms = at_ms
        run.boot_ticks = proc.boot_ticks()
        self._by_pid[pid] = run
        self._entries.append(Spawned(run.order.attempt_id, pid, run.boot_ticks))
        self.outbox.started(run.order.attempt_id, at_ms)
        if self._look_timer is None:
            self._look_timer = self._poll.after(memory.INTERVAL_S, self._look)
        if run.stop_grace_s is not None:
            self._stop(run, run.stop_grace_s)

    def _stop(self, run: Run, grace_s: float) -> None:
        run.stop_grace_s = grace_s
        if not run.pid:
            if self._warm.gives_back(run):
                self._fail(run, "")
            return
        run.signal(signal.SIGTERM)
        if run.kill_timer is not None:
            run.kill_timer.cancel()
        run.kill_timer = self._poll.after(grace_s, run.kill)

    def _look(self) -> None:
        """Kill what uses more memory than it may; take note of what got away from its parents."""
        self._look_timer = None
        oldest = next(iter(self._by_pid.values()), None)
        if oldest is None:
            return
        delay_s = memory.INTERVAL_S
        if oldest.boot_ticks + memory.INTERVAL_S * proc.TICKS_PER_S <= proc.boot_ticks():
            self._orphans.sweep()
            over, delay_s = self._memory.look(self._by_pid.values())
            for run in over:
                run.out_of_memory = True
                run.kill()
        self._look_timer = self._poll.after(delay_s, self._look)

    # Ends.

    def _reap(self) -> None:
        others: list[int] = []
        for death in self._reaper.reap(self._by_pid.__contains__):
            run = self._by_pid.get(death.pid)
            if run is not None:
                self._remove(run)
                self._dead.append(partial(self._finish_dead, run, death))
            elif not self._orphans.reaped(death.pid):
                others.append(death.pid)
        self._orphans.sweep()
        for pid in others:
            self._warm.died(pid)

    def _remove(self, run: Run) -> None:
        del self._runs[run.order.attempt_id]
        self._by_pid.pop(run.pid, None)
        if run.kill_timer is not None:
            run.kill_timer.cancel()
        run.kill_adopted()
        self.pools.release(run.order)

    def _is_own(self, pid: int) -> bool:
        return pid in self._by_pid or self._warm.owns(pid)

    def _finish_dead(self, run: Run, death: Death) -> None:
        cpu_s = death.usage.ru_utime + death.usage.ru_stime
        self._finish(run, death.status, cpu_s, death.usage.ru_maxrss * 1024)

    def _finish(self, run: Run, status: int, cpu_s: float, memory_peak_bytes: int) -> None:
        now_ms = _now_ms()
        if run.output >= 0:
            run.drain(now_ms)
        self._close(run)
        self._end(run.exited(now_ms, status, cpu_s, memory_peak_bytes))

    def _fail(self, run: Run, reason: str) -> None:
        """End an attempt that never ran."""
        self._remove(run)
        self._close(run)
        self._end(Exited(run.order.attempt_id, _now_ms(), reason=reason))

    def _close(self, run: Run) -> None:
        self.close_output(run)
        run.stream.close(_now_ms())

    def _end(self, end: Ended) -> None:
        self._ended[end.attempt_id] = end
        self._new_ends.append(end)

    # What is remembered.

    def _record(self, ends: Sequence[Ended] = ()) -> bool:
        """Write what has gathered to the journal, and `ends`; False when it can't be."""
        if self._entries or ends:
            try:
                self._journal.write([*self._entries, *ends])
            except OSError:
                self._turn_again()
                return False
            self._entries.clear()
        return True

    def _flush_logs(self) -> None:
        self._logs.flush()
        if self._logs.is_waiting:
            self._turn_again()

    def _turn_again(self) -> None:
        """The disk takes nothing, or files have run out, for now: have another turn try again."""
        if self._retry_timer is None:
            self._retry_timer = self._poll.after(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        self._taken += self._short
        self._short.clear()

    def _live(self) -> list[Entry]:
        entries: list[Entry] = [self.head]
        for attempt_id, run in self._runs.items():
            entries.append(Intent(attempt_id, run.started_ms or _now_ms()))
            if run.pid:
                entries.append(Spawned(attempt_id, run.pid, run.boot_ticks))
        return [*entries, *self._orphans.strays(), *self._ended.values()]

    def _report(self, attempt_id: str) -> bool:
        """Report again what is known of an attempt; False when nothing is."""
        if (run := self._runs.get(attempt_id)) is not None:
            if run.started_ms is not None:
                self.outbox.started(attempt_id, run.started_ms)
        elif (end := self._ended.get(attempt_id)) is not None:
            self.outbox.add(end)
        else:
            return False
        return True

    def _report_unknown(self, attempt_id: str) -> None:
        self.outbox.add(Lost(attempt_id, _now_ms(), "The runner does not know it."))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
