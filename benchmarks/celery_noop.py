"""A Celery no-op task, as `celery -A benchmarks.celery_noop worker` runs it."""

from __future__ import annotations

import os

from celery import Celery

URL = os.environ.get("BENCHMARK_REDIS", "redis://127.0.0.1:6379/0")
app = Celery("noop", broker=URL, backend=URL)


@app.task
def noop(item: int) -> None:
    """Nothing."""
