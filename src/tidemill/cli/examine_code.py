"""Whether a job would find the project's functions: imported as a job imports them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tidemill.cli.finding import Finding, note, ok, unchecked, wrong
from tidemill.sdk.project import Project

IMPORT_S: Final = 60
_LOOK: Final = """
import json, sys, threading
from tidemill.sdk.function import Job
from tidemill.sdk.reference import load_for_job
found = []
for place in sys.argv[1:]:
    module = sys.modules[load_for_job(place + ":__name__")]
    found += [name for name, value in vars(module).items() if isinstance(value, Job)]
print("\\n" + json.dumps({"jobs": found, "threads": threading.active_count() - 1}))
"""


def findings(place: Project, modules: Sequence[str]) -> Iterator[Finding]:
    """What importing `modules`, by name or as files, brings to light."""
    if not modules:
        hint = "name the modules that hold your jobs: `tidemill doctor app.jobs`"
        yield unchecked("code", "no module was named", hint)
        return
    named = [str(Path.cwd() / name) if name.endswith(".py") else name for name in modules]
    paths = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOOK, *named],
            env=os.environ | place.environment() | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=IMPORT_S,
        )
    except subprocess.TimeoutExpired:
        told = f"importing {', '.join(modules)} takes more than {IMPORT_S} s"
        yield wrong("code", told, 'put what starts work under `if __name__ == "__main__":`')
        return
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        yield wrong("code", f"a job could not import it: {last.rstrip('.')}", "mend that import")
        return
    said = json.loads(done.stdout.strip().splitlines()[-1])
    if said["jobs"]:
        yield ok("code", f"{len(said['jobs'])} jobs: {', '.join(said['jobs'])}")
    else:
        told = f"{', '.join(modules)} can be imported and holds no job"
        yield note("code", told, "@tm.job above a function makes one")
    if said["threads"]:
        told = f"importing {', '.join(modules)} starts threads, so its jobs can't be forked warm"
        yield note("code", told, "start them inside functions")
