"""A history: a storm of requests and faults, then calm until all is settled, 30 days in all."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import column, select, text

from dispatcher import endpoint_state, endpoints
from dispatcher.mailboxes import FOREVER
from dispatcher.states import EndpointState
from dispatcher.tables import deliveries, mailboxes, replays
from engine.tables import outbox
from engine.types import UtcTime
from tests.simulation.clients import Traders
from tests.simulation.owners import Owners
from tests.simulation.processes import Scheduler

if TYPE_CHECKING:
    from tests.simulation.world import World

LIFE = timedelta(days=30)
MOODS = ("well", "slow", "broken", "resetting", "silent", "down", "busy", "moody", "moody")
#: What a scheduler does now and then, whether anything is due or not.
ROUTINE = ("K01", "K05", "K06", "K07", "K08", "K10", "K12", "K15", "K20", "retention")
#: Which job finds which due thing, and how far apart it may be done.
EVERY_SECONDS = {"sweep": 1.0, "replays": 1.0, "products": 1.0, "K10": 31.0}
#: When each thing is next due, in one cheap question.
_DUE = text("""
    SELECT (SELECT min(due_at) FROM mailboxes WHERE lease_until IS NULL),
        (SELECT min(lease_until) FROM mailboxes WHERE lease_until IS NOT NULL),
        (SELECT min(created_at) FROM outbox),
        (SELECT min(next_step_at) FROM replays WHERE state = 'running'),
        (SELECT min(opened_at) FROM product_changes),
        (SELECT min(fire_at) FROM milestones WHERE outcome = 'pending')""").columns(
    *(column(name, UtcTime()) for name in ("mailbox", "lease", "event", "replay", "product", "due"))
)


async def live(world: World) -> None:
    """Live through a whole history."""
    world.faults.committed = world.changed.set
    await world.start_processes()
    ticking = asyncio.get_running_loop().create_task(_tick(world))
    await _storm(world)
    await _calm(world)
    left = (LIFE - timedelta(seconds=world.loop.time())).total_seconds()
    await asyncio.sleep(max(0.0, left))
    ticking.cancel()


async def _storm(world: World) -> None:
    """Let clients ask and receivers change their moods for minutes or weeks."""
    chance = world.chance
    doings = {**Traders(world).doings(), **Owners(world).doings()}
    acts = chance.randint(2, 20)
    lasts = timedelta(days=14) * chance.random() ** 4
    gap = lasts.total_seconds() / acts
    for receiver in world.fleet.receivers.values():
        _script(world, receiver.moods, lasts)
    for _ in range(acts):
        await asyncio.sleep(0.001 + chance.expovariate(1) * gap)
        chance.choices(list(doings), list(doings.values()))[0]()
        if chance.random() < 0.07:
            _tick_now(world, chance.choice(ROUTINE))


def _script(world: World, moods: list[tuple[datetime, str]], lasts: timedelta) -> None:
    """Draw how a receiver feels from when on; most are well most of the time."""
    chance, at = world.chance, world.clock.now()
    for _ in range(chance.choice((0, 1, 2, 5))):
        at += lasts * chance.random() / 2
        # Gone for good is rare: nothing more can be seen at such an endpoint.
        moods.append((at, "gone" if chance.random() < 0.02 else chance.choice(MOODS)))
        at += timedelta(seconds=10 ** (6 * chance.random()))
        moods.append((at, "well"))


async def _calm(world: World) -> None:
    """End every fault and hold, and wait until everything is settled."""
    world.faults.stormy = False
    world.trace.add("the storm is over")
    for receiver in world.fleet.receivers.values():
        receiver.moods.append((world.clock.now(), "well"))
    with world.database.read() as connection:
        held = endpoints.listing(connection, state=EndpointState.PAUSED)
    for row in held:
        with world.units.begin(actor="owner") as work:
            endpoint_state.resume(work, row["id"])
    while not _settled(world) and world.loop.time() < LIFE.total_seconds():
        world.loop.call_later(3600, world.quiet.set)
        await world.quiet.wait()
        world.quiet.clear()


def _settled(world: World) -> bool:
    with world.database.read() as connection:
        return not any(
            connection.execute(select(table.c[name]).where(wanted).limit(1)).first()
            for table, name, wanted in (
                (deliveries, "id", deliveries.c.next_attempt_at.is_not(None)),
                (outbox, "event_id", outbox.c.event_id.is_not(None)),
                (replays, "id", replays.c.state == "running"),
                (mailboxes, "endpoint_id", mailboxes.c.lease_until.is_not(None)),
            )
        )


# -- the ticks ---------------------------------------------------------------------------------


async def _tick(world: World) -> None:
    """Give the schedulers their ticks when something is due, and now and then when nothing is."""
    done_at = dict.fromkeys(EVERY_SECONDS, -100.0)
    routine_at = world.loop.time() + 10_000
    while True:
        world.changed.clear()
        now = world.loop.time()
        due = {
            job: max(at, done_at[job] + EVERY_SECONDS[job] * (0.5 + world.chance.random()))
            for job, at in _due_seconds(world).items()
        }
        job = min(due, key=lambda each: due[each], default="")
        if job and due[job] <= now:
            done_at[job] = now
            _tick_now(world, job)
            continue
        if routine_at <= now:
            routine_at = now + 3600 * (1 + 300 * world.chance.random())
            _tick_now(world, world.chance.choice(ROUTINE))
            continue
        await _until(world, min(due.get(job, routine_at), routine_at) + 0.001)


async def _until(world: World, at_seconds: float) -> None:
    """Wait for an instant, or for a commit and a moment behind it."""
    handle = world.loop.call_at(at_seconds, world.changed.set)
    await world.changed.wait()
    handle.cancel()
    await asyncio.sleep(0.5 * world.chance.random())


def _tick_now(world: World, job: str) -> None:
    scheduler: Scheduler = world.chance.choice(world.schedulers)
    scheduler.tick(job)


def _due_seconds(world: World) -> dict[str, float]:
    """Return at which second of the loop each job finds something, if ever."""
    with world.database.read() as connection:
        row = connection.execute(_DUE).one()
    window = timedelta(seconds=5)
    found = {
        "sweep": [row[0], row[1], row[2]],
        "replays": [row[3]],
        "products": [None if row[4] is None else row[4] + window],
        "K10": [row[5]],
    }
    return {
        job: min(at)
        for job, instants in found.items()
        if (at := [world.clock.seconds_at(each) for each in instants if each and each < FOREVER])
    }
