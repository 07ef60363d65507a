"""`tidemill submit`: any command of this machine as a job, run where it was submitted."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import click

from tidemill.cli.completion import queue_names
from tidemill.cli.connection import client
from tidemill.cli.explain import is_hopeless
from tidemill.cli.job import find, project_environment
from tidemill.cli.output import JSON_OPTION, print_json
from tidemill.sdk.client import current

DEFINITION = "tidemill-command"
FAIR = "fair"
"""The queue that every server begins with in which tenants share."""


@click.command(
    # Options after the command's name are the command's own.
    context_settings={"allow_interspersed_args": False},
)
@click.option("--name", help="The job's name; the command's own by default.")
@click.option(
    "--queue",
    metavar="NAME",
    help="The queue; by default `default`, or `fair` with --tenant.",
    shell_complete=queue_names,
)
@click.option(
    "--array", "array_size", type=click.IntRange(2), metavar="N", help="Run N children, 0 to N-1."
)
@click.option("--after", multiple=True, metavar="ID", help="Wait until this job has succeeded.")
@click.option(
    "--vcpus",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    default=1.0,
    show_default=True,
    help="Fractions too.",
)
@click.option(
    "--memory", type=click.IntRange(4), metavar="MIB", default=512, show_default=True, help="MiB."
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 10),
    metavar="N",
    default=1,
    show_default=True,
    help="How often it is tried, 1 to 10.",
)
@click.option(
    "--timeout", type=click.IntRange(1), metavar="S", help="Seconds that an attempt may take."
)
@click.option(
    "--tenant",
    metavar="NAME",
    help="Whose job it is: tenants of the queue `fair` take turns, whoever has more jobs waiting. "
    "AWS's share identifier; letters and digits.",
)
@click.option(
    "--priority",
    type=click.IntRange(0, 9999),
    metavar="N",
    help="Among the tenant's own; higher first.",
)
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="Tag the job, to find it by.")
@click.option("--env", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a variable.")
@JSON_OPTION
@click.argument("command", nargs=-1, required=True)
def submit(command: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Submit COMMAND as a job and print its id.

    The command runs in this folder with this PATH, for example:
    tidemill submit --array 10 -- ./resize.sh --fast

    On AWS it runs in the image that the project names.
    """
    batch = client("batch")
    request = _request(command, options)
    if current().is_aws:
        _go_to_aws(request, options)
    else:
        request["jobDefinition"] = _definition(batch)
    answer = batch.submit_job(**request)
    if as_json:
        answer.pop("ResponseMetadata", None)
        print_json(answer)
    else:
        click.echo(answer["jobId"])
    _warn_if_hopeless(answer["jobId"])


def _warn_if_hopeless(job_id: str) -> None:
    job = find([job_id]).get(job_id)
    if job is not None and is_hopeless(job):
        click.echo(
            f"It can't run, and holds back its queue: {job['statusReason']}; "
            f"`tidemill cancel {job_id}` takes it out.",
            err=True,
        )


def _request(command: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {
        "jobName": options["name"] or _name_of(command),
        "jobQueue": options["queue"] or (FAIR if options["tenant"] else "default"),
        "retryStrategy": {"attempts": options["attempts"]},
        "containerOverrides": {
            "command": list(command),
            "environment": project_environment() + [_variable(text) for text in options["pairs"]],
            "resourceRequirements": [
                {"type": "VCPU", "value": f"{options['vcpus']:g}"},
                {"type": "MEMORY", "value": str(options["memory"])},
            ],
        },
    }
    if options["array_size"]:
        request["arrayProperties"] = {"size": options["array_size"]}
    if options["after"]:
        request["dependsOn"] = [{"jobId": job_id} for job_id in options["after"]]
    if options["timeout"]:
        request["timeout"] = {"attemptDurationSeconds": options["timeout"]}
    if options["tenant"]:
        request["shareIdentifier"] = options["tenant"]
    if options["priority"] is not None:
        request["schedulingPriorityOverride"] = options["priority"]
    if options["tags"]:
        request["tags"] = dict(_pair(text, "--tag", "K=V") for text in options["tags"])
    return request


def _variable(text: str) -> dict[str, str]:
    name, value = _pair(text, "--env", "NAME=VALUE")
    return {"name": name, "value": value}


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not of the form {form}", param_hint=option)
    return name, value


def _name_of(command: tuple[str, ...]) -> str:
    stem = PurePath(command[0]).name
    legal = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
    return (legal.strip("-_") or "command")[:128]


def _definition(batch: Any) -> str:
    """The one definition behind every submitted command, registered at its first use."""
    known = batch.describe_job_definitions(jobDefinitionName=DEFINITION, status="ACTIVE")
    if known["jobDefinitions"]:
        return DEFINITION
    batch.register_job_definition(
        jobDefinitionName=DEFINITION,
        type="container",
        containerProperties={
            "image": "host",
            "command": ["true"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "512"},
            ],
        },
    )
    return DEFINITION


def _go_to_aws(request: dict[str, Any], options: dict[str, Any]) -> None:
    """There a command runs in the project's image, by its roles, and has nothing of this shell."""
    from tidemill.sdk import definition, limit
    from tidemill.sdk.definition import Needs

    place = definition.place_of_jobs(current())
    vcpus, timeout_s = f"{options['vcpus']:g}", options["timeout"] or None
    asked = Needs(vcpus=vcpus, memory_mib=options["memory"], timeout_s=timeout_s)
    limit.check(request["jobName"], asked, place)
    own = definition.definition_of_command(DEFINITION, ["true"], asked, place)
    given = [{"name": name, "value": value} for name, value in place.environment().items()]
    given += [_variable(text) for text in options["pairs"]]
    request["jobDefinition"] = definition.arn(current(), own)
    request["containerOverrides"]["environment"] = given
    if not options["queue"] and place.queue != "default":
        request["jobQueue"] = place.queue
