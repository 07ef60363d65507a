"""`retry()`: again only what failed and what hangs on it, with the code as it is now.

What a run waits for stands in its job's `dependsOn`; what waits for a run is noted under the run's
own URL when it is submitted. So any process can follow a pipeline both ways, on AWS as well. New
jobs write their results where the old ones would have: whoever refers to a run by its URL finds
what was done again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from tidemill.sdk import failure, lookup, option, watch
from tidemill.sdk.definition import INPUTS
from tidemill.sdk.error import TidemillError
from tidemill.sdk.handle import Handle
from tidemill.sdk.index_set import IndexSet
from tidemill.sdk.lookup import MAP, OPTIONS
from tidemill.sdk.option import OWN, Order
from tidemill.sdk.run import MapRun, Run
from tidemill.sdk.submission import Plan, Submitter, Upstream

SETTLE_S: Final = 20.0
"""How long those that hang on what failed may take to fail themselves."""
AnyRun = Run[Any] | MapRun[Any]


def resume(handle: Handle[Any]) -> None:
    """Do again what failed of the run, of what it waits for, and of what waits for it.

    Nothing is submitted, and `TidemillError` raised, while any of it is still under way.
    """
    run = cast("AnyRun", handle)
    if isinstance(run, MapRun) and not len(run):
        return
    whole = _whole(run)
    if not whole._look().has_ended:
        raise TidemillError(
            f"{whole._told()} is still {whole.status}; wait() for it, or cancel() it, before you "
            f"retry what has failed."
        )
    only = None if run is whole else run
    pipeline = _Pipeline()
    for root in pipeline.roots(whole):
        pipeline.check(root)
        pipeline.again(root, only if root is whole else None)


def _whole(run: AnyRun) -> AnyRun:
    """The map that an item is of; a run by itself is whole."""
    if isinstance(run, MapRun) or run._is_whole:
        return run
    found = lookup.handle(run._connection, run._ledger.first[0].job_id)
    found._ledger = run._ledger
    return found


class _Pipeline:
    """The runs that hang together, each one handle, by their URL."""

    def __init__(self) -> None:
        self._runs: dict[str, AnyRun] = {}
        self._done: set[str] = set()

    def _known(self, run: AnyRun) -> AnyRun:
        return self._runs.setdefault(run._ledger.run_url, run)

    def roots(self, run: AnyRun) -> list[AnyRun]:
        """Where to begin: what has failed up the line and waits for nothing that has."""
        run = self._known(run)
        if run._look().status != "FAILED":
            return []
        above = [root for each in self._above(run) for root in self.roots(each)]
        return list({root._ledger.run_url: root for root in above}.values()) or [run]

    def _above(self, run: AnyRun) -> Iterator[AnyRun]:
        """What the run waits for, as far as the library submitted it."""
        for told in _detail(run).get("dependsOn") or ():
            if told.get("jobId"):
                try:
                    yield self._known(lookup.handle(run._connection, told["jobId"]))
                except TidemillError:
                    continue  # another's job, or one that the service has forgotten

    def _below(self, run: AnyRun) -> Iterator[AnyRun]:
        """What was submitted to wait for the run."""
        for job_id in run._ledger.dependents():
            try:
                yield self._known(lookup.handle(run._connection, job_id))
            except TidemillError:
                continue  # likewise

    def check(self, run: AnyRun) -> None:
        """Raise `TidemillError` when anything that hangs on the run is still under way."""
        for each in self._below(run):
            sight = watch.until_end(each._connection, each._look, SETTLE_S)
            if not sight.has_ended:
                raise TidemillError(
                    f"{each._told()}, which hangs on what has failed, is still {sight.status}; "
                    f"wait() for it, or cancel() it, before you retry."
                )
            self.check(each)

    def again(self, run: AnyRun, only: AnyRun | None = None) -> None:
        """Submit what has failed of the run, or only this item of it, then what waits for it."""
        url = run._ledger.run_url
        if url in self._done or run._look().status != "FAILED":
            return
        above = list(self._above(run))
        if any(each._look().status == "FAILED" for each in above):
            return  # it comes with the last of those that it waits for
        self._done.add(url)
        failed = IndexSet.of(failure.failed_children(run._ledger))
        wanted = failed
        if isinstance(only, Run):
            wanted = IndexSet.of([only._index] if only._index in failed else [])
        if len(wanted):
            _submit(run, wanted, above)
        if len(wanted) == len(failed):  # else what waits for all of it would fail again
            for each in self._below(run):
                self.again(each)


def _submit(run: AnyRun, failed: IndexSet, above: list[AnyRun]) -> None:
    detail = _detail(run)
    parameters = detail["parameters"]
    upstream = [
        Upstream(ledger=each._ledger, ids=tuple(each.upstream_ids()))
        for each in above
        if each._look().status != "SUCCEEDED"
    ]
    ledger = run._ledger
    number = ledger.claim()
    plan = Plan(
        run_url=ledger.run_url,
        inputs=parameters[INPUTS],
        size=ledger.size,
        map_text=parameters.get(MAP),
        upstream=tuple(upstream),
    )
    ledger.add(number, _submitter(run, detail).again(plan, failed, number))


def _submitter(run: AnyRun, detail: dict[str, Any]) -> Submitter:
    """Of the function as it is now, with the options that the run was submitted with."""
    from tidemill.sdk.function import job_of

    tags = {
        name: text
        for name, text in (detail.get("tags") or {}).items()
        if not name.startswith(OWN)  # it has waited, and how it is retried the code says now
    }
    changes = dict(option.changes_of(detail["parameters"].get(OPTIONS, "{}")))
    changes["queue"] = detail["jobQueue"].rpartition("/")[2]
    order = Order(
        tenant=detail.get("shareIdentifier"),
        priority=detail.get("schedulingPriority") if detail.get("shareIdentifier") else None,
        tags=tuple(tags.items()),
        changes=tuple(changes.items()),
    )
    return Submitter(run._connection, run._reference, job_of(run._reference).needs, order)


def _detail(run: AnyRun) -> dict[str, Any]:
    """What the service knows of the run's first job: what it was submitted with."""
    return run._ledger.sight(run._ledger.first[0]).detail
