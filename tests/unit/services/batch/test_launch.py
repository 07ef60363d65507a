"""From a body to what an engine is told, and the few bodies that are kept at hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidemill.services.batch.body import BodyCache
from tidemill.services.batch.command import NodeGroup, Nodes
from tidemill.services.batch.effect import StartAttempt
from tidemill.services.batch.job import Spec
from tidemill.services.batch.launch import Launch
from tidemill.services.batch.request import Request


def order(node: int | None = None, nodes: Nodes | None = None) -> StartAttempt:
    spec = Spec(queue="default", definition_name="render", request=Request(3000, 300), nodes=nodes)
    return StartAttempt(
        attempt_id="a/1" if node is None else f"a#{node}/1",
        job_id="a",
        number=1,
        environment="local",
        log_stream="render/default/0",
        spec=spec,
        node=node,
    )


def launch(**body: Any) -> Launch:
    return Launch(json.dumps(body).encode())


def test_ecs_container_is_launched_as_a_plain_one() -> None:
    container = {"name": "default", "command": ["true"], "image": "busybox"}
    found = launch(ecsProperties={"taskProperties": [{"containers": [container]}]})
    attempt = found.attempt(order(), {})
    assert attempt.command == ("true",)
    assert attempt.image == "busybox"
    assert (attempt.cpu_milli, attempt.memory_mib) == (3000, 300)


def test_each_node_runs_what_the_narrowest_range_says() -> None:
    nodes = Nodes(
        count=3,
        main=0,
        groups=(
            NodeGroup(first=0, last=1, request=Request(1000, 100)),
            NodeGroup(first=2, last=2, request=Request(500, 50)),
        ),
    )
    ranges = [
        {"targetNodes": "0:", "container": {"command": ["all"]}},
        {"targetNodes": "2", "container": {"command": ["last"]}},
    ]
    shape = {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": ranges}
    found = launch(nodeProperties=shape)
    attempts = [found.attempt(order(node, nodes), {}) for node in range(3)]
    assert [each.command for each in attempts] == [("all",), ("all",), ("last",)]
    assert [each.cpu_milli for each in attempts] == [1000, 1000, 500]


def test_variables_of_batch_win_over_the_jobs_and_those_over_what_is_given() -> None:
    pairs = [{"name": "A", "value": "job"}, {"name": "AWS_BATCH_JOB_ID", "value": "other"}]
    found = launch(container={"command": ["true"], "environment": pairs})
    environment = found.attempt(order(), {"A": "given", "B": "given"}).environment
    assert environment["A"] == "job"
    assert environment["B"] == "given"
    assert environment["AWS_BATCH_JOB_ID"] == "a"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"container": {"command": 3}}'])
def test_body_without_a_program_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="The job's body"):
        Launch(body)


def test_bodies_that_were_not_used_for_longest_go_first() -> None:
    body = json.dumps({"container": {"command": ["x" * 100]}}).encode()
    cache = BodyCache(size_max_bytes=3 * len(body))
    for job_id in ("a", "b", "c"):
        cache.put(job_id, body)
    assert cache.launch("a") is cache.launch("a")
    cache.put("d", body)
    assert [job_id for job_id in "abcd" if job_id in cache] == ["a", "c", "d"]
    cache.drop("a")
    cache.drop("a")
    cache.put("e", body)
    assert [job_id for job_id in "acde" if job_id in cache] == ["c", "d", "e"]
