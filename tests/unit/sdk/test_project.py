"""`[tool.tidemill]`: read where it stands, by the profile that was chosen."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tidemill as tm
from tidemill.sdk import client, project, session
from tidemill.sdk.error import SubmitError, TidemillError
from tidemill.sdk.project import Project

AWS = '[tool.tidemill]\nqueue = "common"\n[tool.tidemill.profiles.aws]\nimage = "me/app:1"\n'
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes the `pyproject.toml` of the current folder; no profile is chosen before or after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMILL_PROFILE", raising=False)

    def write(text: str) -> Path:
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    before = client.current()
    yield write
    project.choose(None)
    client.use(before)


def test_the_project_is_read_from_the_nearest_file_above(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write('[tool.tidemill]\nimage = "me/app:1"\njob-role = "arn:role"\n')
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    found = project.current()
    assert (found.image, found.job_role, found.queue) == ("me/app:1", "arn:role", "default")
    assert found.environment() == {}


@pytest.mark.parametrize("page", ["sdk.md", "sdk-on-aws.md"])
def test_what_the_documents_show_can_be_read(write: Write, page: str) -> None:
    text = (Path(__file__).parents[3] / "docs" / page).read_text("utf-8")
    blocks = re.findall(r"```toml\n(.+?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        folder = write(block)
        assert project.read(folder / "pyproject.toml", "aws").image


def test_a_script_is_found_in_an_image_where_the_project_lies(write: Write) -> None:
    folder = write("").resolve()
    inside = f"{folder}/jobs/night.py:run"
    assert Project(image="a").reference(inside) == "jobs/night.py:run"
    assert Project(image="a").reference("app:run") == "app:run"
    assert Project().reference(inside) == inside
    with pytest.raises(SubmitError, match=r"/elsewhere/night.py lies outside of the project"):
        Project(image="a").reference("/elsewhere/night.py:run")


def test_a_file_that_was_edited_is_read_again(write: Write) -> None:
    write('[tool.tidemill]\nqueue = "one"\n')
    assert project.current().queue == "one"
    write('[tool.tidemill]\nqueue = "another"\n')
    assert project.current().queue == "another"


def test_a_profile_goes_before_the_table_and_is_chosen_by_the_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(AWS)
    assert (project.current().image, project.current().queue) == (None, "common")
    monkeypatch.setenv("TIDEMILL_PROFILE", "aws")
    assert (project.current().image, project.current().queue) == ("me/app:1", "common")
    assert project.current().environment() == {"TIDEMILL_PROFILE": "aws"}


def test_a_program_chooses_a_profile_and_takes_it_back(write: Write) -> None:
    write(AWS)
    before = client.current()
    tm.use(profile="aws")
    assert project.current().profile == "aws"
    assert client.current() is not before
    tm.use(profile=None)
    assert project.current().profile is None


def test_a_profile_that_is_not_there_changes_nothing(write: Write) -> None:
    write(AWS)
    tm.use("aws")
    with pytest.raises(SubmitError, match=r"profiles.awz.*which has aws \(did you mean 'aws'\?\)"):
        tm.use("awz")
    assert project.chosen() == "aws"


def test_a_profile_needs_a_file(write: Write) -> None:
    with pytest.raises(SubmitError, match=r"'aws' is nowhere: there is no pyproject.toml"):
        tm.use("aws")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("queue = 3", r"\[tool.tidemill\] queue in .*pyproject.toml must be a string"),
        ("public_ip = 'yes'", "public_ip in .* must be true or false"),
        ("imagee = 'a'", r"knows no 'imagee' \(did you mean 'image'\?\); it takes image, "),
        ("profile = 'a'", r"knows no 'profile' \(did you mean '\w*profiles?'\?\)"),
        ("platform = 'lambda'", "must be EC2 or FARGATE"),
        ("[tool.tidemill.profiles.a]\nbukket = 'b'", r"profiles.a\] in .* mean 'bucket'"),
        ("profiles = 3", r"\[tool.tidemill.profiles\] in .* must be a table, not 3"),
        ("profiles = {a = 1}", r"\[tool.tidemill.profiles.a\] in .* must be a table, not 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(write: Write, text: str, told: str) -> None:
    write(f"[tool.tidemill]\n{text}\n")
    with pytest.raises(SubmitError, match=told):
        project.current()


def test_a_job_on_this_machine_gets_the_projects_paths(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", "/project/src", *sys.path])
    environment = Project().environment()
    assert environment["TIDEMILL_DIRECTORY"] == str(tmp_path)
    paths = environment["PYTHONPATH"].split(":")
    assert paths[:2] == [str(tmp_path), "/project/src"]
    assert not any(path.endswith(("site-packages", "lib-dynload")) for path in paths)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's config files, with a profile `tidemill` of ours and a profile `work`."""
    for name in session._CONFIGURES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    place = tmp_path / "config"
    place.write_text(
        "[profile tidemill]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:5057\n"
        "[profile work]\nregion = eu-west-1\naws_access_key_id = A\naws_secret_access_key = B\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(place))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def _endpoint() -> str:
    return str(client.Connection().client("batch").meta.endpoint_url)


def test_a_profile_that_names_a_place_is_whole(
    write: Write, config: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(AWS + 'aws_profile = "work"\n')
    assert _endpoint() == "http://127.0.0.1:5057"
    project.choose("aws")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    connection = client.Connection()
    assert connection.is_aws
    assert connection.region == "eu-west-1"
    assert connection.session.get_credentials().access_key == "A"


def test_a_region_alone_leaves_the_keys_to_boto3(
    write: Write, config: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(AWS + 'region = "eu-north-1"\n')
    project.choose("aws")
    assert _endpoint() == "https://batch.eu-north-1.amazonaws.com"


def test_a_profile_that_names_no_place_keeps_the_usual_one(write: Write, config: None) -> None:
    write(AWS)
    project.choose("aws")
    assert _endpoint() == "http://127.0.0.1:5057"


def test_an_endpoint_may_stand_in_the_project(write: Write, config: None) -> None:
    write(AWS + 'endpoint = "http://127.0.0.1:5058"\naws_profile = "tidemill"\n')
    project.choose("aws")
    assert _endpoint() == "http://127.0.0.1:5058"


def test_a_profile_of_aws_that_is_not_there_is_named(write: Write, config: None) -> None:
    write(AWS + 'aws_profile = "wrok"\n')
    project.choose("aws")
    with pytest.raises(TidemillError, match="no profile 'wrok', which `aws_profile`"):
        _endpoint()


def test_in_a_job_the_environment_says_everything(
    write: Write, config: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(AWS + 'aws_profile = "wrok"\n')
    monkeypatch.setenv("TIDEMILL_PROFILE", "aws")
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5059")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert _endpoint() == "http://127.0.0.1:5059"
