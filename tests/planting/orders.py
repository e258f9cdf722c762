"""Defects of orders: moved without a word, or not moving at all."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import delete, select, update

from dispatcher.tables import deliveries
from engine import draft_expiry
from engine.order_tables import chain_orders, order_log
from engine.tables import events
from reconciler.stuck_checks import LIMITS, SHIPPED_LIMIT
from tests.drafting import make_draft
from tests.planting.defect import Defect
from tests.planting.world import World


def moved_alone(world: World, step: int) -> int:
    """Move orders in their table only, with or without a new version."""
    chosen = world.some(world.in_status("accepted", "forwarded", "pending_forward", "processing"))
    moved = {"chain_status": "shipped", "updated_at": world.scene.clock.now()}
    for order_id in chosen:
        mine = update(chain_orders).where(chain_orders.c.id == order_id)
        world.change(mine.values(**moved, version=chain_orders.c.version + step))
    return len(chosen)


def with_version(world: World) -> int:
    """Move orders with a new version."""
    return moved_alone(world, 1)


def without_version(world: World) -> int:
    """Move orders under their old version."""
    return moved_alone(world, 0)


def event_lost(world: World) -> int:
    """Remove the events of orders' newest versions."""
    chosen = world.some(world.orders)
    for order_id in chosen:
        version = select(chain_orders.c.version).where(chain_orders.c.id == order_id)
        newest = select(events.c.id).where(
            events.c.subject_id == order_id, events.c.sequence == version.scalar_subquery()
        )
        world.change(
            delete(deliveries).where(deliveries.c.event_id.in_(newest)),
            delete(events).where(events.c.id.in_(newest)),
        )
    return len(chosen)


def step_lost(world: World) -> int:
    """Remove the newest row of orders' timelines."""
    seen = [order_id for order_id in world.orders if len(_log(world, order_id)) > 1]
    chosen = world.some(seen)
    for order_id in chosen:
        newest = max(_log(world, order_id))
        mine = (order_log.c.chain_order_id == order_id) & (order_log.c.seq == newest)
        world.change(delete(order_log).where(mine))
    return len(chosen)


def _log(world: World, order_id: str) -> list[int]:
    query = select(order_log.c.seq).where(order_log.c.chain_order_id == order_id)
    return [row.seq for row in world.rows(query)]


def undelivered(world: World) -> int:
    """Let shipped orders have left long ago."""
    world.place("cod", advance=4)
    return _age(world, world.in_status("shipped"), SHIPPED_LIMIT["shipped"].lasts)


def standing(world: World) -> int:
    """Let open orders have waited beyond the limit of their state."""
    status = world.random.choice(list(LIMITS))
    steps = {"pending_forward": 0, "forwarded": 1, "accepted": 3, "processing": 3}[status]
    placed = world.place("cod", advance=steps)
    if status == "processing":
        world.order(placed, "process")
    return _age(world, world.in_status(status), LIMITS[status].lasts)


def _age(world: World, order_ids: list[str], limit: timedelta) -> int:
    chosen = world.some(order_ids)
    beyond = limit + timedelta(minutes=world.random.randint(1, 10_000))
    old = {"updated_at": world.scene.clock.now() - beyond}
    world.change(update(chain_orders).where(chain_orders.c.id.in_(chosen)).values(old))
    return len(chosen)


def draft_expired(world: World) -> int:
    """Let drafts stand past their 168 hours, each told of the day before."""
    units = world.scene.dispatch.units
    chosen = [make_draft(units, world.chain) for _ in range(world.random.randint(1, 3))]
    world.settle()
    world.scene.clock.advance(timedelta(hours=world.random.randint(144, 167)))
    world.act(partial(draft_expiry.warn, ids=chosen))
    world.settle()
    world.scene.clock.advance(timedelta(hours=world.random.randint(24, 500)))
    return len(chosen)


DEFECTS = (
    Defect("K01", "moved with a version", with_version, heals=True),
    Defect("K01", "moved without a version", without_version, heals=True),
    Defect("K01", "event lost", event_lost, heals=True),
    Defect("K01", "step lost", step_lost, heals=True),
    Defect("K03", "never arrived", undelivered, heals=False),
    Defect("K04", "standing still", standing, heals=False),
    Defect("K21", "draft expired", draft_expired, heals=True),
)
