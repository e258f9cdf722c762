"""Defects of settlements."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from engine.order_tables import chain_orders
from engine.settlement_tables import cod_collections, milestones, remittances
from tests.planting.defect import Defect
from tests.planting.world import World


def _delivered(world: World) -> list[str]:
    """Let a few cash orders be delivered with nothing paid of them yet, and return some."""
    placed = [world.place("cod", advance=5) for _ in range(3)]
    world.settle()
    delivered = set(world.in_status("delivered"))
    return world.some([order_id for order_id in placed if order_id in delivered])


def _forget(world: World, order_ids: list[str]) -> None:
    """Remove the remittances of orders, and their milestones."""
    mine = remittances.c.chain_order_id.in_(order_ids)
    owed = select(remittances.c.id).where(mine)
    world.change(
        delete(milestones).where(milestones.c.subject_id.in_(owed)),
        delete(remittances).where(mine),
    )


def never_settled(world: World) -> int:
    """Let orders be delivered in their table only."""
    placed = [world.place("cod", advance=4) for _ in range(3)]
    shipped = set(world.in_status("shipped"))
    chosen = world.some([order_id for order_id in placed if order_id in shipped])
    now = world.scene.clock.now()
    moved = {"chain_status": "delivered", "delivered_at": now, "updated_at": now}
    mine = chain_orders.c.id.in_(chosen)
    world.change(update(chain_orders).where(mine).values(moved))
    return len(chosen)


def collection_lost(world: World) -> int:
    """Remove what settlements made, all but what they posted."""
    chosen = _delivered(world)
    _forget(world, chosen)
    world.change(delete(cod_collections).where(cod_collections.c.chain_order_id.in_(chosen)))
    return len(chosen)


def remittances_lost(world: World) -> int:
    """Remove the remittances of settlements."""
    chosen = _delivered(world)
    _forget(world, chosen)
    return len(chosen)


def amount_changed(world: World) -> int:
    """Let one remittance of each settlement be of another amount."""
    chosen = _delivered(world)
    more = {"amount_minor": remittances.c.amount_minor + world.random.randint(1, 500)}
    for order_id in chosen:
        owed = select(remittances.c.id).where(remittances.c.chain_order_id == order_id)
        [one] = world.some(world.rows(owed.order_by(remittances.c.id)), most=1)
        world.change(update(remittances).where(remittances.c.id == one.id).values(more))
    return len(chosen)


DEFECTS = (
    Defect("K05", "never settled", never_settled, heals=True),
    Defect("K05", "collection lost", collection_lost, heals=True),
    Defect("K05", "remittances lost", remittances_lost, heals=True),
    Defect("K05", "amount changed", amount_changed, heals=False),
)
