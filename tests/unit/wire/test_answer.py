"""Answers and errors in the form each protocol's clients look for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from botocore.eventstream import EventStreamBuffer

from tidemill.wire import event_stream
from tidemill.wire.model import load
from tidemill.wire.parse import parse
from tidemill.wire.request import HttpRequest, HttpResponse
from tidemill.wire.route import CBOR, Route, identify, resolve
from tidemill.wire.serialize import serialize, serialize_error

FORM = (b"content-type", b"application/x-www-form-urlencoded")


def route(service: str, operation: str, protocol: str | None = None) -> Route:
    model = load(service)
    return resolve(model, protocol or model.metadata.protocol, operation)


def header(answer: HttpResponse, name: bytes) -> bytes | None:
    return dict(answer.headers).get(name)


def test_rest_json_names_the_error_in_a_header() -> None:
    answer = serialize_error(route("batch", "SubmitJob"), "ClientException", "No.", "r-1")
    assert answer.status == 400
    assert header(answer, b"x-amzn-errortype") == b"ClientException"
    assert header(answer, b"x-amzn-requestid") == b"r-1"
    assert json.loads(answer.body) == {"message": "No."}


def test_a_modelled_status_is_kept() -> None:
    assert serialize_error(route("batch", "SubmitJob"), "ServerException", "", "r").status == 500
    answer = serialize_error(route("lambda", "GetFunction"), "ResourceNotFoundException", "", "r")
    assert answer.status == 404
    assert json.loads(answer.body)["Message"] == ""


def test_sqs_says_the_old_code_beside_the_new_name() -> None:
    answer = serialize_error(route("sqs", "GetQueueUrl"), "QueueDoesNotExist", "No queue.", "r")
    assert json.loads(answer.body) == {"__type": "QueueDoesNotExist", "message": "No queue."}
    old = b"AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert header(answer, b"x-amzn-query-error") == old
    query = serialize_error(route("sqs", "GetQueueUrl", "query"), "QueueDoesNotExist", "No.", "r")
    assert b"<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in query.body


def test_cbor_carries_its_errors_in_cbor() -> None:
    answer = serialize_error(
        route("cloudwatch", "DeleteAlarms", CBOR), "ResourceNotFound", "No <alarm>.", "r"
    )
    assert answer.status == 404
    assert header(answer, b"smithy-protocol") == b"rpc-v2-cbor"
    assert cbor2.loads(answer.body)["message"] == "No <alarm>."


def test_s3_has_errors_of_its_own_form() -> None:
    asked = route("s3", "GetObject")
    answer = serialize_error(asked, "NoSuchKey", "Not <there> & gone.", "r-1", {"Key": "a&b"})
    assert answer.status == 404
    text = answer.body.decode()
    assert "<Error><Code>NoSuchKey</Code><Message>Not &lt;there&gt; &amp; gone.</Message>" in text
    assert text.endswith("<RequestId>r-1</RequestId><HostId>r-1</HostId></Error>")
    assert serialize_error(asked, "PreconditionFailed", "", "r").status == 412
    assert serialize_error(asked, "InternalFailure", "", "r").status == 500
    unmodelled = serialize_error(asked, "InvalidRange", "", "r", {"RangeRequested": "bytes=9-"})
    assert unmodelled.status == 416
    assert b"<RangeRequested>bytes=9-</RangeRequested>" in unmodelled.body


def test_head_and_not_modified_have_no_body() -> None:
    assert serialize_error(route("s3", "HeadObject"), "NoSuchKey", "", "r").body == b""
    answer = serialize_error(route("s3", "GetObject"), "NotModified", "", "r")
    assert (answer.status, answer.body) == (304, b"")


def test_an_error_without_a_route_is_still_one() -> None:
    answer = serialize_error(None, "UnknownService", "What?", "r")
    assert answer.status == 400
    assert header(answer, b"x-amzn-errortype") == b"UnknownService"


def test_a_member_that_the_model_does_not_have_is_our_mistake() -> None:
    with pytest.raises(TypeError, match="SubmitJobResponse has no member 'jobname'"):
        serialize(route("batch", "SubmitJob"), {"jobname": "a"}, "r")
    with pytest.raises(TypeError, match=r"SubmitJobResponse\.jobId: a string is expected, not int"):
        serialize(route("batch", "SubmitJob"), {"jobId": 7}, "r")


def test_none_is_left_out() -> None:
    answer = serialize(route("batch", "SubmitJob"), {"jobId": "j", "jobArn": None}, "r")
    assert answer.body == b'{"jobId":"j"}'


def test_s3_lists_under_the_names_that_others_look_for() -> None:
    at = datetime(2024, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)
    result = {"Name": "b", "Contents": [{"Key": "a\r&\x01", "LastModified": at, "Size": 3}]}
    body = serialize(route("s3", "ListObjectsV2"), result, "r").body.decode()
    assert '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' in body
    assert "<Contents><Key>a&#xD;&amp;&#x1;</Key>" in body
    assert "<LastModified>2024-05-01T12:00:00.123Z</LastModified>" in body
    location = serialize(route("s3", "GetBucketLocation"), {"LocationConstraint": "eu"}, "r")
    assert location.body.endswith(b">eu</LocationConstraint>")


def test_an_object_s_body_passes_as_it_is() -> None:
    payload = object()
    result = {
        "Body": payload,
        "ContentLength": 3,
        "ContentType": "text/plain",
        "Metadata": {"a": "b"},
        "LastModified": 1714564800,
        "ContentRange": "bytes 0-2/9",
        "ContentDisposition": "a\r\nset-cookie: b",
    }
    answer = serialize(route("s3", "GetObject"), result, "r")
    assert answer.body is payload
    assert answer.status == 206
    assert header(answer, b"content-length") == b"3"
    assert header(answer, b"x-amz-meta-a") == b"b"
    assert header(answer, b"last-modified") == b"Wed, 01 May 2024 12:00:00 GMT"
    assert header(answer, b"content-type") == b"text/plain"
    assert header(answer, b"content-disposition") == b"a  set-cookie: b"
    assert header(answer, b"set-cookie") is None


def test_a_status_may_be_a_member() -> None:
    answer = serialize(route("lambda", "Invoke"), {"StatusCode": 202}, "r")
    assert (answer.status, answer.body) == (202, b"")
    assert serialize(route("s3", "DeleteObject"), {}, "r").status == 204


SQS_FORMS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "CreateQueue",
        "QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=a&Tag.1.Value=b",
        {"QueueName": "q", "Attributes": {"DelaySeconds": "5"}, "tags": {"a": "b"}},
    ),
    (
        "SendMessageBatch",
        (
            "SendMessageBatchRequestEntry.1.Id=1&SendMessageBatchRequestEntry.1.MessageBody=x"
            "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n"
            "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Binary"
            "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.BinaryValue=AAE%3D"
        ),
        {
            "Entries": [
                {
                    "Id": "1",
                    "MessageBody": "x",
                    "MessageAttributes": {"n": {"DataType": "Binary", "BinaryValue": b"\0\1"}},
                }
            ]
        },
    ),
    (
        "ReceiveMessage",
        "AttributeName.1=All&MessageAttributeName.2=b&MessageAttributeName.1=a&WaitTimeSeconds=3",
        {"AttributeNames": ["All"], "MessageAttributeNames": ["a", "b"], "WaitTimeSeconds": 3},
    ),
    ("UntagQueue", "TagKey.1=a&TagKey.2=b", {"TagKeys": ["a", "b"]}),
]


@pytest.mark.parametrize(("operation", "form", "params"), SQS_FORMS)
def test_sqs_still_reads_forms(operation: str, form: str, params: dict[str, Any]) -> None:
    """Old clients send to the queue's own URL, with the names of the query protocol."""
    body = f"Action={operation}&Version=2012-11-05&{form}".encode()
    asked = HttpRequest("POST", b"/0/q", b"", [FORM, (b"host", b"localhost:5057")], body)
    expected = dict(params)
    if operation != "CreateQueue":
        expected["QueueUrl"] = "http://localhost:5057/0/q"
    assert parse(identify(asked, "sqs"), asked) == expected


