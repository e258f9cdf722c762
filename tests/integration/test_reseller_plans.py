"""Everything resellers ask of the database is found by index, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text

from engine import (
    campaigns,
    commission_payments,
    commissions,
    fulfillments,
    invitations,
    relationships,
    reseller_analytics,
    stock_deliveries,
    stock_items,
    stock_purchases,
    stock_transfers,
)
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import top_up
from tests.reselling import (
    KEYRING,
    Shop,
    add_serials,
    allocated,
    build_shop,
    order_of,
    purchase,
    sweep,
)

GROWING = (
    "affiliate_sales",
    "embed_campaigns",
    "fulfillments",
    "reseller_invitations",
    "reseller_product_access",
    "reseller_purchases",
    "reseller_relationships",
    "stock_items",
    "stock_transfer_log",
    "stock_transfers",
)


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Collect what a block asks the database."""
    asked: list[tuple[str, Any]] = []

    def keep(*call: Any) -> None:
        if not call[5]:  # one set of values, not many
            asked.append((call[2], call[3]))

    event.listen(database.engine, "before_cursor_execute", keep)
    try:
        yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", keep)


def check_plan(connection: Connection, statement: str, values: Any) -> None:
    """Check the plan of one statement; an empty PostgreSQL plans as if sequences were dear."""
    if not statement.startswith(("SELECT", "UPDATE")):
        return
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
    plan = [str(row[-1]) for row in connection.exec_driver_sql(explain + statement, values)]
    for line in plan:
        for table in GROWING:
            scanned = line == f"SCAN {table}" or f"Seq Scan on {table}" in line
            assert not scanned, (statement, plan)


def test_every_question_has_its_index(units: UnitsOfWork, database: Database) -> None:
    """Neither lists, nor figures, nor any step of a purchase or fulfilment reads a whole table."""
    shop = build_shop(units)
    add_serials(units, shop, 5)
    top_up(units, shop.reseller, 100_000)
    with statements(database) as asked:
        _live(units, shop)
        with database.read() as connection:
            bound = relationships.get(connection, shop.relationship)
            stock_transfers.listing(connection, bound)
            stock_items.listing(connection, bound)
            stock_items.counts(connection, shop.product_id)
            fulfillments.listing(connection, bound)
            commissions.listing(connection, bound)
            campaigns.listing(connection, bound["id"])
            invitations.listing(connection, tenant_id=shop.merchant)
            relationships.listing(connection, tenant_id=shop.merchant)
            relationships.terms_between(connection, [(shop.merchant, shop.reseller)])
            reseller_analytics.of_relationship(connection, shop.relationship)
            reseller_analytics.of_merchant(connection, shop.merchant)
    assert len(asked) > 100
    with database.write() as connection:
        for statement, values in asked:
            check_plan(connection, statement, values)


def _live(units: UnitsOfWork, shop: Shop) -> None:
    """Let everything happen once."""
    row = allocated(units, shop, 2)
    cancelled = purchase(units, shop, 1)
    sale = {"sale_reference": "s-1", "product_id": shop.product_id, "amount": 200}
    with units.begin(actor="test") as work:
        bound = relationships.get(work.connection, shop.relationship)
        item = stock_items.listing(work.connection, bound, transfer_id=row["id"])[0]
        stock_deliveries.deliver(work, shop.relationship, item["id"], "a@b.example")
        stock_items.serials_of(work.connection, KEYRING, bound, [item["id"]])
        stock_purchases.cancel(work, shop.relationship, cancelled["id"])
        sweep(work)
        fulfillments.create(work, shop.relationship, order_of(shop))
        fulfillments.refund(work, shop.relationship, "order-1001", reason="r")
        commissions.record_sale(work, shop.relationship, sale)
        commission_payments.pay(work, shop.relationship)
        commissions.refund_sale(work, shop.relationship, "s-1", reason="r")
