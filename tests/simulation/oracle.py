"""What must hold when a history is over: callbacks I1 to I6, the books, and every check's view.

Each function yields sentences about what is broken; a history without any is well.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from dispatcher.states import DeliveryState, Trigger
from dispatcher.subscriptions import matches
from dispatcher.tables import attempts, deliveries
from engine import ledger_checks
from engine.ledger_tables import ledger_transactions
from engine.settlement_tables import milestones
from engine.tables import events, outbox
from reconciler.check import Scope
from reconciler.checks import CHECKS
from tests.simulation.processes import SCHEDULE_SECONDS

if TYPE_CHECKING:
    from tests.simulation.world import Standing, World

#: What people have to look at, as they should, and what K06 heals when it comes to it.
LEFT_OVER = frozenset({"K03", "K04", "K06", "K09", "K23", "K24"})
JITTER = 0.2
#: Asking all checks costs as much as a small history: every fourth seed does.
CHECKED_EVERY = 4


class Past(NamedTuple):
    """The rows a history left."""

    events: dict[str, Any]
    deliveries: Sequence[Any]
    attempts: dict[str, list[Any]]
    outbox: int


def judge(world: World) -> tuple[list[str], Past]:
    """Return everything that is broken at the end of a history, and the rows it was read from."""
    past = _read(world)
    found = [f"uncaught: {error!r}" for error in world.loop.uncaught]
    for look in (_i1_none_missing, _i1_final, _i2_i4_receivers, _i5_attempts):
        found += look(world, past)
    found += [*_i3_milestones(world, past), *_books(world)]
    if world.seed % CHECKED_EVERY == 0:
        found += _checks(world)
    return found, past


def _read(world: World) -> Past:
    with world.database.read() as connection:
        tried: dict[str, list[Any]] = defaultdict(list)
        for row in connection.execute(select(attempts).order_by(attempts.c.number)):
            tried[row.delivery_id].append(row)
        return Past(
            {row.id: row for row in connection.execute(select(events))},
            connection.execute(select(deliveries)).all(),
            tried,
            len(connection.execute(select(outbox)).all()),
        )


def _i1_none_missing(world: World, past: Past) -> Iterator[str]:
    """I1: who was subscribed all the time has a delivery of each event; who never was, none."""
    if past.outbox:
        yield f"I1: {past.outbox} events were never relayed"
    made = {(row.event_id, row.endpoint_id) for row in past.deliveries}
    for row in past.events.values():
        if not row.relayed or row.created_at < world.began_at:
            continue
        place = bisect_left(world.relays, row.created_at)
        until = world.relays[place] if place < len(world.relays) else world.clock.now()
        for standing in world.endpoints:
            if world.names.tenants[standing.owner] != row.tenant_id:
                continue
            heard = _heard(standing, row.type, row.created_at, until)
            delivered = (row.id, standing.id) in made
            if heard == {True} and not delivered:
                yield f"I1: {row.type} {row.id} was not delivered to {standing.id}"
            if heard == {False} and delivered:
                yield f"I1: {row.type} {row.id} was delivered to {standing.id}, which is deaf to it"


def _heard(standing: Standing, event: str, since: datetime, until: datetime) -> set[bool]:
    """Return whether an endpoint heard a type: both, where that changed within the time."""
    before = [patterns for at, patterns in standing.heard if at < since]
    during = [patterns for at, patterns in standing.heard if since <= at <= until]
    return {
        any(matches(pattern, event) for pattern in patterns)
        for patterns in [before[-1] if before else (), *during]
    }


def _i1_final(world: World, past: Past) -> Iterator[str]:
    """I1: each delivery has one final state, and its reason."""
    standing = {each.id: each for each in world.endpoints}
    for row in past.deliveries:
        name = f"delivery {row.id} of {row.event}"
        if row.next_attempt_at is not None:
            yield f"I1: {name} is {row.state} still, due {row.next_attempt_at}"
        endpoint = standing[row.endpoint_id]
        if past.events[row.event_id].tenant_id != world.names.tenants[endpoint.owner]:
            yield f"I6: {name} goes to another tenant"
        received = world.fleet[endpoint.receiver].calls
        if row.state == DeliveryState.SUCCEEDED and not any(
            call.accepted and call.message_id == row.event_id for call in received
        ):
            yield f"I1: {name} succeeded, and its receiver never had it"
        if row.state == DeliveryState.FAILED and not _may_fail(world, row):
            yield f"I1: {name} failed after {row.attempts} attempts: {row.last_error}"
        if row.state == DeliveryState.CANCELLED and not _may_cancel(world, endpoint):
            yield f"I1: {name} was cancelled by nobody: {row.last_error}"


def _may_fail(world: World, row: Any) -> bool:
    if row.attempts - row.attempts_before >= len(SCHEDULE_SECONDS):
        return True
    return row.last_status_code == 410 or (row.last_error == "poison" and world.faults.crashes >= 3)


def _may_cancel(world: World, endpoint: Standing) -> bool:
    moods = {mood for _at, mood in world.fleet[endpoint.receiver].moods}
    return bool(endpoint.touched) or bool(moods - {"well", "slow"})


def _i2_i4_receivers(world: World, past: Past) -> Iterator[str]:
    """I2: nothing that was rolled back; I4: one body an id; what a receiver itself refused."""
    for receiver in world.fleet.receivers.values():
        yield from (f"I4, I6: {receiver.url} refused {each}" for each in receiver.refused)
        for call in receiver.calls:
            told = past.events.get(call.message_id)
            if told is None:
                yield f"I2: {receiver.url} was told {call.message_id}, which was never committed"
            elif call.body != told.body:
                yield f"I4: {receiver.url} had other bytes under {call.message_id}"


def _i5_attempts(world: World, past: Past) -> Iterator[str]:
    """I5: attempts follow the schedule, none is made behind the end, none but a crash's is lost."""
    receivers = {each.id: world.fleet[each.receiver] for each in world.endpoints}
    for row in past.deliveries:
        tried = past.attempts[row.id]
        decided = [each for each in tried if each.decided]
        name = f"delivery {row.id}"
        if [each.number for each in decided] != list(range(1, row.attempts + 1)):
            yield f"I5: {name} counts {row.attempts}, and {[e.number for e in decided]} decided it"
        if row.settled_at and any(each.started_at > row.settled_at for each in decided):
            yield f"I5: {name} was attempted behind its end"
        yield from (f"I5: {name} {each}" for each in _too_early(decided))
        calls = [c for c in receivers[row.endpoint_id].calls if c.message_id == row.event_id]
        if len(calls) > len(tried) + world.faults.crashes:
            yield f"I5: {name}: {len(calls)} calls, {len(tried)} attempts"


