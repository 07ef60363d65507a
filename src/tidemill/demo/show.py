"""What a person sees of the demo: where it runs, a progress bar, and what came of it."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from rich.console import Console

from tidemill.sdk import client, watch
from tidemill.sdk.error import TidemillError
from tidemill.sdk.watch import Sight

if TYPE_CHECKING:
    import tidemill as tm
    from tidemill.demo.site import Page

INTERRUPTED: Final = 130
_REACH_S: Final = 1.0
_NAMED_PROBLEMS: Final = 3


def run(output: Path) -> int:
    """Render the site into `output`; the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    folder = output.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _server(console):
            return _render(console, folder)
    except KeyboardInterrupt:
        console.print("Stopped, with every job; run it again to render the site.")
        return INTERRUPTED
    except OSError as error:
        console.print(f"The site can't be written to {folder}: {error.strerror or error}.")
    except TidemillError as error:
        console.print(str(error))
    return 1


@contextlib.contextmanager
def _server(console: Console) -> Iterator[None]:
    """The configured server when one answers, else a private one for as long as the demo runs.

    Never AWS: a demo must cost nothing.
    """
    endpoint = _configured()
    if endpoint is not None:
        console.print(f"Using the server at {endpoint}; `tidemill ps` shows the jobs there.")
        yield
        return
    from tidemill.sdk.local import LocalServerError, local

    try:
        with local() as server:
            console.print(f"Started a private server at {server.endpoint} for the demo.")
            yield
    except LocalServerError as error:
        raise TidemillError(str(error)) from error


def _configured() -> str | None:
    """The endpoint that the configuration names, if it is a Tidemill server that answers."""
    from botocore.exceptions import BotoCoreError

    try:
        endpoint = str(client.client("batch").meta.endpoint_url)
    except (BotoCoreError, TidemillError):  # the latter where nothing names a server
        return None
    url = urlsplit(endpoint)
    if client.is_aws(endpoint) or url.hostname is None:
        return None
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        with socket.create_connection((url.hostname, port), _REACH_S):
            return endpoint
    except OSError:
        return None


def _render(console: Console, folder: Path) -> int:
    from tidemill.demo import site

    start_s = time.monotonic()
    pages, published = site.start(folder)
    console.print(
        f"Rendering the documentation of Python's standard library: {len(pages)} modules, by an "
        f"array job of\n{pages.children} children, and by one more job that joins the pages to a "
        f"site."
    )
    try:
        sight = _watch(console, pages, published)
    except BaseException:
        for handle in (pages, published):
            with contextlib.suppress(Exception):  # the server may be what failed
                handle.cancel("The demo was stopped.")
        raise
    passed_s = time.monotonic() - start_s
    if sight.status != "SUCCEEDED":
        console.print(f"The demo failed: {sight.why}")
        console.print(f"`tidemill logs {pages.id}:0` shows what a job printed.")
        return 1
    _report(console, folder, pages, published.result(), passed_s)
    return 0


def _watch(console: Console, pages: tm.MapRun[Page], published: tm.Run[list[Page]]) -> Sight:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("jobs"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Rendering the modules", total=pages.children + 1)

        def seen(sight: Sight) -> None:
            bar.update(task, completed=sight.ended)

        rendered = watch.until_end(client.current(), _look(pages), None, seen)
        if rendered.status != "SUCCEEDED":
            return rendered
        bar.update(task, description="Joining the pages to a site")
        return watch.until_end(client.current(), _look(published), None)


def _look(run: tm.Run[Any] | tm.MapRun[Any]) -> Callable[[], Sight]:
    return lambda: watch.look(client.current(), run.id)


def _report(
    console: Console, folder: Path, pages: tm.MapRun[Page], problems: list[Page], passed_s: float
) -> None:
    jobs = pages.children + 1
    console.print(
        f"[bold]{len(pages) - len(problems)} modules[/bold] documented by {jobs} jobs in "
        f"{passed_s:.1f} s: {jobs / passed_s:.1f} jobs and {len(pages) / passed_s:.0f} pages "
        f"a second."
    )
    if problems:
        console.print(_told(problems))
    console.print("\nThe site:")
    _indented(console, (folder / "index.html").as_uri())
    console.print("\nWhat to try next:")
    steps = _next_steps()
    width = max(len(command) for command, _ in steps)
    for command, told in steps:
        _indented(console, f"{command:<{width}}  {told}")


def _told(problems: list[Page]) -> str:
    named = ", ".join(page.name for page in problems[:_NAMED_PROBLEMS])
    others = len(problems) - _NAMED_PROBLEMS
    rest = f" and {others} more" if others > 0 else ""
    return f"{named}{rest} can't be imported on this machine: their pages say why."


def _next_steps() -> list[tuple[str, str]]:
    command = _command()
    return [
        (f"{command} serve", "a server of your own; leave it running"),
        (f"{command} config --write", "let boto3, the aws CLI and Luigi find it"),
        (f"{command} submit --array 10 -- sh -c 'date; sleep 1'", "ten jobs of any command"),
        (f"{command} ps --all", "how they are doing"),
        (_source(), "the demo's whole program"),
    ]


def _command() -> str:
    """How `tidemill` is called from here: by its name where PATH has it."""
    import shutil
    import sys

    if shutil.which("tidemill"):
        return "tidemill"
    beside = Path(sys.executable).with_name("tidemill")
    with contextlib.suppress(ValueError):
        beside = beside.relative_to(Path.cwd())
    return shlex.quote(os.fspath(beside))


def _source() -> str:
    from tidemill.demo import site

    path = Path(site.__file__)
    with contextlib.suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return f"less {shlex.quote(os.fspath(path))}"


def _indented(console: Console, text: Any) -> None:
    console.print(f"  {text}", markup=False)
