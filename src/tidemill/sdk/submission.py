"""Making jobs of calls: inputs written, definition registered, SubmitJob sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tidemill.sdk import bucket, bundle, concurrency, definition, expiry, key, limit, payload, watch
from tidemill.sdk.client import Connection
from tidemill.sdk.codec import Encoded
from tidemill.sdk.context import TENANT_VARIABLE, TIMEOUT_VARIABLE
from tidemill.sdk.definition import INPUTS, RESULTS, Needs
from tidemill.sdk.error import SubmitError
from tidemill.sdk.handle import RESULTS as RESULTS_FOLDER
from tidemill.sdk.index_set import IndexSet
from tidemill.sdk.ledger import Ledger, Part
from tidemill.sdk.lookup import MAP, OPTIONS, map_text
from tidemill.sdk.option import DELAY_TAG, NOTHING, Order

DEFAULT_QUEUE: Final = "default"
FAIR_QUEUE: Final = "fair"
ARRAY_MAX: Final = 10_000
"""AWS's largest array."""
DEPENDENCIES_MAX: Final = 20
RANGES_LETTERS_MAX: Final = 2048
_LIMIT: Final = re.compile(r"arrayProperties\.size should be from \d+ to (\d+)")
H = TypeVar("H", bound=key.Submitted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A run to wait for: its ledger, and whether child i waits for its child i alone."""

    ledger: Ledger
    ids: tuple[str, ...]
    is_along: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to be: where, of what inputs, how many children, after what."""

    run_url: str
    inputs: str
    size: int
    map_text: str | None = None
    upstream: tuple[Upstream, ...] = ()


class Submitter:
    """Submits the jobs of one function over one connection, with the options of one call."""

    def __init__(
        self, connection: Connection, reference: str, needs: Needs, order: Order = NOTHING
    ) -> None:
        """`needs` are the function's own; what the order changes is sent with each job."""
        self.connection = connection
        self._own = needs
        self._order = order
        self._needs = order.needs(needs) if order.changes else needs
        self._project = definition.place_of_jobs(connection)
        self.reference = self._project.reference(reference)
        self._claim: key.Claim | None = None
        if order.priority is not None and order.tenant is None:
            raise SubmitError(
                f"{reference.rpartition(':')[2]} was given priority={order.priority}, which counts "
                f"among the jobs of one tenant; give tenant= as well."
            )
        self._is_again = False
        if connection.is_aws:
            limit.check(reference.rpartition(":")[2], self._needs, self._project)
            self._refuse_delay()

    def _refuse_delay(self) -> None:
        if self._order.delay_s is not None:
            raise SubmitError(
                f"{self.reference.rpartition(':')[2]} was given delay=, and AWS Batch starts every "
                f"job as soon as it can; have EventBridge Scheduler submit it later."
            )

    @property
    def queue(self) -> str:
        """The queue; what is for a tenant goes to `fair`, which lies beside `default`."""
        queue = self._needs.queue or self._project.queue
        return FAIR_QUEUE if self._order.tenant and queue == DEFAULT_QUEUE else queue

    @property
    def name(self) -> str:
        """The job definition's name."""
        return definition.name_of(self.reference)

    def once(self, kind: str, submit: Callable[[], H], known: Callable[[str], H]) -> H:
        """What `submit` gives, or the handle of what was submitted with the same key before.

        A key is a function's own, and that of one `kind` of submission.
        """
        if self._order.key is None:
            return submit()
        place = bucket.name_of(self.connection, self._project.bucket)
        self._keep(place, key.KEEP_DAYS)
        folder = f"s3://{place}/{expiry.prefix(key.KEEP_DAYS)}"
        digest = key.digest(self.reference, kind, self._order.key)
        new = key.claim_of(self.name, digest, self._new_url())

        def claimed(claim: key.Claim, is_again: bool) -> H:
            self._claim, self._is_again = claim, is_again
            return submit()

        def find(name: str) -> str | None:
            return key.find_job(self.connection, self.queue, name)

        return key.once(self.connection, f"{folder}keys/{digest}", new, claimed, find, known)

    def one(self, call: bytes, upstream: Sequence[Upstream]) -> Ledger:
        """One job for one call, packed by `payload`."""
        run = self.new_run()
        inputs = payload.INLINE + call.decode("ascii")
        # AWS fails a job whose command and environment, as JSON, have more than 8,192 letters.
        if len(json.dumps(inputs)) > payload.INLINE_BYTES:
            inputs = run + "call"
            bucket.put(self.connection, inputs, call)
        return self.submit(Plan(run_url=run, inputs=inputs, size=1, upstream=tuple(upstream)))

    def chunks(self, chunks: Sequence[Encoded], items: int, chunk: int) -> Ledger:
        """A map with a child for each chunk."""
        run = self.new_run()
        inputs = run + "bundle"
        bucket.put(self.connection, inputs, bundle.pack(chunks))
        text = map_text(items, chunk)
        return self.submit(Plan(run_url=run, inputs=inputs, size=len(chunks), map_text=text))

    def calls(self, calls: Sequence[Encoded], upstream: Sequence[Upstream]) -> Ledger:
        """A map with a child for each call, packed by `payload`."""
        run = self.new_run()
        inputs = run + "calls"
        bucket.put(self.connection, inputs, bundle.pack(calls))
        text = map_text(len(calls), 1)
        return self.submit(
            Plan(
                run_url=run,
                inputs=inputs,
                size=len(calls),
                map_text=text,
                upstream=tuple(upstream),
            )
        )

    def along(self, found: dict[str, Any], items: int, chunk: int, upstream: Upstream) -> Ledger:
        """A map whose children each take the result of the same child of another."""
        inputs = payload.INLINE + payload.pack_map(found).decode("ascii")
        return self.submit(
            Plan(
                run_url=self.new_run(),
                inputs=inputs,
                size=int(found["children"]),
                map_text=map_text(items, chunk),
                upstream=(upstream,),
            )
        )

    def new_run(self) -> str:
        """Where all that belongs to the new run will lie."""
        return self._new_url() if self._claim is None else self._claim.run_url

    def _new_url(self) -> str:
        place = bucket.name_of(self.connection, self._project.bucket)
        days = self._needs.keep_days
        if self.connection.is_aws:
            # There a job's role need not be allowed to make what it writes to.
            self._keep(place, days or expiry.DEFAULT_DAYS)
        elif days is not None and (self._project.bucket or days != expiry.DEFAULT_DAYS):
            self._keep(place, days)  # the library's own bucket is made with the default's rule
        return bucket.new_run_url(place, days)

    def _keep(self, place: str, days: int) -> None:
        if (place, days) not in self.connection.kept:
            bucket.keep(self.connection, place, days)
            self.connection.kept.add((place, days))

    def submit(self, plan: Plan) -> Ledger:
        """The jobs of a plan: one, or several arrays where one would be too large."""
        spans = self._spans(plan)
        try:
            return self._arrays(plan, spans)
        except _TooLarge as refused:
            spans = _split(plan.size, refused.most)
        return self._arrays(plan, spans)

    def _spans(self, plan: Plan) -> list[IndexSet]:
        """Which children each array does: those of upstream's, where each waits for its like."""
        for each in plan.upstream:
            if each.is_along:
                return [part.indices for part in each.ledger.first]
        return _split(plan.size, self.connection.array_max or plan.size)

    def _arrays(self, plan: Plan, spans: Sequence[IndexSet]) -> Ledger:
        """An array for each span.

        What was submitted is ended where a later one is refused, which nobody would have a handle
        of; with a key, it is what the next submission under the key goes on with.
        """
        made = list[Part]()
        try:
            for at, span in enumerate(spans):
                made.append(self._part(plan, span, f"#{span[0]}" if len(spans) > 1 else "", at))
            ledger = Ledger(self.connection, plan.run_url, [made])
            if len(spans) > 1:
                self._end(ledger.note_first(), key.OVERTAKEN)
            self._note_upstream(plan, ledger)
        except BaseException as error:
            if self._claim is None:
                try:
                    self._end(made, "Not all of its map was taken.")
                except Exception as unended:  # noqa: BLE001 - what came first is what is raised
                    ids = ", ".join(part.job_id for part in made)
                    error.add_note(f"Not all of these jobs could be ended: {ids}: {unended}")
            raise
        return ledger

    def _end(self, parts: Iterable[Part], reason: str) -> None:
        batch = self.connection.client("batch")
        for part in parts:
            batch.terminate_job(jobId=part.job_id, reason=reason)

    def _note_upstream(self, plan: Plan, ledger: Ledger) -> None:
        given = (getattr(each, "_ledger", None) for each in self._order.depends_on)
        ledgers = [*(each.ledger for each in plan.upstream), *filter(None, given)]
        for upstream in {each.run_url: each for each in ledgers}.values():
            upstream.note_dependent(ledger.first[0].job_id)

    def again(self, plan: Plan, indices: IndexSet, generation: int) -> list[Part]:
        """Jobs that do these children of a run again."""
        most = self.connection.array_max or ARRAY_MAX
        return [
            self._part(plan, piece, f"#{piece.text()}@{generation}")
            for piece in indices.pieces(most, RANGES_LETTERS_MAX)
        ]

    def _part(self, plan: Plan, indices: IndexSet, mark: str, shard: int = 0) -> Part:
        request = self._request(plan, mark)
        size = len(indices)
        if size > 1:
            request["arrayProperties"] = {"size": size}
        dependencies = [*self._dependencies(plan, indices)]
        if dependencies:
            request["dependsOn"] = dependencies
        if self._claim is not None:
            request["jobName"] = self._claim.name + (f"-{shard}" if shard else "")
            if self._is_again:
                found = key.find_job(self.connection, self.queue, request["jobName"])
                if found is not None:
                    there = watch.look(self.connection, found).size
                    if there != size:  # the first array of several: one was refused then
                        raise _too_large(request["jobName"], size, there)
                    return Part(found, indices)
        return Part(self._send(request, size), indices)

    def _dependencies(self, plan: Plan, indices: IndexSet) -> Iterable[dict[str, str]]:
        ids: dict[str, dict[str, str]] = {}
        for each in plan.upstream:
            if each.is_along:
                ids |= _along(each.ledger, indices)
            else:
                ids |= {job_id: {} for job_id in each.ids}
        for given in self._order.depends_on:
            every = [given] if isinstance(given, str) else given.upstream_ids()
            ids |= {job_id: {} for job_id in every if job_id not in ids}
        return ({"jobId": job_id} | kind for job_id, kind in ids.items())

    def _request(self, plan: Plan, mark: str) -> dict[str, Any]:
        wanted = definition.definition_of(self.reference, self._own, self._project)
        parameters = {INPUTS: plan.inputs, RESULTS: f"{plan.run_url}{RESULTS_FOLDER}{mark}"}
        request: dict[str, Any] = {
            "jobName": wanted["jobDefinitionName"],
            "jobQueue": self.queue,
            "jobDefinition": definition.arn(self.connection, wanted),
            "parameters": parameters,
        }
        if plan.map_text is not None:
            parameters[MAP] = plan.map_text
        overrides: dict[str, Any] = {}
        if environment := self._environment():
            pairs = [{"name": name, "value": value} for name, value in environment.items()]
            overrides["environment"] = pairs
        if self._order.changes:
            parameters[OPTIONS] = self._order.text()
            request |= self._changed(overrides)
        if overrides:
            request["containerOverrides"] = overrides
        if self.connection.is_aws:
            limit.check_letters(self.name, request)
        return request | self._options()

    def _environment(self) -> dict[str, str]:
        environment = self._project.environment() | dict(self._needs.environment)
        if self._order.tenant is not None:
            environment[TENANT_VARIABLE] = self._order.tenant
        if self._needs.timeout_s is not None:
            environment[TIMEOUT_VARIABLE] = str(self._needs.timeout_s)
        return environment

    def _changed(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """What the call changes of the definition."""
        needs, own = self._needs, self._own
        found: dict[str, Any] = {}
        if needs.resources() != own.resources():
            overrides["resourceRequirements"] = needs.resources()
        if needs.timeout_s != own.timeout_s:
            if needs.timeout_s is None:
                raise SubmitError(
                    f"{self.name} has a timeout in @tm.job, and Batch can't take it off one job; "
                    f"give a longer one."
                )
            found["timeout"] = {"attemptDurationSeconds": needs.timeout_s}
        if needs.attempts != own.attempts:
            found["retryStrategy"] = needs.retry.strategy()
        return found

    def _options(self) -> dict[str, Any]:
        order, needs = self._order, self._needs
        tags = needs.retry.tags() | dict(order.tags)
        found: dict[str, Any] = {}
        if order.delay_s is not None:
            tags[DELAY_TAG] = str(order.delay_s)
        if tags:
            found["tags"] = tags
        if order.tenant is not None:
            found["shareIdentifier"] = order.tenant
        if order.priority is not None:
            found["schedulingPriorityOverride"] = order.priority
        if needs.concurrency is not None:
            found["consumableResourcePropertiesOverride"] = concurrency.properties(
                self.connection, self.name, needs.concurrency, order.tenant
            )
        return found

    def _send(self, request: dict[str, Any], size: int) -> str:
        batch = self.connection.client("batch")
        try:
            return self.connection.sender.submit_job(request)
        except batch.exceptions.ClientException as error:
            message = error.response["Error"]["Message"]
            told = _LIMIT.search(message)
            if size > ARRAY_MAX or told is not None:
                most = int(told[1]) if told else ARRAY_MAX
                if size > most:
                    self.connection.array_max = most
                    raise _too_large(request["jobName"], size, most) from error
            count = f" of {size:,} children" if size > 1 else ""
            raise SubmitError(
                f"The job {request['jobName']}{count} was refused: {message}{_hint(request)}"
            ) from error


class _TooLarge(SubmitError):
    """An array of this size was refused; `most` would be taken."""

    def __init__(self, message: str, most: int) -> None:
        super().__init__(message)
        self.most = most


def _too_large(name: str, size: int, most: int) -> _TooLarge:
    return _TooLarge(
        f"The job {name} of {size:,} children was refused, and one of {most:,} would be taken; "
        f"submit it again.",
        most,
    )


def _split(size: int, most: int) -> list[IndexSet]:
    return [IndexSet.span(first, min(most, size - first)) for first in range(0, size, most)]


def _along(upstream: Ledger, indices: IndexSet) -> dict[str, dict[str, str]]:
    """What these children wait for: each for its like, where an upstream job does the same ones.

    Else for the whole jobs that do theirs: after a retry, or when arrays must be smaller by now.
    """
    return {
        part.job_id: (
            {"type": "N_TO_N"} if part.indices.ranges == indices.ranges and len(indices) > 1 else {}
        )
        for part in upstream.current()
        if part.indices.touches(indices)
    }


def _hint(request: dict[str, Any]) -> str:
    if len(request.get("dependsOn", ())) > DEPENDENCIES_MAX:
        return (
            f" Make those one map() or submit_many(), which is one job to wait for; of a map of "
            f"more than {ARRAY_MAX:,} children, which is several, a larger chunk= makes fewer."
        )
    return ""
