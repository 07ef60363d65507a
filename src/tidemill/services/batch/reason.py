"""What statusReason says, in AWS's words where AWS has any."""

from __future__ import annotations

import hashlib
from typing import Final

EXITED: Final = "Essential container in task exited"
NOT_STARTED: Final = "Task failed to start"
TIMED_OUT: Final = "Job attempt duration exceeded timeout"
CHILD_FAILED: Final = "Array Child Job failed"
MAIN_NODE_ENDED: Final = "The main node of the job has ended"


def interrupted_too_often(times: int) -> str:
    """Why an interruption counts as a failure: `times` of them were let pass before."""
    return f"{EXITED}: interrupted more than {times} times, so that this counts as a failure"


def host_terminated(environment: str) -> str:
    """Why an attempt is lost; retry rules written for spot instances match `Host EC2*`.

    There is no instance, so its id is made from the name of the compute environment.
    """
    digest = hashlib.sha256(environment.encode()).hexdigest()[:17]
    return f"Host EC2 (instance i-{digest}) terminated."


def dependency_failed(job_id: str) -> str:
    """Why something will never run: `job_id`, which it depends on, failed."""
    return f"Dependent Job failed: {job_id}"
