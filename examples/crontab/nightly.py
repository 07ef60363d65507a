"""A nightly job: cron submits it, Tidemill runs it, and the same night never runs twice.

python nightly.py               tonight's
python nightly.py 2026-11-20    that of another day, by hand
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import tidemill as tm

LOGS = Path(__file__).with_name("logs")


@tm.job(attempts=3, backoff="1s", give_up_on=ValueError, memory="64MiB", timeout="10m")
def purge(day: str, keep_days: int = 7) -> list[str]:
    """Remove log files that are older than `keep_days` on `day`; their names."""
    oldest = date.fromisoformat(day) - timedelta(days=keep_days)
    old = [path for path in sorted(LOGS.glob("*.log")) if date.fromisoformat(path.stem) < oldest]
    for path in old:
        path.unlink()
        print(f"removed {path.name}")
    return [path.name for path in old]


def main() -> int:
    """Submit the day's run, unless that was done already; wait for it, so that cron mails why."""
    day = sys.argv[1] if sys.argv[1:] else datetime.now(UTC).date().isoformat()
    run = purge.submit(day, key=f"purge-{day}")
    try:
        removed = run.result(timeout=3600)
    except Exception as error:  # noqa: BLE001 - whatever it is, cron's mail shall say it
        print(f"purge of {day} failed (job {run.id}): {error}", file=sys.stderr)
        return 1
    print(f"purge of {day}: {len(removed)} files removed (job {run.id})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
