"""The invariants I1 to I7 and L1 to L6 as questions to a database and to what its receivers heard.

Each function returns what does not hold, one sentence each: nothing is what a test wants to see.
Those of the processes (I7, R1 to R3) are in ``tests.faults.figures``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, String, cast, func, select

from dispatcher.retry import RetryPolicy
from dispatcher.states import DeliveryState
from dispatcher.tables import attempts, deliveries, endpoints, rendered_bodies, subscriptions
from engine import ledger_checks, ledger_guard
from engine.database import Database
from engine.ledger_tables import holds, ledger_accounts, wallets
from engine.postings import WALLET
from engine.settlement_tables import milestones
from engine.tables import events, outbox

FINAL = (DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.CANCELLED)


class Heard(NamedTuple):
    """One callback as it arrived; ``at`` are seconds of any one clock."""

    endpoint_id: str
    event_id: str
    body: bytes
    at: float = 0.0


def broken(
    database: Database,
    heard: Sequence[Heard],
    *,
    repeats_max: int,
    policy: RetryPolicy | None = None,
) -> list[str]:
    """Return every sentence of I1 to I6 and L1 to L5 that is not true once everything has ended.

    ``repeats_max`` is how many calls may have been made again; ``policy`` what spaces attempts.
    """
    with database.read() as connection:
        return [
            *unfinished(connection),
            *unheard(connection, heard),
            *invented(connection, heard),
            *untold(connection),
            *altered(connection, heard),
            *too_often(heard, repeats_max),
            *miscounted(connection),
            *(too_early(connection, policy) if policy else ()),
            *foreign(connection, heard),
            *unbalanced(connection),
            *overdrawn(connection),
        ]


# -- I: events and their callbacks ---------------------------------------------------------------


def unfinished(connection: Connection) -> Iterator[str]:
    """Yield I1: events still in the outbox, missing deliveries, and those that have not ended."""
    left = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
    if left:
        yield f"I1: {left} events are still in the outbox"
    expected = (
        select(events.c.id, subscriptions.c.endpoint_id)
        .join(
            subscriptions,
            (subscriptions.c.tenant_id == events.c.tenant_id)
            & (subscriptions.c.event_type == events.c.type)
            & (subscriptions.c.since <= events.c.created_at),
        )
        .where(events.c.relayed)
        .subquery()
    )
    missing = (
        select(expected)
        .outerjoin(
            deliveries,
            (deliveries.c.event_id == expected.c.id)
            & (deliveries.c.endpoint_id == expected.c.endpoint_id),
        )
        .where(deliveries.c.id.is_(None))
    )
    for row in connection.execute(missing):
        yield f"I1: event {row.id} has no delivery for endpoint {row.endpoint_id}"
    for row in connection.execute(select(deliveries)):
        ended = row.state in FINAL
        if not ended or row.next_attempt_at is not None or row.settled_at is None:
            yield f"I1: delivery {row.id} is {row.state}, due {row.next_attempt_at}"


def unheard(connection: Connection, heard: Iterable[Heard]) -> Iterator[str]:
    """Yield I1: deliveries called succeeded of which the receiver knows nothing."""
    arrived = {(each.endpoint_id, each.event_id) for each in heard}
    succeeded = select(deliveries).where(deliveries.c.state == DeliveryState.SUCCEEDED)
    for row in connection.execute(succeeded):
        if (row.endpoint_id, row.event_id) not in arrived:
            yield f"I1: delivery {row.id} succeeded and never arrived"


def invented(connection: Connection, heard: Iterable[Heard]) -> Iterator[str]:
    """Yield I2: callbacks of events that no committed transaction holds for that endpoint."""
    rows = connection.execute(select(deliveries.c.endpoint_id, deliveries.c.event_id))
    owed = set(map(tuple, rows))
    known = set(connection.execute(select(events.c.id)).scalars())
    for endpoint_id, event_id in {(each.endpoint_id, each.event_id) for each in heard}:
        if event_id not in known:
            yield f"I2: event {event_id} was sent and never committed"
        elif (endpoint_id, event_id) not in owed:
            yield f"I2: event {event_id} was sent to {endpoint_id}, which has no delivery of it"


def untold(connection: Connection) -> Iterator[str]:
    """Yield I3: milestones without their one event, or events of milestones without outcome."""
    rows = connection.execute(
        select(milestones, events.c.id.label("raised")).outerjoin(
            events, events.c.id == milestones.c.event_id
        )
    ).all()
    for row in rows:
        if (row.outcome == "emitted") != (row.raised is not None):
            yield f"I3: milestone {row.id} is {row.outcome}, its event {row.raised}"
    for event_id, count in Counter(row.raised for row in rows if row.raised).items():
        if count > 1:
            yield f"I3: event {event_id} stands for {count} milestones"


def altered(connection: Connection, heard: Iterable[Heard]) -> Iterator[str]:
    """Yield I4: callbacks whose bytes are not those kept for their event and profile."""
    kept = {(row.id, "envelope"): row.body for row in connection.execute(select(events))}
    for row in connection.execute(select(rendered_bodies)):
        kept[row.event_id, row.profile] = row.body
    profiles = {row.id: row.profile for row in connection.execute(select(endpoints))}
    for each in heard:
        profile = profiles.get(each.endpoint_id, "envelope")
        if each.body != kept.get((each.event_id, profile), each.body):
            yield f"I4: event {each.event_id} arrived with other bytes than are kept"


def repeats(heard: Iterable[Heard]) -> int:
    """Return how many callbacks came again."""
    counts = Counter((each.endpoint_id, each.event_id) for each in heard)
    return counts.total() - len(counts)


def too_often(heard: Sequence[Heard], repeats_max: int) -> Iterator[str]:
    """Yield I4: more repetitions than there were reasons for."""
    found = repeats(heard)
    if found > repeats_max:
        yield f"I4: {found} callbacks came again, at most {repeats_max} may"


def miscounted(connection: Connection) -> Iterator[str]:
    """Yield I5: deliveries whose attempts that decided are not 1 to n, or go on behind the end."""
    ended = {row.id: row for row in connection.execute(select(deliveries))}
    for delivery_id, made in _decided(connection).items():
        row, numbers = ended.get(delivery_id), [each.number for each in made]
        if row is None:
            continue  # that the delivery is missing is I1's or I2's to tell
        if numbers != list(range(1, row.attempts + 1)):
            yield f"I5: delivery {delivery_id} counts {row.attempts} attempts and has {numbers}"
        if row.settled_at is not None and made[-1].started_at > row.settled_at:
            yield f"I5: delivery {delivery_id} was tried behind its end"


def too_early(connection: Connection, policy: RetryPolicy) -> Iterator[str]:
    """Yield I5: more attempts than the schedule has, or nearer together than it and jitter let."""
    for delivery_id, made in _decided(connection).items():
        if len(made) > len(policy.schedule_seconds):
            yield f"I5: delivery {delivery_id} was tried {len(made)} times"
        for one, other in pairwise(made):
            ended_at = one.started_at + timedelta(milliseconds=one.duration_ms)
            least = policy.schedule_seconds[one.number] * (1 - policy.jitter)
            if (other.started_at - ended_at).total_seconds() < least - 0.001:
                yield f"I5: attempt {other.number} of delivery {delivery_id} came too early"


def foreign(connection: Connection, heard: Iterable[Heard]) -> Iterator[str]:
    """Yield I6: callbacks of another tenant's events, by their rows and by what they say."""
    owner = {row.id: row.tenant_id for row in connection.execute(select(endpoints))}
    tenant_of = {row.id: row.tenant_id for row in connection.execute(select(events))}
    for each in heard:
        mine = owner.get(each.endpoint_id)
        said = orjson.loads(each.body)
        told = said.get("tenant_id", mine) if isinstance(said, dict) else mine
        if {tenant_of.get(each.event_id, mine), told} != {mine}:
            yield f"I6: event {each.event_id} of {told} came to an endpoint of {mine}"


