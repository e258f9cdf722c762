"""A year of somebody's books in short: orders, what they made owed, and wallets, by the million.

The server copies one order that the engine made. Copies have numbers, their identifiers follow from
these, and all of it happened long ago: nothing is due and nothing moved until it is ``planted``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, Connection, bindparam, select, text

from bench.fill import Changed, Made, Told, copies, copy_id, unindexed
from bench.stand import Stand
from engine import orders, pricing, products, tenants, wallets
from engine.order_tables import chain_orders
from engine.settlement_tables import remittances
from engine.types import UtcTime

ORDER_KIND, LOG_KIND, COLLECTION_KIND, REMITTANCE_KIND, MILESTONE_KIND = range(1, 6)
HOLD_KIND, TENANT_KIND, ACCOUNT_KIND = range(6, 9)
#: Hops of the chain that owe something: remittances that each cash order makes.
OWED = (1, 2)
TABLES = (
    *("chain_orders", "order_log", "events", "cod_collections", "remittances", "milestones"),
    *("holds", "tenants", "wallets", "ledger_accounts"),
)
ORDER = {
    "origin_order_number": "ORD-0",
    "customer": {"name": "Asha"},
    "shipping_address": {"city": "Pune"},
    "items": [{"sku": "P", "quantity": 1, "unit_price": 155}],
    "payment": {"method": "cod"},
}


@dataclass(frozen=True, slots=True)
class Models:
    """The rows that are copied: identifiers of the order, by hop of what is owed, and the shop."""

    order_id: str
    version: int
    owed: dict[int, str]
    shop_id: str


def chain(stand: Stand) -> Models:
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
        order = work.connection.execute(select(chain_orders)).one()
        owed = work.connection.execute(select(remittances.c.hop, remittances.c.id))
        return Models(order_id, order.version, {row.hop: row.id for row in owed}, shop)


def fill(stand: Stand, models: Models, rows: int, told: Told) -> None:
    """Make so many orders, open remittances with their milestones and holds, and wallets.

    Half of the orders are paid in cash and make two remittances each.
    """
    database = stand.application.database
    with unindexed(database, TABLES, told):
        _orders(stand, models, rows, told)
        _wallets(stand, models, rows, told)
        _remittances(stand, models, range(1, rows // len(OWED) + 1), told)


def _old(connection: Connection) -> str:
    return _instant(connection, "2020-01-01")


def _late(connection: Connection) -> str:
    return _instant(connection, "2099-01-01")


def _instant(connection: Connection, day: str) -> str:
    sqlite = connection.dialect.name == "sqlite"
    return f"'{day} 00:00:00.000000'" if sqlite else f"timestamptz '{day}'"


def _id(kind: int, number: str = "s.n") -> Made:
    return lambda connection: copy_id(connection, kind, number)


def _orders(stand: Stand, models: Models, rows: int, told: Told) -> None:
    database, numbers, mine = stand.application.database, range(1, rows + 1), models.order_id
    order: Changed = {
        "id": _id(ORDER_KIND),
        "origin_order_number": "'B-' || s.n",
        "payment_method": f"CASE WHEN s.n <= {rows // len(OWED)} THEN 'cod' ELSE 'prepaid' END",
        "created_at": _old,
        "updated_at": _old,
    }
    copies(database, "chain_orders", order, numbers, where=f"id = '{mine}'", told=told)
    step: Changed = {"chain_order_id": _id(ORDER_KIND)}
    newest = f"chain_order_id = '{mine}' AND seq = {models.version}"
    copies(database, "order_log", step, numbers, where=newest, told=told)
    event: Changed = {
        "id": _id(LOG_KIND),
        "subject_id": _text_id,
        "dedupe_key": "NULL",
        "created_at": _old,
        "occurred_at": _old,
    }
    of_order = f"subject_id = '{mine}' AND sequence = {models.version}"
    one = f"id = (SELECT id FROM events WHERE {of_order} ORDER BY id LIMIT 1)"  # noqa: S608  # ours
    copies(database, "events", event, numbers, where=one, told=told)


def _text_id(connection: Connection) -> str:
    return f"CAST({copy_id(connection, ORDER_KIND, 's.n')} AS text)"


def _remittances(stand: Stand, models: Models, numbers: range, told: Told) -> None:
    database, mine = stand.application.database, f"chain_order_id = '{models.order_id}'"
    collected: Changed = {
        "id": _id(COLLECTION_KIND),
        "chain_order_id": _id(ORDER_KIND),
        "collected_at": _old,
    }
    copies(database, "cod_collections", collected, numbers, where=mine, told=told)
    owed: Changed = {
        "id": _id(REMITTANCE_KIND, "s.n * 10 + t.hop"),
        "chain_order_id": _id(ORDER_KIND),
        "collection_id": _id(COLLECTION_KIND),
        "due_at": _late,
        "due_date": "date('2099-01-01')",
        "created_at": _old,
    }
    copies(database, "remittances", owed, numbers, where=mine, told=told)
    for hop, model_id in models.owed.items():
        of_owed = _id(REMITTANCE_KIND, f"s.n * 10 + {hop}")
        milestone: Changed = {
            "id": _id(MILESTONE_KIND, f"s.n * 100 + {hop} * 10 + t.place"),
            "subject_id": of_owed,
            "fire_at": _late,
        }
        subject = f"subject_id = '{model_id}'"
        copies(database, "milestones", milestone, numbers, where=subject, told=told)
        hold: Changed = {
            "id": _id(HOLD_KIND, f"s.n * 10 + {hop}"),
            "payer_id": _id(TENANT_KIND),
            "payee_id": _id(TENANT_KIND),
            "reference_id": of_owed,
            "opened_by_id": _opened_by(of_owed),
            # Of nothing, so that the wallet it is set aside in stays what its statement says.
            "amount_minor": "0",
        }
        copies(database, "holds", hold, numbers, where=f"reference_id = '{model_id}'", told=told)


def _opened_by(distinct: Made) -> Made:
    """Return a transaction of its own for each hold, where foreign keys are away meanwhile."""
    return lambda connection: (
        "t.opened_by_id" if connection.dialect.name == "sqlite" else distinct(connection)
    )


def _wallets(stand: Stand, models: Models, rows: int, told: Told) -> None:
    database, numbers, shop = stand.application.database, range(1, rows + 1), models.shop_id
    tenant: Changed = {"id": _id(TENANT_KIND), "name": "'bench ' || s.n"}
    copies(database, "tenants", tenant, numbers, where=f"id = '{shop}'", told=told)
    wallet: Changed = {
        "tenant_id": _id(TENANT_KIND),
        "low_threshold_minor": "-1000000",
        "low_state": "'ok'",
        "updated_at": _old,
    }
    copies(database, "wallets", wallet, numbers, where=f"tenant_id = '{shop}'", told=told)
    account: Changed = {
        "id": _id(ACCOUNT_KIND),
        "book": _book,
        "pending_credits": "0",
        "pending_debits": "0",
    }
    mine = f"book = '{shop}' AND code = 'wallet'"
    copies(database, "ledger_accounts", account, numbers, where=mine, told=told)


def _book(connection: Connection) -> str:
    return f"CAST({copy_id(connection, TENANT_KIND, 's.n')} AS text)"


def plant_due(stand: Stand, numbers: range) -> int:
    """Let the reminders of these orders' remittances come due; return how many remittances."""
    return _plant(stand, numbers, "T-3", timedelta(days=3))


