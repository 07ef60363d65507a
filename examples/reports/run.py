"""Make every tenant's report: `python run.py`, and after a fix `python run.py resume`."""

from __future__ import annotations

import sys
from pathlib import Path

import shop

import tidemill as tm

HERE = Path(__file__).parent
NOTE = HERE / "last-run"
OUT = HERE / "out"


def start() -> int:
    """Submit a report for each tenant, and the summary that waits for all of them."""
    shop.make_data()
    reports = shop.report.map(shop.TENANTS)
    summary = shop.summary.submit(reports)
    NOTE.write_text(f"{reports.id} {summary.id}")
    return finish(reports, summary)


def resume() -> int:
    """Run again what failed, with the code as it is now, and what hangs on it."""
    reports, summary = (tm.run(job_id) for job_id in NOTE.read_text().split())
    reports.retry()
    return finish(reports, summary)


def finish(reports: tm.MapRun[shop.Report], summary: tm.Run[str]) -> int:
    """Wait, then write the files; the exit code says whether there are all."""
    reports.wait(progress=True)
    for failure in reports.failures():
        print(f"{shop.TENANTS[failure.index]} failed: {failure.error!r}")
    if reports.status != "SUCCEEDED":
        print("Mend it, then: python run.py resume")
        return 1
    OUT.mkdir(exist_ok=True)
    for one in reports.result():
        (OUT / f"{one.tenant}.csv").write_text(one.text)
    print(summary.result())
    return 0


if __name__ == "__main__":
    sys.exit(resume() if sys.argv[1:] == ["resume"] else start())
