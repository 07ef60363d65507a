"""How much memory there is for jobs: the machine's, or what the server's control groups allow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill.server import machine

GIB = 1 << 30


@pytest.mark.parametrize(
    ("own", "limits", "found"),
    [
        ("0::/\n", {"memory.max": "1073741824\n"}, [GIB]),
        ("0::/\n", {"memory.max": "max\n"}, []),
        ("0::/a/b\n", {"a/memory.max": f"{2 * GIB}\n", "a/b/memory.max": "max\n"}, [2 * GIB]),
        ("0::/a/b\n", {"a/memory.max": f"{2 * GIB}", "a/b/memory.max": f"{GIB}"}, [GIB, 2 * GIB]),
        ("9:cpu,cpuacct:/x\n4:memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "7"}, [7]),
        ("4:memory:/docker/not-shown\n", {"memory/memory.limit_in_bytes": f"{GIB}"}, [GIB]),
        ("4:cpu:/\n", {"cpu/memory.limit_in_bytes": "7"}, []),
        ("", {}, []),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    limits: dict[str, str],
    found: list[int],
) -> None:
    groups = tmp_path / "groups"
    for name, text in limits.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(machine, "CGROUPS", groups)
    monkeypatch.setattr(machine, "OWN_CGROUPS", tmp_path / "own")
    assert list(machine.memory_limits_bytes()) == found


def test_a_container_is_no_larger_than_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_limits_bytes", lambda: iter([2 * GIB]))
    assert machine.offer_of_this_machine(look_ahead=True).memory_mib == 2048 - machine.RESERVE_MIB
    monkeypatch.setattr(machine, "memory_limits_bytes", lambda: iter([]))
    machine_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    assert machine.offer_of_this_machine(look_ahead=True).memory_mib >= machine_mib * 3 // 4
