"""The one exception with which a service refuses a call.

A `Fault` carries a code that the service's AWS model knows (`ClientException`, `NoSuchKey`) and a
sentence for people; it knows no HTTP. wire/ looks the code up in the model and finds the status
and the form in which the protocol carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Fault(Exception):
    """A call is refused: `code` is the modelled error's name, `message` one helpful sentence.

    `members` are further members of the modelled error shape, where it has any (S3's `Key`,
    `BucketName`).
    """

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.members: Mapping[str, Any] = members

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
