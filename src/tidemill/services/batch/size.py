"""How large a definition and a submission may be, measured as AWS does: in bytes of JSON.

Source: AWS Batch user guide, "Service quotas"; for overrides Amazon ECS API Reference, RunTask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tidemill.platform.limit import Limits
from tidemill.services.batch import parameter
from tidemill.services.batch.container import Container
from tidemill.services.batch.definition import Template
from tidemill.services.batch.error import Refused
from tidemill.services.batch.node import NodeSet

OWN_LETTERS: Final = 512
"""Of the overrides: what the variables come to at most that AWS Batch adds to each job."""

_encode = msgspec.json.Encoder().encode


def check_submission(
    template: Template, params: Mapping[str, Any], parameters: Mapping[str, str], limits: Limits
) -> None:
    """Refuse a SubmitJob that AWS would not take, or would take and let fail at its start.

    `parameters` are the definition's with the submission's over them.
    """
    size = len(_encode(params))
    if size > limits.job_bytes_max:
        raise Refused(
            f"Job size must be at most {limits.job_bytes_max} bytes as JSON; got {size}. Put what "
            "is long into S3 and give the job its address."
        )
    room = limits.overrides_letters_max - OWN_LETTERS
    for override in _overrides(template, params, parameters, is_large=size > room):
        encoded = _encode(override)
        if len(encoded) > room and (letters := len(encoded.decode())) > room:
            raise Refused(
                "Container overrides length must be at most "
                f"{limits.overrides_letters_max} characters as JSON; the overrides, and the "
                f"command with its parameters put in, come to {letters}, to which Batch adds up "
                f"to {OWN_LETTERS}. Put what is long into S3 and give the job its address."
            )


def check_definition(params: Mapping[str, Any], limits: Limits) -> None:
    """Refuse a RegisterJobDefinition that is larger than AWS takes."""
    size = len(_encode(params))
    if size > limits.definition_bytes_max:
        raise Refused(
            f"Job definition size must be at most {limits.definition_bytes_max} bytes as JSON; got "
            f"{size}. Put what is long into S3 and give the job its address."
        )


def _overrides(
    template: Template, params: Mapping[str, Any], parameters: Mapping[str, str], *, is_large: bool
) -> Iterator[Mapping[str, Any]]:
    """What ECS is told to override, of each container; none where it can't come to too much."""
    if isinstance(template.work, NodeSet):
        yield from _of_nodes(template.work, params, parameters)
    elif is_large or template.work.container.refers:
        yield _override(template.work.container, params, parameters)


def _of_nodes(
    nodes: NodeSet, params: Mapping[str, Any], parameters: Mapping[str, str]
) -> Iterator[Mapping[str, Any]]:
    for found in nodes.ranges:
        yield _override(found.properties.container, {}, parameters)
    for entry in (params.get("nodeOverrides") or {}).get("nodePropertyOverrides") or ():
        yield _override(nodes.ranges[0].properties.container, entry, parameters)


def _override(
    container: Container, stated: Mapping[str, Any], parameters: Mapping[str, str]
) -> Mapping[str, Any]:
    override = stated.get("containerOverrides") or _of_task(stated) or {}
    command: Sequence[str] = override.get("command") or ()
    if not command and container.refers:
        command = container.detail["command"]
    return {**override, "command": parameter.substitute(command, parameters)}


def _of_task(stated: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for each in (stated.get("ecsPropertiesOverride") or {}).get("taskProperties") or ():
        for override in each.get("containers") or ():
            found: Mapping[str, Any] = override
            return found
    return None
