"""STS as boto3 uses it: every tool asks first who it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3


def test_who_am_i(client: Callable[[str], Any]) -> None:
    identity = client("sts").get_caller_identity()
    account = identity["Account"]
    assert account == "000000000000"
    assert identity["Arn"] == f"arn:aws:iam::{account}:root"
    assert identity["UserId"] == account


def test_temporary_credentials_reach_the_server(server: Any, client: Callable[..., Any]) -> None:
    made = client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    role = "arn:aws:iam::000000000000:role/worker"
    assumed = client("sts").assume_role(RoleArn=role, RoleSessionName="me")
    assert assumed["AssumedRoleUser"]["Arn"].endswith(":assumed-role/worker/me")
    for credentials in (made, assumed["Credentials"]):
        session = boto3.session.Session(
            credentials["AccessKeyId"],
            credentials["SecretAccessKey"],
            credentials["SessionToken"],
            region_name=server.region,
        )
        sts = session.client("sts", endpoint_url=server.endpoint)
        assert sts.get_caller_identity()["Account"] == "000000000000"
        sts.close()
