"""Environments of one host: each has vCPUs of its own, all share the memory and the GPUs."""

from __future__ import annotations

import pytest


@pytest.fixture
def shared(world):
    """A machine of 1000 MiB and one GPU, on which a large and a small environment lie."""
    for name, vcpus in (("large", 8), ("small", 2)):
        world.environment(name, vcpus, memory_mib=1000, gpus=1, host="machine")
        world.queue(name, name)
    return world


def test_memory_is_given_out_once(shared) -> None:
    shared.submit("a", shared.asks(1, 700), "large")
    shared.submit("b", shared.asks(1, 400), "small")
    assert shared.cycle() == ["a@large"]
    assert shared.why("b") == (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - needs 400 MiB; `small` has 300 of 1000 free "
        "(shared with `large`)"
    )
    shared.release("a")
    assert shared.cycle() == ["b@small"]


def test_gpus_are_given_out_once(shared) -> None:
    shared.submit("a", shared.asks(1, 1, 1), "large")
    shared.submit("b", shared.asks(1, 1, 1), "small")
    assert shared.cycle() == ["a@large"]
    assert "needs 1 GPU; `small` has 0 of 1 free (shared with `large`)" in shared.why("b")


def test_vcpus_are_each_ones_own(shared) -> None:
    shared.submit("a", shared.asks(8, 1), "large")
    shared.submit("b", shared.asks(2, 1), "small")
    shared.submit("c", shared.asks(2, 1), "small")
    assert shared.cycle() == ["a@large", "b@small"]
    assert "shared" not in shared.why("c")


def test_what_each_uses_is_told_apart(shared) -> None:
    shared.submit("a", shared.asks(1, 700), "large")
    shared.submit("b", shared.asks(1, 100, 1), "small")
    shared.cycle()
    large, small = (shared.scheduler.environment_use(name) for name in ("large", "small"))
    assert (large.memory_mib, large.gpus, large.running) == (700, 0, 1)
    assert (small.memory_mib, small.gpus, small.running) == (100, 1, 1)


def test_a_head_keeps_memory_from_those_behind_it_elsewhere(shared) -> None:
    shared.queue("urgent", "large", priority=9)
    shared.submit("running", shared.asks(1, 500), "small")
    shared.cycle()
    shared.submit("head", shared.asks(1, 900), "urgent")
    shared.submit("little", shared.asks(1, 200), "small")
    assert shared.cycle() == []
    assert "kept for job head of queue `urgent`" in shared.why("little")
    shared.release("running")
    assert shared.cycle() == ["head@large"]


def test_a_head_that_lacks_vcpus_keeps_none_elsewhere(shared) -> None:
    shared.queue("urgent", "large", priority=9)
    shared.submit("running", shared.asks(8, 1), "large")
    shared.cycle()
    shared.submit("head", shared.asks(8, 1), "urgent")
    shared.submit("little", shared.asks(2, 1), "small")
    assert shared.cycle() == ["little@small"]


def test_a_host_of_its_own_is_shared_with_nobody(world) -> None:
    for name in ("one", "other"):
        world.environment(name, memory_mib=1000).queue(name, name)
        world.submit(f"in-{name}", world.asks(1, 1000), name)
    assert world.cycle() == ["in-one@one", "in-other@other"]


def test_one_that_is_removed_gives_back_what_it_has_left(shared) -> None:
    shared.submit("a", shared.asks(1, 700), "large")
    shared.cycle()
    shared.queue("large", "small").scheduler.remove_environment("large")
    shared.submit("b", shared.asks(1, 400), "small")
    assert shared.cycle() == []
    shared.release("a")
    assert shared.cycle() == ["b@small"]


def test_a_smaller_machine_lets_run_what_runs(shared) -> None:
    shared.submit("a", shared.asks(1, 700), "large")
    shared.cycle()
    for name, vcpus in (("large", 8), ("small", 2)):
        shared.environment(name, vcpus, memory_mib=600, host="machine")
    shared.submit("b", shared.asks(1, 100), "small")
    assert shared.cycle() == []
    assert "`small` has 0 of 600 free" in shared.why("b")
    shared.release("a")
    assert shared.cycle() == ["b@small"]


@pytest.fixture
def busy(world):
    """The same with engines that hold attempts back, in the midst of short jobs."""
    for name in ("large", "small"):
        world.environment(name, 2, memory_mib=1000, host="machine", look_ahead=True)
        world.queue(name, name)
    world.submit("short", world.asks(1, 200), "large", size=100)
    assert len(world.cycle()) == 2
    world.release("short:0", "short:1")
    return world


def test_engines_are_handed_over_early_what_has_memory_already(busy) -> None:
    """An engine knows nothing of its neighbours: it starts what it holds once a CPU is free."""
    assert len(busy.cycle()) == 4
    use = busy.scheduler.environment_use("large")
    assert (use.running, use.ahead) == (2, 2)
    busy.submit("other", busy.asks(1, 300), "small")
    assert busy.cycle() == [], "400 are in use, and 400 are for those ahead"
    assert "needs 300 MiB; `small` has 600 of 1000 free (shared with `large`)" in busy.why("other")


def test_engines_are_handed_nothing_early_that_would_have_to_wait_for_memory(busy) -> None:
    busy.submit("other", busy.asks(1, 500), "small")
    busy.queue("small", "small", priority=9)
    assert busy.cycle() == ["other@small", "short:2@large", "short:3@large"]
    busy.release("short:2")
    assert busy.cycle() == ["short:4@large"]
    busy.release("other")
    assert busy.scheduler.environment_use("large").ahead == 0
