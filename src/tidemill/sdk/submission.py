"""Making jobs of calls: inputs written, definition registered, SubmitJob sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.sdk import bucket, bundle, definition, limit, payload
from tidemill.sdk.client import Connection
from tidemill.sdk.codec import Encoded
from tidemill.sdk.definition import INPUTS, RESULTS, Needs
from tidemill.sdk.error import SubmitError


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job that was submitted: its id, and the URL under which its results will lie."""

    job_id: str
    results: str


class Submitter:
    """Submits the jobs of one function over one connection."""

    def __init__(self, connection: Connection, reference: str, needs: Needs) -> None:
        self.connection = connection
        self._needs = needs
        self._project = definition.place_of_jobs(connection)
        self.reference = self._project.reference(reference)
        if connection.is_aws:
            limit.check(reference.rpartition(":")[2], needs, self._project)

    def one(self, call: bytes, depends_on: Sequence[str]) -> Submission:
        """One job for one call, packed by `payload`."""
        run = self._new_run()
        inputs = payload.INLINE + call.decode("ascii")
        # AWS fails a job whose command and environment, as JSON, have more than 8,192 letters.
        if len(json.dumps(inputs)) > payload.INLINE_BYTES:
            inputs = run + "call"
            bucket.put(self.connection, inputs, call)
        return self._submit(run, inputs, 1, [{"jobId": job_id} for job_id in depends_on])

    def chunks(self, chunks: Sequence[Encoded]) -> Submission:
        """One array job with a child for each chunk; a plain job for a single one."""
        run = self._new_run()
        inputs = run + "bundle"
        bucket.put(self.connection, inputs, bundle.pack(chunks))
        return self._submit(run, inputs, len(chunks), [])

    def along(self, upstream: dict[str, Any], job_id: str) -> Submission:
        """An array job whose children each take the result of the same child of another."""
        size = int(upstream["children"])
        inputs = payload.INLINE + payload.pack_map(upstream).decode("ascii")
        dependency = {"jobId": job_id} | ({"type": "N_TO_N"} if size > 1 else {})
        return self._submit(self._new_run(), inputs, size, [dependency])

    def _new_run(self) -> str:
        name = bucket.name_of(self.connection, self._project.bucket)
        return bucket.new_run_url(name, self._needs.keep_days)

    def _submit(
        self, run: str, inputs: str, size: int, depends_on: list[dict[str, str]]
    ) -> Submission:
        wanted = definition.definition_of(self.reference, self._needs, self._project)
        results = run + "results/"
        request: dict[str, Any] = {
            "jobName": wanted["jobDefinitionName"],
            "jobQueue": self._needs.queue or self._project.queue,
            "jobDefinition": definition.arn(self.connection, wanted),
            "parameters": {INPUTS: inputs, RESULTS: results},
            "dependsOn": depends_on,
        }
        environment = self._project.environment()
        if environment:
            pairs = [{"name": name, "value": value} for name, value in environment.items()]
            request["containerOverrides"] = {"environment": pairs}
        if size > 1:
            request["arrayProperties"] = {"size": size}
        return Submission(job_id=self._send(request, size), results=results)

    def _send(self, request: dict[str, Any], size: int) -> str:
        batch = self.connection.client("batch")
        try:
            return str(batch.submit_job(**request)["jobId"])
        except batch.exceptions.ClientException as error:
            hint = " A larger chunk= makes fewer children." if "array" in str(error).lower() else ""
            name, count = request["jobName"], f" of {size:,} children" if size > 1 else ""
            message = error.response["Error"]["Message"]
            raise SubmitError(f"The job {name}{count} was refused: {message}{hint}") from error
