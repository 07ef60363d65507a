"""What a submission may be given, on a real server: tenants, keys, limits, overrides, shards."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

import pytest
from sdk_server import project_server

import tidemill as tm
from tidemill.sdk import client, key, submission
from tidemill.sdk.local import LocalServer

LONG_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A private server that the library uses from the project's folder."""
    with project_server() as server:
        yield server


@pytest.fixture(scope="module")
def work(server: LocalServer) -> ModuleType:
    """The project's module of jobs."""
    return importlib.import_module("work")


def detail_of(server: LocalServer, job_id: str) -> dict[str, Any]:
    (detail,) = server.client("batch").describe_jobs(jobs=[job_id])["jobs"]
    return dict(detail)


def named_like(server: LocalServer, name: str) -> list[str]:
    filters = [{"name": "JOB_NAME", "values": [name]}]
    found = server.client("batch").list_jobs(jobQueue="default", filters=filters)
    return [job["jobId"] for job in found["jobSummaryList"]]


def test_a_tenants_jobs_share_fairly_without_a_word_before(
    server: LocalServer, work: ModuleType
) -> None:
    run = work.variables.submit("argument", tenant="acme", priority=7)
    assert run.result(timeout=LONG_S) == ("argument", None, "acme")
    detail = detail_of(server, run.id)
    assert detail["jobQueue"].endswith("/fair")
    assert (detail["shareIdentifier"], detail["schedulingPriority"]) == ("acme", 7)
    assert work.variables.submit(tenant="alone").result(timeout=LONG_S)[0] == "alone"


def test_a_call_overrides_what_the_function_asks_for(server: LocalServer, work: ModuleType) -> None:
    run = work.variables.submit(
        "x",
        vcpus=0.5,
        memory="128MiB",
        timeout="5m",
        attempts=2,
        environment={"COLOUR": "green"},
        tags={"order": "17"},
        keep="1d",
    )
    assert run.result(timeout=LONG_S) == ("x", "green", None)
    detail = detail_of(server, run.id)
    assert detail["timeout"] == {"attemptDurationSeconds": 300}
    assert detail["retryStrategy"]["attempts"] == 2
    assert detail["tags"]["order"] == "17"
    needs = {each["type"]: each["value"] for each in detail["container"]["resourceRequirements"]}
    assert needs == {"VCPU": "0.5", "MEMORY": "128"}
    assert "/runs/1d/" in detail["parameters"]["results"]
    s3 = server.client("s3")
    (bucket,) = s3.list_buckets()["Buckets"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket["Name"])["Rules"]
    kept = {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules}
    assert kept == {"runs/7d/": 7, "runs/1d/": 1}


def test_a_job_waits_for_others_and_for_its_time(work: ModuleType, tmp_path: Path) -> None:
    gate = work.gated.submit(str(tmp_path / "gate"))
    after = work.square.submit(2, depends_on=[gate])
    later = work.square.map([3], delay="1h", depends_on=gate.id)
    assert after.status == "PENDING"
    assert gate.id in after.why
    (tmp_path / "gate").touch()
    assert after.result(timeout=LONG_S) == 4
    assert later.status != "SUCCEEDED"
    later.cancel()


def test_who_waits_for_what_can_never_run_is_warned_once(work: ModuleType) -> None:
    async def awaited(job_id: str) -> object:
        return await cast("tm.Run[object]", tm.run(job_id))

    large = work.square.submit(1, vcpus=1000)
    behind, after = work.square.submit(2), work.square.submit(work.square.submit(large))
    other = rf"waits for work-square \(job {large.id}\), which can't run as .* needs 1000 vCPU"
    try:
        with pytest.warns(UserWarning, match=f"{large.id}. can't run as .*; cancel") as told:
            for _ in range(2):
                with pytest.raises(TimeoutError, match="is still RUNNABLE"):
                    large.result(timeout=0.1)
        assert [each.filename for each in told] == [__file__]
        for waiting in (behind, after):
            with pytest.raises(UserWarning, match=other):  # an error, as the tests take warnings
                waiting.result(timeout=LONG_S)
        with pytest.raises(UserWarning, match=other):
            asyncio.run(awaited(behind.id))
    finally:
        large.cancel()
    assert behind.result(timeout=LONG_S) == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tenant": "acme-1"}, "tenant='acme-1' must be of letters and digits"),
        ({"priority": 5}, "give tenant= as well"),
        ({"tenant": "a", "priority": 10_000}, "priority=10000 must be a whole number from 0"),
        ({"delay": "soon"}, "delay='soon' can't be read"),
        ({"key": ""}, "key='' must be a string"),
        ({"concurrency": "2 each"}, "concurrency='2 each' must be a number"),
        ({"depends_on": 3}, "depends_on=3 must be a run"),
        ({"environment": {"A": 1}}, "must be a mapping of strings to strings"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    work: ModuleType, options: dict[str, Any], told: str
) -> None:
    with pytest.raises((ValueError, TypeError, tm.SubmitError), match=told):
        work.square.submit(1, **options)


