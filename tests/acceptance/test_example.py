"""The examples, run as their users run them, against one private server."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tidemill.sdk.local import LocalServer, local

EXAMPLES = Path(__file__).parents[2] / "examples"
DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A server of the module's own."""
    with local() as server:
        yield server


@pytest.fixture
def environment(server: LocalServer) -> dict[str, str]:
    """What tells a program of the server."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, **server.environment(), "PATH": path}


def copy_of(example: str, folder: Path) -> Path:
    """The example in a folder of its own, without what earlier runs left."""
    left = shutil.ignore_patterns("__pycache__", "*.db", "out", "logs", "last-run")
    return Path(shutil.copytree(EXAMPLES / example, folder / example, ignore=left))


def needs(package: str) -> None:
    """Skip, saying so, where an example's own requirement is missing."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the example needs {package}, which the dev extra brings")


def run(
    folder: Path, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` in the example's folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def test_thumbnails(tmp_path: Path, environment: dict[str, str]) -> None:
    needs("PIL")
    from PIL import Image

    folder = copy_of("thumbnails", tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(10):
        Image.new("RGB", (640, 480), (number * 20, 90, 150)).save(photos / f"{number}.png")
    done = run(folder, environment, "thumbnails.py", str(photos), "out")
    assert done.returncode == 0, done.stderr
    sizes = {}
    for path in (folder / "out").iterdir():
        with Image.open(path) as image:
            sizes[path.name] = image.size
    assert sizes == {f"{number}.jpg": (160, 120) for number in range(10)} | {
        "contact-sheet.jpg": (960, 320)
    }
    empty = run(folder, environment, "thumbnails.py", str(folder / "out" / ".."), "out")
    assert (empty.returncode, empty.stdout.count("There are no images")) == (2, 1)


def test_reports(tmp_path: Path, environment: dict[str, str], server: LocalServer) -> None:
    folder = copy_of("reports", tmp_path)
    first = run(folder, environment, "run.py")
    assert first.returncode == 1, first.stderr
    assert "globex failed: InvalidOperation" in first.stdout
    shop = folder / "shop.py"
    bad = "    return Decimal(text)\n"
    assert bad in shop.read_text()
    shop.write_text(shop.read_text().replace(bad, '    return Decimal(text.replace(",", "."))\n'))
    second = run(folder, environment, "run.py", "resume")
    assert second.returncode == 0, second.stdout + second.stderr
    assert re.findall(r"^(\w+) +500 orders", second.stdout, re.MULTILINE) == [
        "acme",
        "globex",
        "initech",
        "umbrella",
    ]
    assert len(list((folder / "out").glob("*.csv"))) == 4
    assert _printed(server, "acme:") == 1, "what had succeeded did not run again"


def _printed(server: LocalServer, begin: str) -> int:
    """How many lines of jobs' output begin so."""
    pages = (
        server.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName="/aws/batch/job", filterPattern=f'"{begin}"')
    )
    return sum(event["message"].startswith(begin) for page in pages for event in page["events"])


def test_crontab(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = copy_of("crontab", tmp_path)
    logs = folder / "logs"
    logs.mkdir()
    for day in ("01", "02", "20"):
        (logs / f"2026-11-{day}.log").touch()
    first, again = (run(folder, environment, "nightly.py", "2026-11-12") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "2 files removed" in first.stdout
    assert again.stdout == first.stdout, "the same night is the same run"
    assert [path.name for path in logs.iterdir()] == ["2026-11-20.log"]
    bad = run(folder, environment, "nightly.py", "tomorrow")
    assert bad.returncode == 1
    assert "Invalid isoformat string" in bad.stderr


@pytest.fixture
def site(tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    """The web application's address, as Flask's own server has it."""
    needs("flask")
    folder = copy_of("webapp", tmp_path)
    command = (sys.executable, "-m", "flask", "--app", "app", "run", "--port", "0")
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "Running on" in line)
        yield said.split()[-1]
        process.terminate()


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
    """Status, JSON and headers of an answer."""
    data = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} | headers
    with urllib.request.urlopen(urllib.request.Request(url, data, given)) as answer:
        return answer.status, json.load(answer), answer.headers


def test_webapp(site: str) -> None:
    status, made, headers = ask(f"{site}/exports", {"account": "acme"}, **{"Idempotency-Key": "k"})
    assert (status, headers["Location"]) == (202, f"/exports/{made['id']}")
    with urllib.request.urlopen(f"{site}{made['status_url']}/events") as events:
        told = [json.loads(line[6:]) for line in events if line.startswith(b"data: ")]
    assert told[-1]["status"] == "SUCCEEDED"
    assert (told[-1]["done"], told[-1]["total"]) == (20, 20)
    assert [each["status"] for each in told].count("SUCCEEDED") == 1
    assert ask(f"{site}{made['status_url']}")[1]["result"] == "/exports/acme.zip"
    again = ask(f"{site}/exports", {"account": "acme"}, **{"Idempotency-Key": "k"})[1]
    assert again["id"] == made["id"]
    for place in ("nonsense", "nonsense/events"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(f"{site}/exports/{place}")
    for body in ({"account": "no such-name"}, {"acount": "acme"}, ["acme"]):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(f"{site}/exports", body)
