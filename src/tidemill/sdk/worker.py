"""What a job of the library runs: `python -m tidemill.sdk.worker REFERENCE INPUTS RESULTS`.

The fork server of a warm interpreter calls the same parts by themselves: `prepare` once, `stage`
before each fork, `main` in the forked child.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
import sysconfig
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from tidemill.sdk import (
    bucket,
    client,
    codec,
    context,
    courier,
    index_set,
    kept,
    parcel,
    payload,
    reference,
    result,
)
from tidemill.sdk.codec import Encoded
from tidemill.sdk.context import Interrupted, SoftTimeout
from tidemill.sdk.courier import Courier
from tidemill.sdk.definition import Needs
from tidemill.sdk.error import TidemillError
from tidemill.sdk.function import Job
from tidemill.sdk.retry import FAILED, INTERRUPTED
from tidemill.sdk.run import flatten
from tidemill.sdk.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What this process is to do, from its arguments and its environment.

    A map that is more than one array has its children counted on: `…/results/#5000` is where the
    children of one go whose first is the map's child 5,000. What is done again names its children,
    and the how many-eth time it is: `…/results/#3,17,99-120@1`.
    """

    reference: str
    inputs: str
    results: str
    index: int
    attempt: int
    generation: int = 0

    @classmethod
    def of(cls, argv: Sequence[str], environment: Mapping[str, str]) -> Task:
        """`argv` without the interpreter and the module; raises `TidemillError`."""
        if len(argv) != 3:
            raise TidemillError(
                "tidemill.sdk.worker takes a function, its inputs and where its results go; "
                "jobs are submitted with .submit() or .map() of a function."
            )
        results, _, children = argv[2].partition("#")
        named, _, generation = children.partition("@")
        place = int(environment.get("AWS_BATCH_JOB_ARRAY_INDEX", "0"))
        return cls(
            reference=argv[0],
            inputs=argv[1],
            results=results,
            index=index_set.parse(named)[place] if generation else int(named or 0) + place,
            attempt=int(environment.get("AWS_BATCH_JOB_ATTEMPT", "1")),
            generation=int(generation or 0),
        )


class _ItemFailed(Exception):
    """An item of a chunk raised what is this exception's cause."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


_jobs: dict[str, Job[..., Any]] = {}
_WHEN_ASKED_FOR: Final = ("tidemill.sdk.checkpoint", "tidemill.sdk.report")
"""What of the library a function may use, and its job should find imported."""
_SOON_S: Final = 1e-6


def prepare(name: str) -> list[str]:
    """Import the function `name` refers to and all that its jobs will need, before any fork.

    Returns the files of the project that this imported: when one changes, so do its jobs. Raises
    what the import raises. Clients wait for `stage`: only attempts are given credentials.
    """
    for module in ("boto3.session", "encodings.idna", "http.client", *_WHEN_ASKED_FOR):
        importlib.import_module(module)
    job = _job(name)
    _ = (job.parameters, job.result_shape, job.chunk_shape, job.item_shape)
    codec.warm()
    _print_by_lines()
    _settle()
    return _project_files()


def stage(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """In the parent, before the fork for `argv`: have its inputs at hand, and its courier.

    Never raises: what could not be made ready here, the child does itself, and reports.
    """
    try:
        task = Task.of(argv, environment)
        found = courier.couriers.get(bucket.split(task.results)[0])
        is_inline = task.inputs.startswith(payload.INLINE)
        if not is_inline and not kept.is_staged(task.inputs, task.index):
            _stage_credentials(environment)
            _stage_inputs(task)
        if found is None or found.is_due_for_a_look:
            _stage_credentials(environment)
            _stage_courier(task, found)
    except Exception:  # noqa: BLE001 - see above
        return


def _stage_inputs(task: Task) -> None:
    connection = client.current()
    try:
        kept.stage(connection, task.inputs, task.index, _job(task.reference).item_shape)
    finally:
        # A connection that parent and child shared would mix up their answers.
        connection.client("s3").close()


def _stage_courier(task: Task, found: Courier | None) -> None:
    connection = client.current()
    if found is not None and found.is_good_for(connection):
        return
    if found is not None:
        found.close()
    name = bucket.split(task.results)[0]
    courier.couriers[name] = Courier(connection, name)
    _settle()


def _stage_credentials(environment: Mapping[str, str]) -> None:
    """New credentials are given to running attempts only: ask as the newest."""
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        if name in environment:
            os.environ[name] = environment[name]


def _settle() -> None:
    """Keep the collector's hands, in every child to come, off what is there by now."""
    gc.collect()
    gc.freeze()


def main(argv: Sequence[str]) -> int:
    """Do the task; the exit code is 0, or what the function's `Retry` makes of its exception."""
    _print_by_lines()
    try:
        task = Task.of(argv, os.environ)
    except TidemillError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    context.attempt = task
    code, outcome = _outcome(task)
    if context.at_end:
        _finish()
    if outcome is not None:
        key, body = result.name_and_body(task.index, _number(task), outcome)
        courier.put(task.results + key, body)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _number(task: Task) -> int:
    """Which attempt it is of all, also of those before it was done again."""
    return result.GENERATION * task.generation + task.attempt


def _finish() -> None:
    """Write what is left to write; that it can't be is no reason to fail."""
    for end in context.at_end:
        try:
            end()
        except Exception:  # noqa: BLE001 - likewise
            traceback.print_exc()


