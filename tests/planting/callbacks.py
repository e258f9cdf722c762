"""Defects of callbacks: never made, forgotten, given up, or behind their subject."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import delete, func, select, update

from dispatcher import endpoint_state
from dispatcher.mailboxes import lease
from dispatcher.tables import deliveries, endpoint_secrets, mailboxes
from engine.tables import events
from tests.planting.defect import Defect
from tests.planting.world import World


def behind(world: World) -> int:
    """Let the newest delivery of some subjects to an endpoint have failed."""
    endpoint_id = world.random.choice(list(world.endpoints.values()))
    query = (
        select(events.c.subject_id, func.max(events.c.sequence).label("sequence"))
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .where(deliveries.c.endpoint_id == endpoint_id, events.c.subject_type != "event")
        .group_by(events.c.subject_id)
        .order_by(events.c.subject_id)
    )
    chosen = world.some(world.rows(query))
    failed = {"state": "failed", "last_error": "http_500", "settled_at": world.scene.clock.now()}
    for row in chosen:
        newest = select(events.c.id).where(
            events.c.subject_id == row.subject_id, events.c.sequence == row.sequence
        )
        mine = deliveries.c.event_id.in_(newest) & (deliveries.c.endpoint_id == endpoint_id)
        world.change(update(deliveries).where(mine).values(failed))
    return len(chosen)


def missed_while_disabled(world: World) -> int:
    """Let orders move while an endpoint is disabled, then enable it again."""
    endpoint_id = world.endpoints[world.chain.r]
    world.act(lambda work: endpoint_state.disable(work, endpoint_id))
    for _ in range(world.random.randint(1, 3)):
        world.place("cod", advance=world.random.randint(0, 5))
    world.settle()
    missed = (
        select(events.c.subject_id)
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == "cancelled")
        .where(events.c.subject_id != func.cast(events.c.id, events.c.subject_id.type))
        .distinct()
    )
    world.scene.clock.advance(timedelta(days=world.random.randint(1, 20)))
    world.act(lambda work: endpoint_state.enable(work, endpoint_id))
    return len(world.rows(missed))


def left_in_outbox(world: World) -> int:
    """Let the relay leave events where they are for more than a minute."""
    count = world.random.randint(1, 20)
    world.scene.dispatch.publish(world.chain.r, count)
    world.scene.clock.advance(timedelta(seconds=61))
    return count


def never_made(world: World) -> int:
    """Remove the deliveries of some events."""
    chosen = world.some(world.rows(select(deliveries.c.id)), most=10)
    world.change(delete(deliveries).where(deliveries.c.id.in_([row.id for row in chosen])))
    world.scene.clock.advance(timedelta(seconds=61))
    return len(chosen)


def _waiting(world: World) -> int:
    """Let every mailbox of some tenants have something due."""
    chosen = world.some(world.endpoints)
    for tenant_id in chosen:
        world.scene.dispatch.publish(tenant_id, world.random.randint(1, 3))
    world.scene.dispatch.relay.run_until_empty()
    return len(chosen)


def holder_died(world: World) -> int:
    """Let a worker die with mailboxes in its hands."""
    count, seconds = _waiting(world), timedelta(seconds=30)
    with world.scene.database.write() as connection:
        lease(connection, worker="dead", now=world.scene.clock.now(), duration=seconds, limit=9)
    world.scene.clock.advance(timedelta(seconds=31))
    return count


def hint_lost(world: World) -> int:
    """Let due mailboxes wait with nobody hinting them."""
    count = _waiting(world)
    world.scene.clock.advance(timedelta(minutes=5, seconds=1))
    return count


def wake_up_lost(world: World) -> int:
    """Let mailboxes with open deliveries have no instant at which they wake."""
    count = _waiting(world)
    world.change(update(mailboxes).values(due_at=None))
    world.scene.clock.advance(timedelta(minutes=5, seconds=1))
    return count


def given_up(world: World) -> int:
    """Let some deliveries of some endpoints have died."""
    chosen = world.some(world.endpoints.values())
    dead = {"state": "failed", "last_error": "timeout", "settled_at": world.scene.clock.now()}
    for endpoint_id in chosen:
        mine = deliveries.c.endpoint_id == endpoint_id
        some = world.some(world.rows(select(deliveries.c.id).where(mine)))
        wanted = deliveries.c.id.in_([row.id for row in some])
        world.change(update(deliveries).where(wanted).values(dead))
    return len(chosen)


def secret_ends(world: World) -> int:
    """Let the only secrets of some endpoints end within a week."""
    chosen = world.some(world.endpoints.values())
    soon = world.scene.clock.now() + timedelta(hours=world.random.randint(1, 160))
    mine = endpoint_secrets.c.endpoint_id.in_(chosen)
    world.change(update(endpoint_secrets).where(mine).values(expires_at=soon))
    return len(chosen)


def disabled_and_well(world: World) -> int:
    """Let some endpoints be disabled for failing though their receiver is well."""
    chosen = world.some(world.endpoints.values())
    for endpoint_id in chosen:
        world.act(partial(endpoint_state.disable, endpoint_id=endpoint_id, reason="failing"))
    return len(chosen)


DEFECTS = (
    Defect("K23.probe", "disabled though it answers", disabled_and_well, heals=False),
    Defect("K23", "secret ends", secret_ends, heals=False),
    Defect("K06", "newest delivery failed", behind, heals=True),
    Defect("K06", "missed while disabled", missed_while_disabled, heals=True),
    Defect("K07", "left in the outbox", left_in_outbox, heals=True),
    Defect("K07", "delivery never made", never_made, heals=True),
    Defect("K08", "holder died", holder_died, heals=True),
    Defect("K08", "hint lost", hint_lost, heals=True),
    Defect("K08", "wake-up lost", wake_up_lost, heals=True),
    Defect("K09", "given up", given_up, heals=False),
)
