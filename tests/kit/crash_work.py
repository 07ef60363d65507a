"""What the library's jobs do in the crash tests: bear witness, as the shell's in `crash_witness`.

They run in the witness's folder.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time

import tidemill as tm


@tm.job(vcpus=0.5, memory=256, attempts=10)
def square(item: int) -> int:
    job_id, attempt = os.environ["AWS_BATCH_JOB_ID"], os.environ["AWS_BATCH_JOB_ATTEMPT"]
    lock = os.open(f"locks/{job_id}", os.O_WRONLY | os.O_CREAT)
    me = f"{job_id} {attempt} {os.getpid()}"
    _note(f"start {me} {_take(lock)}")
    if item % 3 == 0:
        subprocess.Popen(["sleep", "300"], pass_fds=[lock], start_new_session=True)
    elif item % 3 == 1 and os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(300)  # the job's own
        os._exit(0)
    time.sleep(0.01)  # the job's own
    _note(f"end {me}")
    return item * item


def _take(lock: int) -> str:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "ghost"
    return "alone"


def _note(line: str) -> None:
    witness = os.open("witness", os.O_WRONLY | os.O_APPEND)
    os.write(witness, f"{line}\n".encode())
    os.close(witness)
