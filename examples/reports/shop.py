"""A shop's orders in SQLite, and a tenant's report of them as a job."""

from __future__ import annotations

import csv
import io
import random
import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import tidemill as tm

DATABASE = Path(__file__).with_name("shop.db")
TENANTS = ["acme", "globex", "initech", "umbrella"]
ORDERS = 500


@dataclass
class Report:
    """What one tenant's report came to; `text` is the CSV file."""

    tenant: str
    orders: int
    total: str
    text: str


def make_data() -> None:
    """Fill the database with the same orders each time; one of them came from a spreadsheet."""
    dice = random.Random(7)
    rows = [
        (tenant, f"2026-{dice.randint(1, 12):02}", f"{dice.randint(100, 99_999) / 100:.2f}")
        for tenant in TENANTS
        for _ in range(ORDERS)
    ]
    rows[ORDERS + 3] = ("globex", "2026-04", "1234,50")
    DATABASE.unlink(missing_ok=True)
    with sqlite3.connect(DATABASE) as database:
        database.execute("CREATE TABLE orders (tenant TEXT, month TEXT, amount TEXT)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    database.close()


def amount_of(text: str) -> Decimal:
    """An order's amount as it stands in the database."""
    return Decimal(text)


@tm.job(memory="128MiB")
def report(tenant: str) -> Report:
    """One tenant's sales by month."""
    database = sqlite3.connect(DATABASE)
    rows = database.execute("SELECT month, amount FROM orders WHERE tenant = ?", [tenant])
    by_month: dict[str, Decimal] = {}
    orders = 0
    for month, amount in rows:
        by_month[month] = by_month.get(month, Decimal(0)) + amount_of(amount)
        orders += 1
    database.close()
    print(f"{tenant}: {orders} orders in {len(by_month)} months")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["month", "sales"])
    writer.writerows(sorted(by_month.items()))
    return Report(tenant, orders, str(sum(by_month.values())), file.getvalue())


@tm.job(memory="128MiB")
def summary(reports: list[Report]) -> str:
    """All tenants on one page."""
    lines = [f"{one.tenant:<10} {one.orders:>6} orders {one.total:>12}" for one in reports]
    return "\n".join(lines)
