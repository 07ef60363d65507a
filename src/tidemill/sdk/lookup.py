"""`tm.run`: the handle of a run again, from its id alone, in any process."""

from __future__ import annotations

from typing import Any, Final

from tidemill.sdk import client, ledger, watch
from tidemill.sdk.client import Connection
from tidemill.sdk.definition import INPUTS, RESULTS, WORKER
from tidemill.sdk.error import TidemillError
from tidemill.sdk.handle import RESULTS as RESULTS_FOLDER
from tidemill.sdk.index_set import IndexSet
from tidemill.sdk.ledger import Ledger, Part
from tidemill.sdk.run import MapRun, Run

MAP: Final = "map"
OPTIONS: Final = "options"


def map_text(items: int, chunk: int) -> str:
    """What a map's jobs carry as the parameter `map`."""
    return f"{items}/{chunk}"


def run(job_id: str) -> Run[Any] | MapRun[Any]:
    """The run or the map of this id: what `run.id` said, here or in another process.

    `id:3` is the run of one child of a map; the id of any of the arrays that a large map is made
    of gives the map. To read results the function's module must be importable here. Raises
    `TidemillError` when no server knows the job, or the library did not submit it.
    """
    from tidemill.sdk import eager

    taking = eager.active()
    found = taking.handle(job_id) if taking is not None else None
    return found if found is not None else handle(client.current(), job_id)


def handle(connection: Connection, job_id: str) -> Run[Any] | MapRun[Any]:
    """The handle of a job over this connection."""
    whole, _, child = job_id.partition(":")
    detail = watch.look(connection, whole).detail
    reference = reference_of(detail)
    url, hash_mark, children = detail["parameters"][RESULTS].partition("#")
    run_url = url.removesuffix(RESULTS_FOLDER)
    told = detail["parameters"].get(MAP)
    if told is None:
        made = Ledger(connection, run_url, [[Part(whole, IndexSet.span(0, 1))]])
        if "@" in children:
            made = Ledger(connection, run_url, [ledger.shards_of(connection, run_url)])
        return Run(made, reference, None)
    items, chunk = map(int, told.split("/"))
    count = -(-items // chunk)
    if hash_mark:
        first = ledger.shards_of(connection, run_url)
    else:
        first = [Part(whole, IndexSet.span(0, count))]
    mapped = MapRun[Any](
        Ledger(connection, run_url, [first]), reference, None, items=items, chunk=chunk
    )
    if not child:
        return mapped
    part = next((part for part in mapped._ledger.parts if part.job_id == whole), None)
    if part is None:
        mapped._ledger.refresh()
        part = next(part for part in mapped._ledger.parts if part.job_id == whole)
    return mapped.child(part.indices[int(child)])


def reference_of(detail: dict[str, Any]) -> str:
    """The function that a job runs; `TidemillError` when it is no job of the library."""
    command = (detail.get("container") or {}).get("command") or []
    parameters = detail.get("parameters") or {}
    if WORKER in command[:-1] and INPUTS in parameters and RESULTS in parameters:
        return str(command[command.index(WORKER) + 1])
    raise TidemillError(
        f"The job {detail['jobId']} ({detail['jobName']}) was not submitted by the Python library; "
        f"`tidemill show {detail['jobId']}` tells of it."
    )
