"""STS says who calls, and passes on the credentials that the server makes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from tidemill.platform.clock import VirtualClock
from tidemill.platform.fault import Fault
from tidemill.platform.service import Caller
from tidemill.services.sts.service import Issuer, StsService

ACCOUNT = "123456789012"
NOW_S = 1_720_000_000


@dataclass(frozen=True)
class Made:
    access_key_id: str
    secret_access_key: str
    token: str
    expires_s: int


def issue(subject: str, expires_s: int) -> Made:
    return Made("ASIA1", "secret", f"token of {subject}", expires_s)


def call(operation: str, access_key: str = "AKIA1", *, issues: bool = True, **params: Any) -> Any:
    issuer = Issuer(VirtualClock(NOW_S * 1000), issue) if issues else None
    caller = Caller(account=ACCOUNT, region="us-east-1", access_key=access_key)
    return asyncio.run(StsService(ACCOUNT, issuer).call(operation, params, caller))


def test_the_accounts_key_is_its_root_and_other_credentials_are_sessions() -> None:
    root = call("GetCallerIdentity")
    assert root == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}
    session = call("GetCallerIdentity", "ASIA1")
    assert session["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/tidemill/ASIA1"


def test_sessions_end_when_asked() -> None:
    made = call("GetSessionToken", DurationSeconds=900)["Credentials"]
    assert made["Expiration"] == NOW_S + 900
    assert made["SessionToken"] == "token of session"


def test_a_role_of_the_account_may_be_assumed() -> None:
    answer = call(
        "AssumeRole", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/path/worker", RoleSessionName="me"
    )
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/me"
    assert answer["Credentials"]["Expiration"] == NOW_S + 3600


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("AssumeRole", {"RoleArn": "worker", "RoleSessionName": "me"}, "ValidationError"),
        (
            "AssumeRole",
            {"RoleArn": "arn:aws:iam::000000000000:role/x", "RoleSessionName": "me"},
            "AccessDenied",
        ),
        ("GetFederationToken", {"Name": "x"}, "InvalidAction"),
    ],
)
def test_what_is_not_ours_is_refused(operation: str, params: Any, code: str) -> None:
    with pytest.raises(Fault) as caught:
        call(operation, **params)
    assert caught.value.code == code


def test_without_an_issuer_no_credentials_are_made() -> None:
    with pytest.raises(Fault, match="not offered"):
        call("GetSessionToken", issues=False)


def test_credentials_that_end_make_none_that_outlive_them_for_long() -> None:
    with pytest.raises(Fault, match="Cannot call GetSessionToken with session credentials"):
        call("GetSessionToken", "ASIA1")
    role = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/worker", "RoleSessionName": "me"}
    with pytest.raises(Fault, match="1 hour session limit"):
        call("AssumeRole", "ASIA1", DurationSeconds=3601, **role)
    assert call("AssumeRole", "ASIA1", **role)["Credentials"]["Expiration"] == NOW_S + 3600
    assert call("AssumeRole", DurationSeconds=7200, **role)["Credentials"]["Expiration"] == (
        NOW_S + 7200
    )
