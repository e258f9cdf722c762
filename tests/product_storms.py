"""A product with a tree of sellers, and what each of them was told of it, to test storms with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import orjson
from sqlalchemy import Table, event, func, select

from config.clock import FixedClock
from engine import pricing, products, tenants
from engine.database import Database
from engine.money import format_amount
from engine.price_cascade import offer_of
from engine.product_expander import ProductExpander
from engine.product_tables import product_changes, told_offers
from engine.tables import events
from engine.unit_of_work import UnitOfWork, UnitsOfWork

WINDOW = timedelta(seconds=5)


class Stopped(Exception):
    """The process ended here."""


@dataclass
class Storm:
    """A product of the first tenant, sold by all the others, and what tells them of it."""

    units: UnitsOfWork
    clock: FixedClock
    product_id: str
    tenant_ids: Sequence[str]

    @property
    def expander(self) -> ProductExpander:
        """A fresh expander, as after a restart."""
        return ProductExpander(self.units, self.clock, window=WINDOW)

    def change(self, **changes: Any) -> dict[str, Any]:
        """Change the product and return its row."""
        row: dict[str, Any] = self.do(lambda work: products.update(work, self.product_id, changes))
        return row

    def price(self, number: int, percent: object, *, is_available: bool = True) -> None:
        """Set the markup of a seller."""
        tenant_id = self.tenant_ids[number]
        self.do(
            lambda work: pricing.set_margin(
                work, self.product_id, tenant_id, percent, is_available=is_available
            )
        )

    def do(self, step: Callable[[UnitOfWork], Any]) -> Any:
        """Do something in a transaction of its own."""
        with self.units.begin(actor="test") as work:
            return step(work)

    def tell(self) -> int:
        """Let the window pass, and tell all."""
        self.clock.advance(WINDOW)
        return self.expander.run_until_idle()

    def heard(self, tenant_id: str) -> list[dict[str, Any]]:
        """Return the ``data`` of the events of a tenant, in their order."""
        mine = (events.c.tenant_id == tenant_id) & (events.c.type == "product.updated")
        query = select(events.c.body).where(mine).order_by(events.c.sequence)
        with self.units.database.read() as connection:
            return [orjson.loads(body)["data"] for body in connection.execute(query).scalars()]

    def all_heard(self) -> list[list[dict[str, Any]]]:
        """Return what every tenant heard, by its number."""
        return [self.heard(tenant_id) for tenant_id in self.tenant_ids]

    def seen(self, tenant_id: str) -> dict[str, Any]:
        """Return what a tenant sees now, as an event would show it."""
        with self.units.database.read() as connection:
            row = products.get(connection, self.product_id)
            offer = offer_of(connection, row, tenant_id)
        assert offer is not None
        return {
            "price": float(format_amount(offer.cost_minor, row["currency"])),
            "price_minor": offer.cost_minor,
            "stock": row["stock_quantity"] - row["stock_allocated"],
            "status": row["status"],
            "is_available": offer.is_sellable,
        }

    def waiting(self) -> int:
        """Return how many windows and walks of it there are."""
        mine = product_changes.c.product_id == self.product_id
        with self.units.database.read() as connection:
            return len(connection.execute(select(product_changes).where(mine)).all())


def build_storm(units: UnitsOfWork, clock: FixedClock, sellers: int, width: int = 2) -> Storm:
    """Create a product at 100.00 whose sellers, ``width`` below each, pay 10 % more each."""
    with units.begin(actor="test") as work:
        ids = [tenants.create(work, name="owner")["id"]]
        product = products.create(
            work, ids[0], {"sku": "A", "name": "A", "base_cost": 100, "stock_quantity": 10}
        )
        for number in range(sellers):
            parent_id = ids[number // width]
            ids.append(tenants.create(work, name=str(number), parent_id=parent_id)["id"])
            pricing.set_margin(work, product["id"], ids[-1], 10)
    storm = Storm(units, clock, product["id"], ids)
    storm.tell()
    return storm


@contextmanager
def stopping_at(database: Database, number: int) -> Iterator[list[str]]:
    """End the process at its n-th statement of a writing transaction, or at its commit."""
    done: list[str] = []

    def stop(what: str) -> None:
        done.append(what)
        if len(done) == number:
            raise Stopped(what)

    def at_statement(*given: Any) -> None:
        connection, statement = given[0], given[2]
        if not connection.get_execution_options().get("tillbell_read_only"):
            stop(statement)

    def at_commit(connection: Any) -> None:
        if not connection.get_execution_options().get("tillbell_read_only"):
            stop("COMMIT")

    event.listen(database.engine, "before_cursor_execute", at_statement)
    event.listen(database.engine, "commit", at_commit)
    try:
        yield done
    finally:
        event.remove(database.engine, "before_cursor_execute", at_statement)
        event.remove(database.engine, "commit", at_commit)


def require_settled(storm: Storm) -> None:
    """Require that all know the present, each step once, and nothing waits."""
    assert 0 == storm.waiting()
    with storm.units.database.read() as connection:
        known = connection.execute(
            select(told_offers).where(told_offers.c.product_id == storm.product_id)
        ).mappings()
        assert {row["tenant_id"] for row in known} == set(storm.tenant_ids)
    for tenant_id in storm.tenant_ids:
        told = storm.heard(tenant_id)
        versions = [each["version"] for each in told]
        assert sorted(set(versions)) == versions
        for earlier, later in pairwise(told):
            assert earlier["new"] == later["old"]
        for each in told:
            assert each["old"] != each["new"]
            assert each["old"]["is_available"] or each["new"]["is_available"]
        seen = storm.seen(tenant_id)
        if told and (told[-1]["new"]["is_available"] or seen["is_available"]):
            assert seen == told[-1]["new"]


def count(database: Database, table: Table) -> int:
    """Return how many rows a table has."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()
