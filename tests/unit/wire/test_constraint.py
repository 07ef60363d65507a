"""What breaks the model is refused in AWS's words, with the code of its service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidemill.wire.error import WireError
from tidemill.wire.model import ServiceModel, load
from tidemill.wire.parse import check, parse
from tidemill.wire.pattern import COSTLY, compile_pattern, reason_for_skipping
from tidemill.wire.request import HttpRequest
from tidemill.wire.route import identify, resolve
from tidemill.wire.service import BY_NAME, PROFILES

SKIPPED = dict(COSTLY)
"""Patterns of the served services that are not checked, each with the reason why."""


def refusal(service: str, operation: str, params: dict[str, Any]) -> WireError:
    route = resolve(load(service), load(service).metadata.protocol, operation)
    with pytest.raises(WireError) as error:
        check(route, params)
    return error.value


JOB = {"jobName": "a", "jobQueue": "q", "jobDefinition": "d"}


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "sentence"),
    [
        (
            "batch",
            "SubmitJob",
            {"jobQueue": "q", "jobDefinition": "d"},
            "ClientException",
            "Value null at 'jobName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "batch",
            "SubmitJob",
            {**JOB, "dependsOn": [{"type": "N_TO_N"}, {"type": "X"}]},
            "ClientException",
            (
                "Value 'X' at 'dependsOn.2.member.type' failed to satisfy constraint: "
                "Member must satisfy enum value set: [N_TO_N, SEQUENTIAL]"
            ),
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": ""},
            "InvalidParameterException",
            (
                "Value '' at 'logGroupName' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
        (
            "logs",
            "GetLogEvents",
            {"logStreamName": "s", "limit": 10_001},
            "InvalidParameterException",
            (
                "Value '10001' at 'limit' failed to satisfy constraint: "
                "Member must have value less than or equal to 10000"
            ),
        ),
        (
            "events",
            "PutTargets",
            {"Rule": "a b", "Targets": [{"Id": "1", "Arn": "a"}]},
            "ValidationException",
            (
                r"Value 'a b' at 'rule' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"
            ),
        ),
        (
            "iam",
            "GetUser",
            {"UserName": "a" * 500},
            "ValidationError",
            "Member must have length less than or equal to 128",
        ),
        (
            "sqs",
            "CreateQueue",
            {},
            "MissingParameter",
            "Value null at 'queueName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{}]}},
            "MalformedXML",
            "at 'delete.objects.1.member.key'",
        ),
        (
            "lambda",
            "CreateFunction",
            {"FunctionName": "f", "Role": "r", "Code": {}, "Environment": {"Variables": {"1": ""}}},
            "ValidationException",
            "at 'role'",
        ),
    ],
)
def test_each_service_refuses_in_its_way(
    service: str, operation: str, params: dict[str, Any], code: str, sentence: str
) -> None:
    error = refusal(service, operation, params)
    assert error.code == code
    assert sentence in error.message


def test_all_that_is_wrong_is_said_at_once() -> None:
    error = refusal("batch", "SubmitJob", {"jobName": "a", "tags": {"": "x"}})
    assert error.message.startswith("3 validation errors detected: ")
    for name in ("jobQueue", "jobDefinition", "tags"):
        assert f"'{name}'" in error.message


def test_secrets_are_not_repeated() -> None:
    error = refusal("iam", "ChangePassword", {"OldPassword": "", "NewPassword": "x" * 200})
    assert "xxx" not in error.message
    assert "Value at 'newPassword'" in error.message


def test_a_union_has_exactly_one_member() -> None:
    description = {
        "metadata": {"protocol": "json"},
        "operations": {"Do": {"name": "Do", "input": {"shape": "Input"}}},
        "shapes": {
            "Input": {"type": "structure", "members": {"one": {"shape": "Union"}}},
            "Union": {
                "type": "structure",
                "union": True,
                "members": {"a": {"shape": "Text"}, "b": {"shape": "Text"}},
            },
            "Text": {"type": "string"},
        },
    }
    route = resolve(ServiceModel.from_dict(description), "json", "Do")
    check(route, {"one": {"a": "x"}})
    for wrong in ({}, {"a": "x", "b": "y"}):
        with pytest.raises(WireError, match=r"exactly one of these set: \[a, b\]"):
            check(route, {"one": wrong})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "The body can not be converted to a Structure: it is not JSON"),
        (b"[]", "LIST_VALUE can not be converted to a Structure"),
        (b'{"jobName":1}', "NUMBER_VALUE at 'jobName' can not be converted to a String"),
        (b'{"jobName":{}}', "STRUCTURE_VALUE at 'jobName' can not be converted to a String"),
        (b'{"timeout":[]}', "LIST_VALUE at 'timeout' can not be converted to a Structure"),
        (b'{"dependsOn":{}}', "STRUCTURE_VALUE at 'dependsOn' can not be converted to a List"),
        (b'{"dependsOn":[{"jobId":true}]}', "TRUE_VALUE at 'dependsOn.1.member.jobId'"),
        (b'{"tags":{"a":null}}', "NULL_VALUE at 'tags.a.member'"),
        (b'{"arrayProperties":{"size":"3"}}', "STRING_VALUE at 'arrayProperties.size'"),
        (b'{"arrayProperties":{"size":1.5}}', "NUMBER_VALUE at 'arrayProperties.size'"),
        (b'{"arrayProperties":{"size":9999999999}}', "an Integer (-2147483648 to 2147483647)"),
        (b'{"propagateTags":"yes"}', "can not be converted to a Boolean"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(body: bytes, sentence: str) -> None:
    request = HttpRequest("POST", b"/v1/submitjob", b"", [], body)
    with pytest.raises(WireError) as error:
        parse(identify(request, "batch"), request)
    assert error.value.code == "SerializationException"
    assert sentence in error.value.message


def test_unknown_members_and_nulls_are_passed_over() -> None:
    body = json.dumps({**JOB, "timeout": None, "unheardOf": {"a": [1]}}).encode()
    request = HttpRequest("POST", b"/v1/submitjob", b"", [], body)
    assert parse(identify(request, "batch"), request) == JOB


def test_every_pattern_that_is_not_checked_has_a_reason() -> None:
    reasons = {}
    for profile in PROFILES:
        for shape in load(profile.name).shapes.values():
            if shape.pattern and (reason := reason_for_skipping(shape.pattern)):
                reasons[shape.pattern] = reason
    assert reasons == SKIPPED


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", ["", "é 日本_9/½", "a-b@c"], ["a!", "a\n", "a\x00"]),
        (r"[\w-_]*", ["a-b_c"], ["a.b", "é"]),
        (r"\p{ASCII}*", ["abc\x00~"], ["é"]),
        (r"[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]+", ["a\u0301!€ \u00a0"], ["\n", ""]),
        (r"[a-z]+", ["abc"], ["abc\n", "ABC", ""]),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]*", ["a😀"], ["\x01"]),
        (r"\d{12}", ["123456789012"], ["١٢٣٤٥٦٧٨٩٠١٢"]),
    ],
)
def test_java_s_patterns_mean_what_they_mean_there(
    pattern: str, fits: list[str], does_not: list[str]
) -> None:
    compiled = compile_pattern(pattern)
    assert compiled is not None
    assert all(compiled.fullmatch(text) for text in fits)
    assert not any(compiled.fullmatch(text) for text in does_not)


def test_a_pattern_that_cannot_be_translated_is_not_checked() -> None:
    assert compile_pattern(r"[a-z&&[^b]]") is None
    assert reason_for_skipping(r"[a-z&&[^b]]") == "an intersection of character classes"
    assert "Python cannot read it" in (reason_for_skipping(r"(unclosed") or "")


def test_the_table_of_services_agrees_with_their_models() -> None:
    for profile in PROFILES:
        metadata = load(profile.name).metadata
        speaks_json = "json" in load(profile.name).protocols
        assert profile.target_prefix == (metadata.target_prefix if speaks_json else None)
        if profile.api_version is not None:
            assert profile.api_version == metadata.api_version
        for name in profile.unchecked_enums:
            assert load(profile.name).shapes[name].enum
    assert BY_NAME["stepfunctions"].signing_name == "states"
