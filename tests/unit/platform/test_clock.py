"""The clocks: a timer is never early, and virtual time moves only when it is moved."""

from __future__ import annotations

import asyncio

from tidemill.platform.clock import RealClock, VirtualClock


def test_virtual_timers_fire_in_order_within_the_advance_that_reaches_them() -> None:
    clock = VirtualClock()
    fired: list[tuple[str, int]] = []

    def note(name: str) -> None:
        fired.append((name, clock.now().mono_ms))

    clock.call_at(300, lambda: note("late"))
    cancelled = clock.call_at(100, lambda: note("cancelled"))
    clock.call_at(200, lambda: note("early"))
    cancelled.cancel()
    assert clock.next_due_ms == 200
    clock.advance(199)
    assert fired == []
    clock.advance(101)
    assert [name for name, _ in fired] == ["early", "late"]
    assert clock.next_due_ms is None


def test_both_virtual_clocks_move_together() -> None:
    clock = VirtualClock(wall_ms=5_000)
    before = clock.now()
    clock.advance(1_234)
    after = clock.now()
    assert after.wall_ms - before.wall_ms == after.mono_ms - before.mono_ms == 1_234


def test_a_real_timer_is_never_early() -> None:
    async def main() -> None:
        clock = RealClock()
        for delay_ms in (0, 1, 7):
            due_ms = clock.now().mono_ms + delay_ms
            fired = asyncio.Event()
            clock.call_at(due_ms, fired.set)
            await asyncio.wait_for(fired.wait(), 30)
            assert clock.now().mono_ms >= due_ms

    asyncio.run(main())
