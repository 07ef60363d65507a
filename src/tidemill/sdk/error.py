"""What the library raises. Every message is one sentence: what is wrong, where, what to do."""

from __future__ import annotations


class TidemillError(Exception):
    """Anything that the library itself raises."""


class SubmitError(TidemillError):
    """A call can't be made a job; nothing was submitted."""


class JobFailed(TidemillError):
    """A job ended without a result, and not by an exception of its function.

    It was killed, timed out, cancelled, or something that it depends on failed, whose exception is
    then the cause. An exception that the function raised is raised again as what it was, with
    `RemoteTraceback` as its cause.
    """

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class RemoteTraceback(Exception):
    """The traceback of an exception as it was in the job's own process, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\nIn the job:\n\n{self.text}"
