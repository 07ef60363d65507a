"""What AWS takes of what a function asks for, refused before anything is sent there.

A server of ours says it itself: `--limits lifted` takes more.
Source: AWS Batch API Reference, RegisterJobDefinition and ResourceRequirement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tidemill.sdk.error import SubmitError

if TYPE_CHECKING:
    from tidemill.sdk.definition import Needs
    from tidemill.sdk.project import Project

TIMEOUT_MIN_S: Final = 60
ATTEMPTS_MAX: Final = 10
OVERRIDES_LETTERS_MAX: Final = 8192
"""Of command and environment as JSON: what Amazon ECS takes. Batch lets such a job fail instead."""
_AROUND_LETTERS: Final = 512
"""What Batch adds itself, and the command's own words."""
_GIB: Final = 1024
_FARGATE_MIB: Final = {
    0.25: (512, 1 * _GIB, 2 * _GIB),
    0.5: tuple(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}


def check(name: str, needs: Needs, place: Project) -> None:
    """Raise `SubmitError` for what AWS would refuse of the job `name`."""
    if needs.timeout_s is not None and needs.timeout_s < TIMEOUT_MIN_S:
        raise SubmitError(
            f"{name} has timeout={needs.timeout_s} s, and AWS takes no less than {TIMEOUT_MIN_S}; "
            f"give it that, or none."
        )
    if needs.attempts > ATTEMPTS_MAX:
        raise SubmitError(
            f"{name} has attempts={needs.attempts}, and AWS takes at most {ATTEMPTS_MAX}."
        )
    vcpus = float(needs.vcpus)
    if place.platform == "FARGATE":
        _check_fargate(name, vcpus, needs.memory_mib)
    elif not vcpus.is_integer():
        raise SubmitError(
            f"{name} has vcpus={needs.vcpus}, and on EC2 AWS takes whole ones only; give it a "
            f'whole number, or run it with platform = "FARGATE".'
        )


def check_letters(name: str, request: Mapping[str, Any]) -> None:
    """Raise `SubmitError` for a SubmitJob that AWS would take, and then let fail at its start."""
    given = [*request["parameters"].values(), request.get("containerOverrides", {})]
    letters = len(json.dumps(given)) + _AROUND_LETTERS
    if letters > OVERRIDES_LETTERS_MAX:
        raise SubmitError(
            f"The arguments and the environment of {name} come to {letters:,} letters, and AWS "
            f"takes {OVERRIDES_LETTERS_MAX:,}; put what is long in the environment into S3, or "
            f"into the image."
        )


def _check_fargate(name: str, vcpus: float, memory_mib: int) -> None:
    sizes = _FARGATE_MIB.get(vcpus)
    if sizes is None:
        listed = ", ".join(f"{size:g}" for size in _FARGATE_MIB)
        raise SubmitError(f"{name} has vcpus={vcpus:g}; Fargate takes one of {listed}.")
    if memory_mib not in sizes:
        more = next((size for size in sizes if size > memory_mib), None)
        told = f"give it {more}" if more else "give it more vCPUs"
        raise SubmitError(
            f"{name} has memory={memory_mib} MiB beside {vcpus:g} vCPU, which Fargate does not "
            f"have; {told} ({sizes[0]} to {sizes[-1]} MiB are possible)."
        )
