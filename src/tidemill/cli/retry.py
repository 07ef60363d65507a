"""`tidemill retry`: what failed, again.

A run of the library is retried by the library: only what failed, and what hangs on it. Any other
job is submitted again with what DescribeJobs tells of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

import click

from tidemill.cli.connection import client
from tidemill.cli.explain import ENDED, size
from tidemill.cli.output import JSON_OPTION, print_json
from tidemill.cli.selection import Choice, chooser
from tidemill.sdk.definition import RESULTS

Job = dict[str, Any]
AS_IT_WAS: Final = (
    "jobName", "jobQueue", "jobDefinition", "shareIdentifier", "parameters", "retryStrategy",
    "timeout", "propagateTags",
)  # fmt: skip


RETRIED: Final = "tidemill:retried-as"
"""The tag that says of a job that it was submitted again, so that no filter finds it twice."""
WELL: Final = "ended well; there is nothing to retry."
NOT_AGAIN: Final = frozenset({RETRIED, "tidemill:delay"})


@click.command()
@chooser("Those that failed; no others are ever retried.")
@JSON_OPTION
def retry(choice: Choice, as_json: bool) -> None:
    """Run again what failed, and print the ids of the new jobs.

    Of a run or a map of the library (`tidemill run`, `tidemill map`) only the children that failed
    run again, with the code as it is now, and then what was submitted to wait for them. Any other
    job is submitted again as it was; of an array all children, as AWS can't run some of them.

    Give ids; or filters, of which all must hold: then the failed jobs that they find are counted,
    and you are asked. Exits with 1 when one could not be retried.
    """
    jobs = choice.jobs("retry", ["FAILED"], has_failed=lambda _: True, but=RETRIED)
    jobs.sort(key=lambda job: job["createdAt"])  # so that what waits for another comes after it
    again: dict[str, list[str]] = {}
    refused = []
    for job in jobs:
        why_not = _obstacle(job)
        made = [] if why_not else _again(job, again)
        if not made:
            refused.append(job["jobId"])
            click.echo(f"{job['jobId']} {why_not or WELL}", err=True)
            continue
        again[job["jobId"]] = made
        if not as_json:
            for job_id in made:
                click.echo(job_id)
    if as_json:
        print_json({"retried": again, "refused": refused})
    sys.exit(1 if refused else 0)


def _obstacle(job: Job) -> str:
    """Why a job can't be run again; empty when it can."""
    if job["status"] == "SUCCEEDED":
        return WELL
    if job["status"] not in ENDED:
        return f"has not ended ({job['status']}); `tidemill kill` ends it."
    if job.get("nodeProperties") or job.get("nodeDetails") or job.get("eksProperties"):
        return "has several nodes, whose overrides AWS does not tell; submit it anew."
    if _is_of_library(job) or ":" not in job["jobId"]:
        return ""
    parent = job["jobId"].partition(":")[0]
    return f"is one child of an array, which can't run by itself; retry {parent}."


def _is_of_library(job: Job) -> bool:
    return RESULTS in (job.get("parameters") or {})


def _again(job: Job, again: dict[str, list[str]]) -> list[str]:
    """The ids of the jobs that do it again, none where a retry has done so well before.

    `again` has the ids for jobs that were retried before this one.
    """
    if _is_of_library(job):
        from tidemill.cli.handle import handle_of

        handle = handle_of(job["jobId"])
        if handle.status == "SUCCEEDED":
            return []
        made: list[str] = handle.retry().upstream_ids()
        click.echo(
            f"`tidemill results {job['jobId']}` joins all of it when these have ended.", err=True
        )
        return made
    if size(job):
        click.echo(
            f"All {size(job)} children of {job['jobId']} run again: AWS can't run some of an "
            f"array's.",
            err=True,
        )
    batch = client("batch")
    made = [batch.submit_job(**request_of(job, again))["jobId"]]
    batch.tag_resource(resourceArn=job["jobArn"], tags={RETRIED: made[0]})
    return made


def request_of(job: Job, again: dict[str, list[str]]) -> dict[str, Any]:
    """SubmitJob's parameters for the same job again.

    What it waited for and that ended well is not waited for again; what failed is replaced by its
    own retry where there is one in `again`, and else left in, so that the service refuses it or
    fails the job as it did before.
    """
    request = {name: job[name] for name in AS_IT_WAS if job.get(name)}
    tags = {name: value for name, value in (job.get("tags") or {}).items() if name not in NOT_AGAIN}
    request |= {"tags": tags} if tags else {}
    if job.get("shareIdentifier") and job.get("schedulingPriority") is not None:
        request["schedulingPriorityOverride"] = job["schedulingPriority"]
    if size(job):
        request["arrayProperties"] = {"size": size(job)}
    depends_on = list(_dependencies(job, again))
    if depends_on:
        request["dependsOn"] = depends_on
    if job.get("container"):
        overrides = _container(job["container"])
        if overrides:
            request["containerOverrides"] = overrides
    consumables = (job.get("consumableResourceProperties") or {}).get("consumableResourceList")
    if consumables:
        request["consumableResourcePropertiesOverride"] = {"consumableResourceList": consumables}
    return request


def _dependencies(job: Job, again: dict[str, list[str]]) -> Iterable[dict[str, str]]:
    from tidemill.cli.job import find

    wanted = job.get("dependsOn", [])
    known = find([each["jobId"] for each in wanted if each.get("jobId")])
    for each in wanted:
        own_id = each.get("jobId")
        if own_id in again:
            yield from ({**each, "jobId": made} for made in again[own_id])
        elif not own_id or known.get(own_id, {}).get("status") != "SUCCEEDED":
            yield each


def _container(container: dict[str, Any]) -> dict[str, Any]:
    """The overrides that make a container what it was, whatever was overridden of it."""
    names = ("command", "environment", "resourceRequirements", "instanceType")
    return {name: container[name] for name in names if container.get(name)}
