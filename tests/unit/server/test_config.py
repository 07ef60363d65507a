"""What a server can be told, and what is refused before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidemill.server.config import ServerConfig, StartError, default_data_folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auth": "off", "host": "0.0.0.0"}, "loopback"),
        ({"auth": "off", "host": "example.com"}, "loopback"),
        ({"account": "1234"}, "12 digits"),
        ({"account": "12345678901\u0663"}, "12 digits"),
        ({"region": ""}, "--region"),
        ({"region": "US-EAST-1"}, "--region"),
        ({"region": "a/b"}, "--region"),
        ({"keep_days": 0.0}, "--keep"),
        ({"keep_days": float("nan")}, "--keep"),
        ({"keep_days": float("inf")}, "--keep"),
        ({"database": "sqlite:///x"}, "postgresql://"),
        ({"advertise": "tidemill.example.com:5057"}, "--advertise"),
        ({"advertise": "http://tidemill.example.com/api"}, "--advertise"),
        ({"advertise": "http://tidemill.example.com:5057/"}, "--advertise"),
        ({"advertise": "http://me:pw@tidemill.example.com"}, "--advertise"),
        ({"advertise": "http://tidemill.example.com:port"}, "--advertise"),
        ({"advertise": "http://"}, "--advertise"),
    ],
)
def test_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(StartError, match=words):
        ServerConfig(**options).check()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"auth": "off", "host": "::1"},
        {"host": "0.0.0.0"},
        {"keep_days": 0.5},
        {"region": "local"},
        {"database": "postgres://host/db"},
        {"advertise": "https://tidemill.example.com"},
        {"advertise": "http://[::1]:5057"},
    ],
)
def test_allowed(options: dict[str, Any]) -> None:
    ServerConfig(**options).check()


def test_a_databases_name_has_no_password() -> None:
    named = ServerConfig(database="postgresql://me:p@ss@host:5432/db").database_name
    assert named == "host:5432/db"
    assert ServerConfig().database_name == ""


def test_the_data_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIDEMILL_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert default_data_folder() == Path("/home/me/.local/share/tidemill")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_data_folder() == Path("/data/tidemill")
    monkeypatch.setenv("TIDEMILL_DATA", "/elsewhere")
    assert default_data_folder() == Path("/elsewhere")