def plant_overdue(stand: Stand, numbers: range) -> int:
    """Let these orders' remittances be overdue; return how many they are."""
    return _plant(stand, numbers, "T+0", -timedelta(minutes=1))


def _plant(stand: Stand, numbers: range, code: str, ahead: timedelta) -> int:
    database = stand.application.database
    now = database.now()
    with database.write() as connection:
        mine = _between(connection, "id", REMITTANCE_KIND, numbers, 10)
        owed = text(f"UPDATE remittances SET due_at = :at WHERE {mine}")  # noqa: S608  # ours
        moved = connection.execute(owed.bindparams(_at(now + ahead)))
        mine = _between(connection, "id", MILESTONE_KIND, numbers, 100)
        fire = text(f"UPDATE milestones SET fire_at = :at WHERE code = '{code}' AND {mine}")  # noqa: S608  # ours
        connection.execute(fire.bindparams(_at(now - timedelta(minutes=1))))
        return moved.rowcount


def plant_moved(stand: Stand, models: Models, numbers: range, told: Told) -> None:
    """Let these orders and as many wallets have changed just now, properly told and settled."""
    database = stand.application.database
    now = database.now()
    mine = f"chain_order_id = '{models.order_id}'"
    copies(
        database, "chain_hops", {"chain_order_id": _id(ORDER_KIND)}, numbers, where=mine, told=told
    )
    with database.write() as connection:
        for table, column, kind in (
            ("chain_orders", "id", ORDER_KIND),
            ("wallets", "tenant_id", TENANT_KIND),
        ):
            chosen = _between(connection, column, kind, numbers, 1)
            moved = text(f"UPDATE {table} SET updated_at = :at WHERE {chosen}")  # noqa: S608  # ours
            connection.execute(moved.bindparams(_at(now)))


def _at(instant: datetime) -> BindParameter[datetime]:
    return bindparam("at", instant, type_=UtcTime())


def _between(connection: Connection, column: str, kind: int, numbers: range, places: int) -> str:
    """Return what holds for the copies of these numbers, with so many identifiers a number."""
    low = copy_id(connection, kind, str(numbers.start * places))
    high = copy_id(connection, kind, str(numbers.stop * places))
    return f"{column} >= {low} AND {column} < {high}"