def _decided(connection: Connection) -> dict[str, list[Row[Any]]]:
    """Return the attempts that decided something, in the order of their numbers."""
    query = select(attempts).where(attempts.c.decided).order_by(attempts.c.number)
    made: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        made[row.delivery_id].append(row)
    return made


# -- L: the books --------------------------------------------------------------------------------


def unbalanced(connection: Connection) -> Iterator[str]:
    """Yield L1 to L4, as the engine finds them itself, and ledger tables that may be changed."""
    for found in ledger_checks.verify(connection):
        expected, actual = found["expected"], found["actual"]
        yield f"{found['check']}: {found['subject']}: {actual} instead of {expected}"
    for name in ledger_guard.missing_guards(connection):
        yield f"L2: rows of {name} can be changed"


def overdrawn(connection: Connection) -> Iterator[str]:
    """Yield L5: wallets below their floor: balance and credit limit less what is set aside.

    Holds of corrections aside, which need no funds, no call may have taken a wallet there.
    """
    aside = (
        select(holds.c.payer_id, func.sum(holds.c.amount_minor).label("amount"))
        .where(holds.c.status == "open", holds.c.kind == "discretionary")
        .group_by(holds.c.payer_id)
        .subquery()
    )
    account = ledger_accounts.c
    left = (
        account.posted_debits
        - account.posted_credits
        + func.coalesce(wallets.c.credit_limit_minor, 0)
        - func.coalesce(aside.c.amount, 0)
    )
    query = (
        select(account.book, account.currency, left.label("left"))
        .outerjoin(wallets, cast(wallets.c.tenant_id, String(36)) == account.book)
        .outerjoin(aside, cast(aside.c.payer_id, String(36)) == account.book)
        .where(account.code == WALLET, left < 0)
    )
    for row in connection.execute(query):
        yield f"L5: the wallet of {row.book} is {-int(row.left)} {row.currency} below its floor"


def changed(
    before: Mapping[str, list[tuple[Any, ...]]], after: Mapping[str, list[tuple[Any, ...]]]
) -> Iterator[str]:
    """Yield L6: tables that a refused call changed, both sides as ``tests.chains.dump`` reads."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"L6: {name} changed"