def test_a_keyword_is_the_functions_before_it_is_an_option(work: ModuleType) -> None:
    with pytest.raises(tm.SubmitError, match="tenant= of variables is given twice"):
        work.variables.options(tenant="a").submit("x", tenant="b")
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        work.variables.submit("x", colour="green")
    with pytest.raises(TypeError, match="There is no option colour=; there are"):
        work.square.map([1], colour="green")


def test_no_more_run_at_once_than_the_function_allows(work: ModuleType, tmp_path: Path) -> None:
    most = work.crowded.options(vcpus=0.1, memory=64).map([str(tmp_path)] * 6)
    assert max(most.result(timeout=LONG_S)) <= 2
    with pytest.raises(tm.SubmitError, match="at most 1 jobs for each tenant, and this call names"):
        work.square.submit(1, concurrency="1/tenant")
    run = work.square.submit(2, concurrency="1/tenant", tenant="acme")
    assert run.result(timeout=LONG_S) == 4


def test_many_calls_are_one_array(server: LocalServer, work: ModuleType) -> None:
    runs = work.total.submit_many([([1, 2],), (([3],), {"more": 10}), ([], 5)])
    assert runs.result(timeout=LONG_S) == [3, 13, 5]
    assert runs[1].result() == 13
    assert detail_of(server, runs.id)["arrayProperties"]["size"] == 3
    assert work.total.submit(runs).result(timeout=LONG_S) == 21
    assert len(work.total.submit_many([])) == 0
    with pytest.raises(TypeError, match="Call 1 is 7, and must be a tuple of arguments"):
        work.total.submit_many([([1],), 7])
    with pytest.raises(tm.SubmitError, match="argument 'items' of total can't be sent"):
        work.total.submit_many([([threading.Lock()],)])


def test_a_map_beyond_the_limit_is_still_one(
    server: LocalServer, work: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.current(), "array_max", 3)
    fixed = tmp_path / "fixed"
    first = work.tenth.options(environment={"FIXED": str(fixed)}).map(range(8))
    second = work.plus_one.map(first)
    final = work.total.submit(second)
    assert first.wait(timeout=LONG_S) == "FAILED"
    assert (len(first), first.children, first.progress.failed) == (8, 8, 2)
    assert [each.index for each in first.failures()] == [2, 6]
    assert sorted(run.index for run in second.as_completed(timeout=LONG_S)) == [*range(8)]
    assert final.wait(timeout=LONG_S) == "FAILED"
    fixed.touch()
    first.retry()
    assert final.result(timeout=LONG_S) == sum(10 * item + 1 for item in range(8))
    assert tm.run(first.id).result() == first.result() == [10 * item for item in range(8)]
    (last,) = {part.job_id for part in first._ledger.first if 7 in part.indices}
    assert len(tm.run(last)) == 8  # any of its arrays finds it


def test_the_limit_is_learned_from_the_refusal(server: LocalServer, work: ModuleType) -> None:
    before = client.use(server.connection())
    try:
        mapped = work.noop.map(range(10_001), delay="1h")
        sizes = [len(part.indices) for part in mapped._ledger.first]
        mapped.cancel()
    finally:
        client.use(before)
    assert sizes == [10_000, 1]
    assert mapped.status == "FAILED"


def test_a_map_that_is_refused_half_way_leaves_nothing_waiting(
    server: LocalServer, work: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.current(), "array_max", 2)
    send, before, sent = submission.Submitter._send, named_like(server, "work-twice"), list[str]()

    def refused(self: submission.Submitter, request: dict[str, Any], size: int) -> str:
        if len(sent) == 2:
            raise KeyboardInterrupt
        sent.append(send(self, request, size))
        return sent[-1]

    monkeypatch.setattr(submission.Submitter, "_send", refused)
    with pytest.raises(KeyboardInterrupt):
        work.twice.map(range(6), delay="1h")
    assert {*named_like(server, "work-twice")} - {*before} == {*sent}
    for job_id in sent:
        assert detail_of(server, job_id)["statusReason"] == "Not all of its map was taken."
    sent.clear()
    with pytest.raises(KeyboardInterrupt):
        work.twice.map(range(6), key="goes on")  # with a key the two are left for the next
    monkeypatch.undo()
    monkeypatch.setattr(key, "TURN_S", 0.0)
    assert client.current().array_max != 2  # what the limit was, the jobs that are there tell
    mapped = work.twice.map(range(6), key="goes on")
    assert [part.indices.text() for part in mapped._ledger.first] == ["0-1", "2-3", "4-5"]
    assert [part.job_id for part in mapped._ledger.first[:2]] == sent
    assert mapped.result(timeout=LONG_S) == [0, 2, 4, 6, 8, 10]


