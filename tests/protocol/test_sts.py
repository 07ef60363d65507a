"""STS as boto3 uses it: every tool asks first who it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_who_am_i(client: Callable[[str], Any]) -> None:
    identity = client("sts").get_caller_identity()
    account = identity["Account"]
    assert account == "000000000000"
    assert identity["Arn"] == f"arn:aws:iam::{account}:root"
    assert identity["UserId"] == account