def _too_early(decided: Sequence[Any]) -> Iterator[str]:
    """Yield attempts that came before their wait was over; a replay begins a schedule anew."""
    made = 0
    for before, after in pairwise(decided):
        made = made + 1 if before.trigger == Trigger.SCHEDULED else 1
        if after.trigger != Trigger.SCHEDULED:
            continue
        if made >= len(SCHEDULE_SECONDS):
            yield f"attempt {after.number} is beyond the schedule"
            continue
        earliest = timedelta(seconds=SCHEDULE_SECONDS[made] * (1 - JITTER) - 0.01)
        if after.started_at - before.started_at < earliest:
            waited = after.started_at - before.started_at
            yield f"attempt {after.number} came {waited} behind the one before"


def _i3_milestones(world: World, past: Past) -> Iterator[str]:
    """I3: every milestone whose instant has come has one outcome; emitted means one event."""
    with world.database.read() as connection:
        rows = connection.execute(select(milestones)).all()
    raised = [row.event_id for row in rows if row.event_id is not None]
    if len(raised) != len(set(raised)):
        yield "I3: two milestones share an event"
    for row in rows:
        late = world.clock.now() - row.fire_at > timedelta(minutes=5)
        if row.outcome == "pending" and late:
            yield f"I3: milestone {row.id} is pending since {row.fire_at}"
        if (row.outcome == "emitted") != (row.event_id in past.events):
            yield f"I3: milestone {row.id} is {row.outcome} with event {row.event_id}"


def _books(world: World) -> Iterator[str]:
    """L1 to L4: every book adds up, is mirrored, holds what is pending; a key is one payment."""
    paid = (ledger_transactions.c.kind == "top_up") & (
        ledger_transactions.c.created_at >= world.began_at
    )
    with world.database.read() as connection:
        count = connection.execute(
            select(func.count()).select_from(ledger_transactions).where(paid)
        ).scalar_one()
        if not sum(world.top_ups) <= count <= len(world.top_ups):
            yield f"keys: {count} payments under {len(world.top_ups)} keys"
        for finding in (*ledger_checks.verify(connection), *ledger_checks.pending(connection)):
            yield f"{finding['check']}: {finding['subject']}"


def _checks(world: World) -> Iterator[str]:
    """Yield what the reconciler's checks find that no process was to leave behind."""
    now = world.clock.now()
    for check in CHECKS.values():
        if check.id in LEFT_OVER or check.gather is not None:
            continue
        with world.database.read() as connection:
            found = check.find(connection, Scope(now, now))
        for finding in found.findings:
            yield f"{check.id}: {finding.subject}: {finding.expected!r}, not {finding.actual!r}"
