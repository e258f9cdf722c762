"""What reconciliation costs with a million of everything and a thousand that are due or moved.

``python -m bench.reconcile --rows 1000000 --due 1000`` fills an empty database by the server's own
copying of rows that the engine made, runs each check once over everything, plants what is due, and
times the run that finds it.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text

from bench.ground import fresh_ground
from bench.stand import Stand, standing
from dispatcher.hints import NoHints
from engine import orders, pricing, products, tenants, wallets
from engine.database import Database, metadata
from engine.ledger_tables import wallets as wallet_rows
from engine.order_tables import chain_orders
from engine.settlement_tables import milestones, remittances
from engine.tables import events
from reconciler.runner import Runner

BATCH = 100_000
OLD, LATE = "2020-01-01", "2099-01-01"
ORDER = {
    "origin_order_number": "ORD-0",
    "customer": {"name": "Asha"},
    "shipping_address": {"city": "Pune"},
    "items": [{"sku": "P", "quantity": 1, "unit_price": 155}],
    "payment": {"method": "cod"},
}


def chain(stand: Stand) -> None:
    """Make three tenants and one delivered order of theirs, with its two remittances."""
    with stand.application.units.begin(actor="bench") as work:
        top = tenants.create(work, name="Top")["id"]
        middle = tenants.create(work, name="Middle", parent_id=top)["id"]
        shop = tenants.create(work, name="Shop", parent_id=middle)["id"]
        product = products.create(
            work, top, {"sku": "P", "name": "P", "base_cost": 100, "stock_quantity": 9}
        )
        pricing.set_margin(work, product["id"], middle, 20)
        pricing.set_margin(work, product["id"], shop, 15)
        order_id = orders.place(work, shop, ORDER)["id"]
        for _ in range(2):
            orders.forward(work, order_id)
        orders.accept(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
        orders.deliver(work, order_id)
        wallets.set_threshold(work, shop, 1000)


def copies(
    connection: Connection, table: str, changed: dict[str, str], rows: int, where: str = "true"
) -> None:
    """Insert so many copies of the row that ``where`` chooses; ``s.n`` is the number of a copy."""
    numbers = (
        "(WITH RECURSIVE s(n) AS (SELECT :start UNION ALL SELECT n + 1 FROM s WHERE n < :stop)"
        " SELECT n FROM s)"
        if connection.dialect.name == "sqlite"
        else "(SELECT n FROM generate_series(CAST(:start AS bigint), CAST(:stop AS bigint)) g(n))"
    )
    for start in range(1, rows + 1, BATCH):
        stop = min(start + BATCH - 1, rows)
        multiply(connection, table, changed, numbers, where, start=start, stop=stop)


def multiply(
    connection: Connection,
    table: str,
    changed: dict[str, str],
    by: str,
    where: str = "true",
    **values: int,
) -> None:
    """Insert, for each row of ``by`` (called s), the rows (t) chosen, with columns ``changed``.

    ``{id}`` stands for a new identifier.
    """
    new_id = "tillbell_uuid7()" if connection.dialect.name == "sqlite" else "gen_random_uuid()"
    names = [column.name for column in metadata.tables[table].columns]
    chosen = ", ".join(changed.get(name, f"t.{name}").replace("{id}", new_id) for name in names)
    statement = (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen}"  # noqa: S608  # our own names
        f" FROM (SELECT * FROM {table} WHERE {where}) t CROSS JOIN {by} s"
    )
    connection.execute(text(statement), values)


def fill(database: Database, rows: int) -> None:
    """Copy one order, one remittance with its milestones, and one tenant with its wallet."""
    for step in (_orders, _remittances, _wallets):
        with database.write() as connection:
            step(connection, rows)
    if not database.sqlite:
        free = database.engine.execution_options(isolation_level="AUTOCOMMIT")
        with free.connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _instant(connection: Connection, day: str) -> str:
    sqlite = connection.dialect.name == "sqlite"
    return f"'{day} 00:00:00.000000'" if sqlite else f"timestamptz '{day}'"


def _orders(connection: Connection, rows: int) -> None:
    first = connection.execute(select(chain_orders.c.id, chain_orders.c.version)).one()
    changed = {"id": "{id}", "origin_order_number": "'B-' || s.n"}
    copies(connection, "chain_orders", changed | {"updated_at": _instant(connection, OLD)}, rows)
    made = "(SELECT id FROM chain_orders WHERE origin_order_number LIKE 'B-%')"
    last = f"chain_order_id = '{first.id}' AND seq = {first.version}"
    multiply(connection, "order_log", {"chain_order_id": "s.id"}, made, last)
    told = {"id": "{id}", "subject_id": "CAST(s.id AS text)", "dedupe_key": "NULL"}
    newest = f"subject_id = '{first.id}' AND sequence = {first.version}"
    one = f"id = (SELECT id FROM events WHERE {newest} ORDER BY id LIMIT 1)"  # noqa: S608  # ours
    multiply(connection, "events", told, made, one)


def _remittances(connection: Connection, rows: int) -> None:
    first = connection.execute(select(remittances.c.id).limit(1)).scalar_one()
    late = _instant(connection, LATE)
    when = {"due_at": late, "due_date": f"date('{LATE}')"}
    copies(connection, "remittances", {"id": "{id}", **when}, rows, f"id = '{first}'")
    made = f"(SELECT id FROM remittances WHERE due_at >= {late})"  # noqa: S608  # ours
    changed = {"id": "{id}", "subject_id": "s.id", "fire_at": late}
    multiply(connection, "milestones", changed, made, f"subject_id = '{first}'")


def _wallets(connection: Connection, rows: int) -> None:
    watched = "low_threshold_minor IS NOT NULL"
    shop = connection.execute(
        select(wallet_rows.c.tenant_id).where(wallet_rows.c.low_threshold_minor.is_not(None))
    ).scalar_one()
    named = {"id": "{id}", "name": "'bench ' || s.n"}
    copies(connection, "tenants", named, rows, f"id = '{shop}'")
    made = "(SELECT id FROM tenants WHERE name LIKE 'bench %')"
    low = {"low_threshold_minor": "-1000000", "low_state": "'ok'"}
    low["updated_at"] = _instant(connection, OLD)
    multiply(connection, "wallets", {"tenant_id": "s.id", **low}, made, watched)
    book = {"id": "{id}", "book": "CAST(s.id AS text)"}
    multiply(connection, "ledger_accounts", book, made, f"book = '{shop}' AND code = 'wallet'")


def plant(stand: Stand, due: int) -> None:
    """Let so many milestones come due and so many orders have moved lately, properly told."""
    database = stand.application.database
    now = database.now()
    with database.write() as connection:
        waiting = select(milestones.c.id).where(milestones.c.outcome == "pending")
        ids = connection.execute(waiting.order_by(milestones.c.id).limit(due)).scalars().all()
        connection.execute(
            milestones.update()
            .where(milestones.c.id.in_(ids))
            .values(fire_at=now - timedelta(minutes=1))
        )
        moved = select(chain_orders.c.id).order_by(chain_orders.c.id).limit(due)
        connection.execute(
            chain_orders.update()
            .where(chain_orders.c.id.in_(moved.scalar_subquery()))
            .values(updated_at=now)
        )


def timed(stand: Stand, check: str, *, full: bool) -> dict[str, Any]:
    """Run one check and return what it looked at, found and took."""
    runner = Runner(stand.application.units, NoHints())
    began = time.perf_counter()
    [run] = runner.run([check], actor="bench", full=full)
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 3),
        **{name: run[name] for name in ("scanned", "found", "healed")},
    }


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=1000)
    given = parser.parse_args()
    with fresh_ground() as (folder, settings), standing(folder, **settings) as stand:
        chain(stand)
        fill(stand.application.database, given.rows)
        with stand.application.database.read() as connection:
            rows = {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (chain_orders, remittances, milestones, events)
            }
        found: dict[str, Any] = {"rows": rows}
        checks = ("K10", "K01", "K12")
        found["full"] = {check: timed(stand, check, full=True) for check in checks}
        found["idle"] = {check: timed(stand, check, full=False) for check in checks}
        plant(stand, given.due)
        found["due"] = {check: timed(stand, check, full=False) for check in checks}
        print(json.dumps(found))


if __name__ == "__main__":
    main()