def _print_by_lines() -> None:
    """So that what a job prints is seen while it runs; set already in what was forked."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.line_buffering:
        sys.stdout.reconfigure(line_buffering=True)


def _outcome(task: Task) -> tuple[int, Encoded | None]:
    """The exit code, and what is told of it: nothing where the job only makes a pause."""
    try:
        return 0, _do(task)
    except _ItemFailed as failed:
        error, place = failed.__cause__, failed.place
    except BaseException as raised:  # noqa: BLE001 - reported to whoever submitted it
        error, place = raised, None
    assert error is not None
    if isinstance(error, Interrupted):
        sys.stderr.write(f"{error}\n")
        return INTERRUPTED, None
    error.__traceback__ = _user_part(error)
    sys.stderr.write(reference.as_script("".join(traceback.format_exception(error))))
    job = _jobs.get(task.reference)
    code = FAILED if job is None else job.needs.retry.exit_code(error)
    return code, result.of_exception(error, place)


def _user_part(error: BaseException) -> Any:
    """The traceback without this module's own frames, where anything else is in it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace or error.__traceback__


def _do(task: Task) -> Encoded:
    job = _job(task.reference)
    limit_s = job.needs.soft_timeout_s
    if limit_s is None:
        value, shape = _called(job, task)
    else:
        _warn_after(limit_s)
        try:
            value, shape = _called(job, task)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    parcel.begin(lambda: f"{context.run_url(task.results)}files/{task.index}.{_number(task)}/")
    encoded = job.encode_result(value, shape)
    parcel.finish()
    return encoded


def _called(job: Job[..., Any], task: Task) -> tuple[Any, Shape]:
    """What the function made of its inputs, and how that is encoded."""
    if task.inputs.startswith(payload.INLINE):
        data = task.inputs.removeprefix(payload.INLINE).encode("ascii")
    elif task.inputs.endswith("/call"):
        data = kept.call(client.current(), task.inputs)
    elif task.inputs.endswith("/calls"):
        data = kept.chunk(client.current(), task.inputs, task.index).data
        args, kwargs = payload.unpack(job.parameters, data, _receive)
        return [job.function(*args, **kwargs)], job.chunk_shape
    else:
        items = kept.items(client.current(), task.inputs, task.index, job.item_shape)
        return _call_chunk(job, items), job.chunk_shape
    content = payload.read_map(data)
    if content is not None:
        items = _receive_chunk(content, task.index)
        return _call_chunk(job, items), job.chunk_shape
    args, kwargs = payload.unpack(job.parameters, data, _receive)
    return job.function(*args, **kwargs), job.result_shape


def _call_chunk(job: Job[..., Any], items: Sequence[Any]) -> list[Any]:
    values = []
    for place, item in enumerate(items):
        context.place = place
        try:
            values.append(job.function(item))
        except BaseException as error:
            raise _ItemFailed(place) from error
    return values


def _warn_after(limit_s: float) -> None:
    """Raise `SoftTimeout` in this thread once the attempt is as old as that."""

    def warn(*_: object) -> None:
        raise SoftTimeout(f"The soft time limit of {limit_s:g} s has passed.")

    signal.signal(signal.SIGALRM, warn)
    signal.setitimer(signal.ITIMER_REAL, max(limit_s - context.age_s(), _SOON_S))


def _job(name: str) -> Job[..., Any]:
    """The job of this process; what the submitter pickled as its `__main__` is looked for there."""
    job = _job_of(name)
    reference.adopt(job.function.__module__)
    return job


def _job_of(name: str) -> Job[..., Any]:
    job = _jobs.get(name)
    if job is None:
        job = reference.load_for_job(name)
        if isinstance(job, FunctionType):  # `tidemill map` and `run` take functions as they are
            job = Job(job, Needs())
        if not isinstance(job, Job):
            raise TidemillError(f"{name} is no job any more; decorate the function with @tm.job.")
        _jobs[name] = job
    return job


def _receive(upstream: dict[str, Any]) -> Any:
    """What an upstream run or map gave: its value, or the list of all its values."""
    job = _job_of(upstream["of"])
    connection, url = client.current(), upstream["results"]
    if "children" in upstream:
        children = upstream["children"]
        found = result.collect(connection, url) if children else {}
        return flatten(found, children, job.chunk_shape, upstream["of"])
    shape = job.chunk_shape if upstream["is_chunk"] else job.result_shape
    found = result.collect(connection, url, upstream["index"])
    value = codec.decode(found[upstream["index"]], shape)
    return value[upstream["item"]] if "item" in upstream else value


def _receive_chunk(upstream: dict[str, Any], index: int) -> Any:
    job = _job_of(upstream["of"])
    found = result.collect(client.current(), upstream["results"], index)
    return codec.decode(found[index], job.chunk_shape)


def _project_files() -> list[str]:
    """The files of imported modules that belong neither to Python nor to an installed package."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed = tuple(str(Path(path).resolve()) + os.sep for path in paths)
    files = {
        str(Path(file).resolve())
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None))
    }
    return sorted(file for file in files if not file.startswith(installed))


if __name__ == "__main__":
    from tidemill.sdk.worker import main as main_of_module

    sys.exit(main_of_module(sys.argv[1:]))