def test_a_map_over_a_map_has_its_arrays(
    work: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = work.square.map(range(4))
    monkeypatch.setattr(client.current(), "array_max", 3)
    parts = work.square.map(range(4))
    monkeypatch.setattr(client.current(), "array_max", 2)
    for upstream, spans in ((whole, ["0-3"]), (parts, ["0-2", "3"])):
        along = work.plus_one.map(upstream)
        assert [part.indices.text() for part in along._ledger.first] == spans
        assert along.result(timeout=LONG_S) == [1, 2, 5, 10]


def test_a_map_over_arrays_that_are_too_large_by_now_waits_for_what_it_needs(
    server: LocalServer, work: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = work.square.map(range(4))
    send = submission.Submitter._send

    def limited(self: submission.Submitter, request: dict[str, Any], size: int) -> str:
        if size > 3:
            raise submission._too_large(request["jobName"], size, 3)
        return send(self, request, size)

    monkeypatch.setattr(submission.Submitter, "_send", limited)
    along = work.plus_one.map(whole)
    assert [part.indices.text() for part in along._ledger.first] == ["0-2", "3"]
    for part in along._ledger.first:
        assert detail_of(server, part.job_id)["dependsOn"] == [{"jobId": whole.id}]
    assert along.result(timeout=LONG_S) == [1, 2, 5, 10]


def test_chunks_are_as_long_as_earlier_items_took(work: ModuleType, tmp_path: Path) -> None:
    first = work.twice.map(range(100), chunk="auto")
    assert first.children > 1
    first.wait(timeout=LONG_S)
    again = work.twice.map(range(100), chunk="auto")
    assert again.grain[1] >= first.grain[1]
    again.cancel()


KEYED = """
import sys
import tidemill as tm
from tidemill.sdk import key, submission
import work

def die(*args, **kwargs):
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "before":
    submission.Submitter._send = die
if sys.argv[2] == "after":
    key._note = die
print(work.square.submit(5, key=sys.argv[1]).id)
"""


def keyed(server: LocalServer, name: str, dies: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KEYED, name, dies],
        env=os.environ | server.environment(),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_key_outlasts_the_death_of_its_submitter(
    server: LocalServer, work: ModuleType, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key, "TURN_S", 1.0)
    before = named_like(server, "work-square-*")
    died = keyed(server, f"dies-{dies}", dies)
    assert died.returncode == -signal.SIGKILL, died.stderr
    run = work.square.submit(5, key=f"dies-{dies}")
    assert run.result(timeout=LONG_S) == 25
    assert work.square.submit(5, key=f"dies-{dies}").id == run.id
    assert [job_id for job_id in named_like(server, "work-square-*") if job_id not in before] == [
        run.id
    ]


def test_racing_submitters_of_a_key_submit_once(server: LocalServer, work: ModuleType) -> None:
    before = named_like(server, "work-square-*")
    barrier = threading.Barrier(4)

    def submit(_: int) -> str:
        barrier.wait()
        run: tm.Run[int] = work.square.submit(6, key="race")
        return run.id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(submit, range(4)))
    assert len(ids) == 1
    assert [job_id for job_id in named_like(server, "work-square-*") if job_id not in before] == [
        *ids
    ]
    mapped = work.square.map(range(3), key="race")
    assert mapped.id == work.square.map(range(3), key="race").id
    assert mapped.result(timeout=LONG_S) == [0, 1, 4]  # a map's key is not a call's


class LosesTheFirstReply(threading.Thread):
    """Stands before the server, and cuts the first connection off once the server has answered."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(daemon=True)
        host, port = endpoint.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.answers: list[bytes] = []

    def run(self) -> None:
        for number in itertools.count():
            ours, _ = self._listening.accept()
            with ours, ours.makefile("rb") as reading:
                with socket.create_connection(self._server) as theirs:
                    theirs.sendall(_message(reading))
                    with theirs.makefile("rb") as replying:
                        answer = _message(replying)
                self.answers.append(answer.split()[1])
                if number:
                    ours.sendall(answer)


def _message(reading: BinaryIO) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += reading.readline()
    (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
    return head + reading.read(int(length))


def test_a_lost_reply_submits_no_second_job(server: LocalServer, work: ModuleType) -> None:
    work.square.submit(0)  # its definition is known from here on
    proxy = LosesTheFirstReply(server.endpoint)
    proxy.start()
    connection = client.current()
    lossy = client.Connection(server.session, proxy.endpoint)
    before = named_like(server, "work-square")
    request = {"jobName": "work-square", "jobQueue": "default", "jobDefinition": "work-square"}
    parameters = {"inputs": 'data:application/json,{"args":[["j",3]],"kwargs":{}}'}
    results = f"s3://tidemill-{connection.account}-{connection.region}/runs/7d/lost/results/"
    job_id = lossy.sender.submit_job(request | {"parameters": parameters | {"results": results}})
    assert proxy.answers == [b"200", b"200"]
    assert [each for each in named_like(server, "work-square") if each not in before] == [job_id]


def test_what_waits_for_too_many_arrays_is_refused_with_what_to_do(
    work: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.current(), "array_max", 1)
    mapped = work.square.map(range(21), delay="1h")
    told = r"at most 20 jobs; got 21.*one map\(\) or submit_many\(\).*a larger chunk= makes fewer"
    with pytest.raises(tm.SubmitError, match=told):
        work.total.submit(mapped)
    along = work.plus_one.map(mapped)  # one for one, each waits for its own alone
    assert along.children == 21
    along.cancel()
    mapped.cancel()
    assert mapped.wait(timeout=LONG_S) == "FAILED"


def test_a_key_is_good_for_a_day(work: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    first = work.square.submit(7, key="daily")
    monkeypatch.setattr(key, "DAY_S", 0)
    second = work.square.submit(7, key="daily")
    monkeypatch.undo()
    assert second.id != first.id
    assert work.square.submit(7, key="daily").id == second.id


def test_a_submitter_that_was_overtaken_ends_its_own_job(
    server: LocalServer, work: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setattr(key, "TURN_S", 0.0)
    stopped, go_on = threading.Event(), threading.Event()
    send = submission.Submitter._send

    def slow(self: submission.Submitter, request: dict[str, Any], size: int) -> str:
        if threading.current_thread() is not threading.main_thread():
            stopped.set()
            go_on.wait()
        return send(self, request, size)

    monkeypatch.setattr(submission.Submitter, "_send", slow)
    with ThreadPoolExecutor(1) as pool:
        overtaken = pool.submit(work.gated.submit, str(gate), key="slow")
        stopped.wait()
        run = work.gated.submit(str(gate), key="slow")
        go_on.set()
        assert overtaken.result().id == run.id
    (other,) = {*named_like(server, "work-gated-*")} - {run.id}
    assert tm.run(other).wait(timeout=LONG_S) == "FAILED"
    gate.touch()
    assert run.result(timeout=LONG_S) == str(gate)
    assert detail_of(server, other)["statusReason"].startswith("Another submitter of the same key")


def test_an_overtaken_submitter_of_several_arrays_ends_those_that_are_not_shared(
    server: LocalServer, work: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.current(), "array_max", 2)
    monkeypatch.setattr(key, "TURN_S", 0.0)
    stopped, go_on = threading.Event(), threading.Event()
    send, before = submission.Submitter._send, named_like(server, "work-twice-*")

    def slow(self: submission.Submitter, request: dict[str, Any], size: int) -> str:
        is_second = request["jobName"].endswith("-1")
        if is_second and threading.current_thread() is not threading.main_thread():
            stopped.set()
            go_on.wait()
        return send(self, request, size)

    monkeypatch.setattr(submission.Submitter, "_send", slow)
    with ThreadPoolExecutor(1) as pool:
        overtaken = pool.submit(work.twice.map, range(6), key="slow", delay="1h")
        stopped.wait()
        mapped = work.twice.map(range(6), key="slow", delay="1h")
        go_on.set()
        ids = {part.job_id for part in mapped._ledger.first}
        assert {part.job_id for part in overtaken.result()._ledger.first} == ids
    others = {*named_like(server, "work-twice-*")} - {*before} - ids
    assert (len(ids), len(others)) == (3, 2)  # the first array is both's
    for other in others:
        assert detail_of(server, other)["statusReason"] == key.OVERTAKEN
    found = tm.run(mapped.id)
    assert {part.job_id for part in found._ledger.first} == ids
    found.cancel()
