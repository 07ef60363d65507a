"""What `tidemill doctor` looks at, in the order in which a job needs it.

Nothing here changes anything: what can't be tried without, is said to be unchecked.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from tidemill.cli import examine_code, examine_image, examine_server, examine_storage, permission
from tidemill.cli.finding import (
    Finding,
    code_of,
    failed,
    note,
    ok,
    place_of,
    unchecked,
    wrong,
)
from tidemill.sdk import project
from tidemill.sdk.client import Connection
from tidemill.sdk.project import Project


def findings(modules: Sequence[str]) -> Iterator[Finding]:
    """Everything, up to what nothing can be said without."""
    place = yield from _project()
    connection = (yield from _server()) if place is not None else None
    if place is None or connection is None:
        return
    if not (yield from _credentials(connection)):
        yield unchecked("the rest", "needs what is wrong above")
        return
    if not connection.is_aws:
        yield from examine_server.findings()
    environments = yield from _queue(connection, place)
    yield from examine_storage.findings(connection, place)
    yield from examine_image.findings(connection, place, environments)
    yield from examine_code.findings(place, modules)
    yield from permission.findings(connection, place)


def _project() -> Generator[Finding, None, Project | None]:
    from tidemill.sdk.error import TidemillError

    try:
        place = project.current()
    except TidemillError as error:
        found, _, remedy = str(error).rstrip(".").partition("; ")
        yield wrong("project", found, remedy)
        return None
    file = project.find(Path.cwd())
    if file is None:
        yield note("project", "there is no pyproject.toml here or above; the defaults hold")
    else:
        chosen = f"profile {place.profile}" if place.profile else "no profile"
        yield ok("project", f"{file}, {chosen}")
    return place


def _server() -> Generator[Finding, None, Connection | None]:
    import click
    from botocore.exceptions import BotoCoreError

    from tidemill.cli.connection import client
    from tidemill.sdk.client import current
    from tidemill.sdk.error import TidemillError

    try:
        client("batch")
    except click.ClickException as error:
        found, _, remedy = error.message.rstrip(".").partition("; ")
        yield wrong("server", found, remedy)
        return None
    except (TidemillError, BotoCoreError) as error:
        yield failed("server", error, current())
        return None
    connection = current()
    yield ok("server", f"calls go to {place_of(connection)}")
    return connection


def _credentials(connection: Connection) -> Generator[Finding, None, bool]:
    from botocore.exceptions import ClientError

    if connection.session.get_credentials() is None:
        yield wrong("credentials", "there are none", _how_to_get_keys(connection))
        return False
    try:
        sent_s = time.time()
        who = connection.client("sts").get_caller_identity()
    except Exception as error:  # noqa: BLE001 - `failed` raises what is no error of the world
        is_answer = isinstance(error, ClientError)
        yield failed("credentials" if is_answer else "server", error, connection)
        yield from _clock(getattr(error, "response", {}), time.time())
        return False
    yield ok("credentials", f"{who['Arn']}")
    yield from _clock(who, sent_s)
    return True


def _how_to_get_keys(connection: Connection) -> str:
    if connection.is_aws:
        return "run `aws configure`, or name `aws_profile` in [tool.tidemill] of pyproject.toml"
    return "run `tidemill config --write` beside the server"


def _clock(answer: dict[str, Any], here_s: float) -> Iterator[Finding]:
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not said:
        return  # a server of ours tells its time with its health
    there = parsedate_to_datetime(said)
    yield examine_server.clock(here_s - there.replace(tzinfo=there.tzinfo or UTC).timestamp())


def _queue(connection: Connection, place: Project) -> Generator[Finding, None, list[Any]]:
    """What there is to say about the queue; returns its compute environments."""
    batch = connection.client("batch")
    try:
        found = batch.describe_job_queues(jobQueues=[place.queue])["jobQueues"]
    except Exception as error:  # noqa: BLE001 - `failed` raises what is no error of the world
        yield failed("Batch", error, connection)
        return []
    yield ok("Batch", "answers")
    if not found:
        yield wrong(
            "queue",
            f"there is no queue {place.queue}",
            "make it, or name another as `queue` in [tool.tidemill] of pyproject.toml",
        )
        return []
    queue = found[0]
    yield _standing("queue", place.queue, queue)
    names = [each["computeEnvironment"] for each in queue.get("computeEnvironmentOrder", ())]
    try:
        pages = batch.describe_compute_environments(computeEnvironments=names)
    except Exception as error:  # noqa: BLE001 - see above
        if code_of(error) in {"AccessDeniedException", "AccessDenied"}:
            yield unchecked("environment", "these credentials may not look at them")
        else:
            yield failed("environment", error, connection)
        return []
    environments: list[Any] = pages["computeEnvironments"]
    for each in environments:
        yield _standing("environment", each["computeEnvironmentName"], each)
    return environments


def _standing(check: str, name: str, found: dict[str, Any]) -> Finding:
    if found.get("state") != "ENABLED":
        verb = "update-job-queue --job-queue" if check == "queue" else "update-compute-environment"
        return wrong(check, f"{name} is {found.get('state')}", f"`aws batch {verb} ...` enables it")
    if found.get("status") not in (None, "VALID"):
        why = found.get("statusReason") or "no reason is given"
        return wrong(check, f"{name} is {found['status']}: {why}", "see what its reason says")
    return ok(check, f"{name} is ENABLED and VALID")