def test_sqs_still_writes_xml() -> None:
    result = {"Messages": [{"MessageId": "1", "Attributes": {"SenderId": "a"}}]}
    body = serialize(route("sqs", "ReceiveMessage", "query"), result, "r-1").body.decode()
    assert (
        "<ReceiveMessageResult><Message><MessageId>1</MessageId><Attribute><Name>SenderId</Name>"
        "<Value>a</Value></Attribute></Message></ReceiveMessageResult>"
        "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
    ) in body


def messages(body: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [(message.headers, message.payload) for message in buffer]


def test_events_of_a_stream_are_framed_for_botocore() -> None:
    events = [
        {"Records": {"Payload": b"a,b\n"}},
        {"Stats": {"Details": {"BytesScanned": 4}}},
        {"End": {}},
    ]
    answer = serialize(route("s3", "SelectObjectContent"), {"Payload": events}, "r")
    records, stats, end = messages(answer.body)
    assert (records[0][":event-type"], records[1]) == ("Records", b"a,b\n")
    assert stats[1] == b"<Stats><BytesScanned>4</BytesScanned></Stats>"
    assert end[0] == {":message-type": "event", ":event-type": "End"}
    assert header(answer, b"content-type") == event_stream.CONTENT_TYPE


def test_a_stream_of_an_rpc_protocol_begins_with_its_other_members() -> None:
    result = {"responseStream": [{"sessionUpdate": {"sessionResults": [{"message": "x"}]}}]}
    first, second = messages(serialize(route("logs", "StartLiveTail"), result, "r").body)
    assert (first[0][":event-type"], first[1]) == ("initial-response", b"{}")
    assert json.loads(second[1]) == {"sessionResults": [{"message": "x"}]}
