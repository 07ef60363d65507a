"""The clients that the library makes, over botocore's stubbed HTTP."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from tidemill.sdk.client import Connection

PAGE = {
    "events": [{"timestamp": 1, "message": "é\n", "ingestionTime": 2}],
    "nextForwardToken": "f/1",
    "nextBackwardToken": "b/1",
}


class Raw:
    """A body as urllib3 would stream it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> list[bytes]:
        return [self._content]


def logs_that_answer(status: int, answer: dict[str, Any]) -> Any:
    session = boto3.session.Session("key", "secret", region_name="eu-west-1")
    logs = Connection(session, "http://127.0.0.1:1").client("logs")

    def respond(request: Any, **_: Any) -> AWSResponse:
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "an-id"}
        return AWSResponse(request.url, status, headers, Raw(json.dumps(answer).encode()))

    logs.meta.events.register("before-send.cloudwatch-logs", respond)
    return logs


def test_a_page_of_logs_is_what_botocore_would_make_of_it() -> None:
    logs = logs_that_answer(200, PAGE)
    page = logs.get_log_events(logGroupName="g", logStreamName="s")
    metadata = page.pop("ResponseMetadata")
    assert page == PAGE
    assert (metadata["HTTPStatusCode"], metadata["RequestId"]) == (200, "an-id")


def test_a_refusal_of_logs_is_an_exception_still() -> None:
    answer = {"__type": "ResourceNotFoundException", "message": "There is none."}
    logs = logs_that_answer(400, answer)
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="There is none"):
        logs.get_log_events(logGroupName="g", logStreamName="s")
