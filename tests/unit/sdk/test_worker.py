"""What a job reads from its arguments and its environment."""

from __future__ import annotations

from tidemill.sdk.worker import Task


def test_children_of_a_later_array_are_counted_on() -> None:
    environment = {"AWS_BATCH_JOB_ARRAY_INDEX": "7", "AWS_BATCH_JOB_ATTEMPT": "2"}
    task = Task.of(["m:f", "s3://b/r/bundle", "s3://b/r/results/#5000"], environment)
    assert (task.results, task.index, task.attempt) == ("s3://b/r/results/", 5007, 2)
    alone = Task.of(["m:f", "s3://b/r/bundle", "s3://b/r/results/#5000"], {})
    assert alone.index == 5000


def test_what_is_done_again_is_told_which_children() -> None:
    place = {"AWS_BATCH_JOB_ARRAY_INDEX": "2"}
    task = Task.of(["m:f", "s3://b/r/bundle", "s3://b/r/results/#3,17,99-120@1"], place)
    assert (task.results, task.index, task.generation) == ("s3://b/r/results/", 99, 1)
    alone = Task.of(["m:f", "s3://b/r/bundle", "s3://b/r/results/#17@2"], {})
    assert (alone.index, alone.generation) == (17, 2)
