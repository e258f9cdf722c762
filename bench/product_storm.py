"""A product storm: what a new base cost adds to the caller's commit, and how fast it is told.

``python -m bench.product_storm --tenants 10,1000,10000`` makes that many tenants below one product
of the environment's (empty) database, changes its base cost and its stock several times, and prints
the median time of each change to its commit, and how many ``product.updated`` a second follow it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from bench.stand import bench_settings
from engine import products, tenants
from engine.ids import new_id
from engine.price_cascade import Offer
from engine.product_changes import told
from engine.product_expander import ProductExpander
from engine.product_tables import tenant_prices, told_offers
from engine.tables import events
from engine.tables import tenants as tenant_rows
from worker.bootstrap import Application, build
from worker.initialise import initialise

CHANGES = 7
ROWS_PER_STATEMENT = 1000


def plant(application: Application, count: int) -> dict[str, Any]:
    """Make a product and ``count`` tenants that sell it: about as many per parent as parents."""
    with application.units.begin(actor="bench") as work:
        root = tenants.create(work, name=f"bench {count}")
        row = products.create(work, root["id"], {"sku": "STORM", "name": "Storm", "base_cost": 100})
        below = list(_tree(root, count))
        names = set(tenant_rows.columns.keys())
        rows = [{key: each[key] for key in names} for each in below]
        prices = [_price(row, each) for each in below]
        offers = [Offer(each["id"], each["cost_minor"], is_sellable=True) for each in below]
        seen = [told(row, offer) for offer in offers]
        for start in range(0, count, ROWS_PER_STATEMENT):
            part = slice(start, start + ROWS_PER_STATEMENT)
            work.connection.execute(insert(tenant_rows), rows[part])
            work.connection.execute(insert(tenant_prices), prices[part])
            work.connection.execute(insert(told_offers), seen[part])
    return row


def _tree(root: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """Yield tenants two levels deep, parents before their children."""
    width = max(1, round(count**0.5))
    parents = [_child(root, 20) for _ in range(min(width, count))]
    yield from parents
    for number in range(count - len(parents)):
        yield _child(parents[number % len(parents)], 15)


def _child(parent: dict[str, Any], percent: int) -> dict[str, Any]:
    tenant_id = new_id()
    return {
        **parent,
        "id": tenant_id,
        "parent_id": parent["id"],
        "depth": parent["depth"] + 1,
        "path": f"{parent['path']}/{tenant_id}",
        "percent": percent,
        "cost_minor": parent.get("cost_minor", 10_000) * (100 + percent) // 100,
    }


def _price(product: dict[str, Any], tenant: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": new_id(),
        "product_id": product["id"],
        "tenant_id": tenant["id"],
        "parent_id": tenant["parent_id"],
        "margin_percent": Decimal(tenant["percent"]),
        "cost_minor": tenant["cost_minor"],
        "is_available": True,
        "is_sellable": True,
        "created_at": product["created_at"],
        "updated_at": product["created_at"],
    }


def change(application: Application, product_id: str, changes: dict[str, int]) -> float:
    """Change a product several times and return the median of the milliseconds to the commit."""
    times = []
    for number in range(CHANGES):
        began = time.perf_counter()
        with application.units.begin(actor="bench") as work:
            given = {name: value + number for name, value in changes.items()}
            products.update(work, product_id, given)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def measure(application: Application, count: int) -> None:
    """Print one line for ``count`` tenants."""
    row = plant(application, count)
    cost = change(application, row["id"], {"base_cost": 101})
    stock = change(application, row["id"], {"stock_quantity": 1})
    expander = ProductExpander(application.units, application.clock, window=timedelta())
    began = time.perf_counter()
    chunks = expander.run_until_idle()
    seconds = time.perf_counter() - began
    with application.database.read() as connection:
        query = select(func.count()).where(events.c.subject_id == row["id"])
        raised = connection.execute(query).scalar_one()
    figures = f"{cost:>12.1f} {stock:>12.1f} {chunks:>8} {raised:>8,} {raised / seconds:>10,.0f}"
    print(f"{count:>8,} {figures}")


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.product_storm", description=__doc__)
    parser.add_argument("--tenants", default="10,1000,10000")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillbell-storm-") as name:
        settings = bench_settings(Path(name))
        initialise(settings)
        application = build(settings)
        heads = f"{'price ms':>12} {'stock ms':>12} {'chunks':>8} {'events':>8}"
        print(f"{'tenants':>8} {heads} {'a second':>10}")
        for count in given.tenants.split(","):
            measure(application, int(count))
        application.close()


if __name__ == "__main__":
    main()
