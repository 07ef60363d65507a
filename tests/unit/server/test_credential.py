"""Keys and tokens: what is made is known again, by a restarted server too; nothing else is."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from tidemill.server.config import StartError
from tidemill.server.credential import AccessKey, CredentialMaker, load_or_make

NOW_S = 1_700_000_000
KEY = AccessKey(
    access_key_id="AKIATIDEMILL", secret_access_key="secret", server_secret="0123456789abcdef" * 4
)


@pytest.fixture
def maker() -> CredentialMaker:
    return CredentialMaker(KEY)


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = load_or_make(tmp_path)
    assert made.access_key_id.startswith("AKIA")
    assert len(made.access_key_id) == 20
    assert load_or_make(tmp_path) == made
    path = tmp_path / "access-key.json"
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    assert load_or_make(tmp_path / "other").access_key_id != made.access_key_id


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '"a"', "\ud800", json.dumps({"access_key_id": 1})]
)
def test_a_damaged_key_is_not_replaced(text: str, tmp_path: Path) -> None:
    path = tmp_path / "access-key.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    before = path.read_bytes()
    with pytest.raises(StartError, match="restore it from a backup"):
        load_or_make(tmp_path)
    assert path.read_bytes() == before


def test_the_permanent_key_has_its_secret(maker: CredentialMaker) -> None:
    assert maker.secret_for("AKIATIDEMILL", None, NOW_S) == "secret"
    for other in ("AKIATIDEMILM", "", "AKIATIDEMILL ", "\u00e9"):
        assert maker.secret_for(other, None, NOW_S) is None


def test_temporary_credentials_are_known_until_they_end(maker: CredentialMaker) -> None:
    made = maker.issue("attempt-1", NOW_S + 900)
    assert made.access_key_id.startswith("ASIA")
    again = CredentialMaker(KEY)  # a restarted server
    for known_by in (maker, again):
        secret = known_by.secret_for(made.access_key_id, made.token, NOW_S + 899.9)
        assert secret == made.secret_access_key
        assert known_by.secret_for(made.access_key_id, made.token, NOW_S + 900) is None
        assert known_by.is_expired(made.token, NOW_S + 900)
        assert not known_by.is_expired(made.token, NOW_S)


def test_temporary_credentials_fit_together(maker: CredentialMaker) -> None:
    one, two = maker.issue("one", NOW_S + 900), maker.issue("two", NOW_S + 900)
    assert one.access_key_id != two.access_key_id
    assert one.secret_access_key != two.secret_access_key
    assert maker.secret_for(one.access_key_id, two.token, NOW_S) is None
    assert maker.secret_for("AKIATIDEMILL", one.token, NOW_S) is None, "not the permanent one's"


def test_a_token_can_not_be_prolonged_or_made_up(maker: CredentialMaker) -> None:
    made = maker.issue("attempt-1", NOW_S + 900)
    raw = base64.urlsafe_b64decode(made.token)
    prolonged = raw[:32] + json.dumps(["attempt-1", NOW_S + 9000]).encode()
    other = CredentialMaker(
        AccessKey(access_key_id="A", secret_access_key="B", server_secret="ff" * 32)
    )
    forged = [
        base64.urlsafe_b64encode(prolonged).decode(),
        other.issue("attempt-1", NOW_S + 900).token,
        made.token[:-1],
        made.token + "A",
        "",
        "not base64!",
        "\u00e9\u00e9",
        base64.urlsafe_b64encode(b"short").decode(),
    ]
    for token in forged:
        assert maker.secret_for(made.access_key_id, token, NOW_S) is None, token
        assert not maker.is_expired(token, NOW_S + 10_000)


@pytest.mark.parametrize("attempt", ["a1b2c3:17.1", "job#2.1", "with space", ""])
def test_an_attempts_token_names_it(attempt: str, maker: CredentialMaker) -> None:
    token = maker.attempt_token(attempt)
    assert maker.attempt_of(token) == attempt
    assert CredentialMaker(KEY).attempt_of(token) == attempt


@pytest.mark.parametrize(
    "token", ["", " ", "a", "a b", "attempt-1 AAAA", "\u00e9 \u00e9", "x" * 10_000]
)
def test_a_made_up_token_is_nobodys(token: str, maker: CredentialMaker) -> None:
    assert maker.attempt_of(token) is None
    assert maker.attempt_of(maker.attempt_token("attempt-1").replace("1", "2", 1)) is None
