"""SCRIPT:FUNCTION: found with or without a decorator, or refused by a sentence that says why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tidemill.cli.target import job_of
from tidemill.sdk import reference

SCRIPT = """
import tidemill as tm
VALUE = 3
def plain(row): return row
def _hidden(row): ...
@tm.job(memory="1GiB")
def decorated(row): return row
if __name__ == "__main__":
    raise SystemExit("imported, not run")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(SCRIPT)
    (tmp_path / "broken.py").write_text("x = 1\n1 / 0\n")
    (tmp_path / "wrong.py").write_text("def f(:\n")
    (tmp_path / "needy.py").write_text("import no_such_module_at_all\n")
    yield tmp_path
    for name in (reference.SCRIPT_MODULE, "app", "broken", "wrong", "needy"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("place", ["app.py", "app"])
def test_a_function_is_a_job_as_it_is(place: str) -> None:
    job = job_of(f"{place}:plain", {"vcpus": 2})
    assert job({"a": 1}) == {"a": 1}
    named = reference.reference_of(job.function, job._origin)
    assert named in (f"{Path.cwd().resolve()}/app.py:plain", "app:plain")


def test_a_decorated_one_keeps_what_it_says() -> None:
    assert job_of("app.py:decorated", {}).needs.memory_mib == 1024


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("app.py:nothing", ["no function 'nothing'", "it has decorated, plain."]),
        ("app.py:VALUE", ["VALUE in app.py is no function but int"]),
        ("nowhere.py:f", ["no file nowhere.py"]),
        ("nowhere:f", ["no module 'nowhere'", ".py"]),
        ("broken.py:f", ["broken.py:2", "ZeroDivisionError: division by zero"]),
        ("wrong.py:f", ["wrong.py:1", "SyntaxError"]),
        ("needy.py:f", ["needy.py:1", "ModuleNotFoundError", "no_such_module_at_all"]),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(text: str, words: list[str]) -> None:
    with pytest.raises(click.ClickException) as caught:
        job_of(text, {})
    assert not isinstance(caught.value, click.UsageError)
    assert all(word in caught.value.message for word in words), caught.value.message


@pytest.mark.parametrize("text", ["app.py", "app.py:", ":plain", "app.py:a b", ""])
def test_what_names_no_function_is_a_wrong_command_line(text: str) -> None:
    with pytest.raises(click.UsageError, match="SCRIPT:FUNCTION"):
        job_of(text, {})


@pytest.mark.parametrize("options", [{"memory": "much"}, {"tenant": "a-b"}, {"keep": "soon"}])
def test_an_option_that_can_not_be_meant_is_named(options: dict[str, str]) -> None:
    [name] = options
    with pytest.raises(click.UsageError, match=f"--{name}="):
        job_of("app.py:plain", options)
