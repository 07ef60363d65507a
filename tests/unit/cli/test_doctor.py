"""What the doctor makes of clocks, disks and refusals that no test server gives."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tidemill.cli import doctor, examine_image, examine_server, permission
from tidemill.cli.finding import State, failed, note, ok, unchecked, wrong
from tidemill.sdk.client import Connection
from tidemill.sdk.project import Project


def refusal(code: str, message: str = "no.") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


class Keys:
    """A boto3 session with keys from the environment."""

    method = "env"

    def get_credentials(self) -> Keys:
        return self


class Fake(Connection):
    """A connection to AWS that answers nothing."""

    is_aws = True  # type: ignore[assignment]
    region = "eu-nort-1"  # type: ignore[assignment]
    session = Keys()  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("ahead_s", "state"),
    [(0.2, State.OK), (-45, State.NOTE), (400, State.WRONG), (-400, State.WRONG)],
)
def test_a_clock_may_be_a_little_off(ahead_s: float, state: State) -> None:
    found = examine_server.clock(ahead_s)
    assert found.state is state
    assert ahead_s < 1 or "ahead of" in found.told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refusal("InvalidClientTokenId"), "the access key is not known there; give the keys of"),
        (refusal("ExpiredToken"), "the credentials have expired; renew them"),
        (refusal("AccessDeniedException", "may not."), "these credentials may not do this (may"),
        (refusal("SignatureDoesNotMatch", "Signature expired: 1 < 2"), "2; set this machine's cl"),
        (refusal("RequestTimeTooSkewed", "Too far."), "Too far; set this machine's clock"),
        (EndpointConnectionError(endpoint_url="https://a"), "does not answer in eu-nort-1; look"),
    ],
)
def test_a_refusal_says_what_to_do(error: Exception, told: str) -> None:
    found = failed("credentials", error, Fake())
    assert told in f"{found.told}; {found.remedy}"
    assert found.state is State.WRONG


def test_a_bug_of_ours_is_no_finding() -> None:
    with pytest.raises(ZeroDivisionError):
        failed("queue", ZeroDivisionError(), Fake())


@pytest.mark.parametrize(
    ("free", "state"), [(100 << 20, State.WRONG), (900 << 20, State.NOTE), (9 << 30, State.OK)]
)
def test_a_disk_that_fills_is_told_before_it_is_full(free: int, state: State) -> None:
    assert examine_server._room({"freeBytes": free, "floorBytes": 256 << 20}).state is state


@pytest.mark.parametrize(
    ("kind", "platform", "wrongs"),
    [
        ("FARGATE_SPOT", "FARGATE", 0),
        ("SPOT", "EC2", 0),
        ("FARGATE", "EC2", 1),
        ("EC2", "FARGATE", 1),
    ],
)
def test_jobs_must_be_of_the_queues_platform(kind: str, platform: str, wrongs: int) -> None:
    place = Project(platform=platform)
    found = list(examine_image._platform(place, [{"computeResources": {"type": kind}}]))
    assert sum(each.state is State.WRONG for each in found) == wrongs


def test_denied_calls_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> None:
        raise refusal("AccessDenied")

    def missing(*_: Any) -> None:
        raise refusal("NoSuchKey")

    def nowhere(*_: Any) -> None:
        raise refusal("NoSuchBucket")

    tries = {"s3:ListBucket": denied, "s3:GetObject": missing, "s3:HeadObject": nowhere}
    monkeypatch.setattr(permission, "TRIES", tries)
    found = list(permission.findings(Fake(), Project()))
    assert [each.state for each in found] == [State.WRONG, State.OK, State.UNCHECKED]
    assert found[0].told == "s3:ListBucket is denied"
    assert found[1].told == "may s3:GetObject"
    assert "s3:HeadObject" in found[2].told


def test_only_what_is_wrong_counts() -> None:
    assert not doctor.is_wrong([ok("a", "b"), note("a", "b"), unchecked("a", "b")])
    assert doctor.is_wrong([ok("a", "b"), wrong("a", "b", "c")])
    assert doctor.line(wrong("queue", "gone", "make it")).endswith("gone; make it")
