"""What the web application hands over: work that is too slow for a request."""

from __future__ import annotations

import time

import tidemill as tm

PAGES = 20


@tm.job(memory="128MiB", attempts=2)
def export(account: str) -> str:
    """Write an account's export, page by page; where it can be fetched."""
    for page in range(PAGES):
        time.sleep(0.05)  # a query to a slow database, say
        tm.progress(page + 1, PAGES, f"page {page + 1}")
    return f"/exports/{account}.zip"
