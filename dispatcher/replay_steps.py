"""Carry replays out: one bounded step at a time, each under a lease, its cursor moved with it.

Step and cursor are one transaction: a process that dies in the middle neither skips nor doubles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from config.clock import Clock
from config.errors import TillbellError
from config.log import get_logger
from dispatcher.hints import NO_HINTS, Hints, in_batches
from dispatcher.mailboxes import feed
from dispatcher.replay import arm, copy
from dispatcher.replay_jobs import ReplayState, get
from dispatcher.replay_selection import Selection, chosen
from dispatcher.states import EndpointState
from dispatcher.tables import deliveries, endpoints, replays
from engine.types import UtcTime
from engine.unit_of_work import UnitOfWork, UnitsOfWork

log = get_logger("replay")

#: Deliveries a transaction arms at most (design §2).
DELIVERIES_PER_STEP = 1000
LEASE = timedelta(seconds=60)
#: After a step that failed the next comes no earlier than this.
PROBLEM_WAIT = timedelta(seconds=10)
PROBLEM_LENGTH_MAX = 500
#: How often one who waits for a replay looks whether another has stepped it.
LOOK_SECONDS = 0.2


class _LeaseLost(Exception):
    """The replay was paused, cancelled or taken by another while a step was under way."""


def run_once(
    units: UnitsOfWork, now: datetime, hints: Hints = NO_HINTS, *, replay_id: str | None = None
) -> int:
    """Make one step of one running replay that is due, and return how many deliveries it armed.

    Any number of workers may call it: a replay is stepped by one at a time. A step that fails is
    rolled back and written down as the replay's ``problem``; it is tried again later. After the
    commit the mailboxes are hinted, so that nothing armed waits for the sweep.
    """
    job = _lease(units, now, replay_id)
    if job is None:
        return 0
    try:
        armed, fed = units.run(
            lambda work: _step(work, job, now), actor=job["actor"], source="replay"
        )
    except _LeaseLost:
        return 0
    except (TillbellError, SQLAlchemyError) as error:
        log.warning("replay.problem", replay_id=job["id"], reason=str(error)[:200])
        _write_problem(units, job, str(error), now)
        return 0
    for batch in in_batches(fed if armed else []):
        hints.drain(batch)
    return armed


def due_at(connection: Connection, *, replay_id: str | None = None) -> datetime | None:
    """Return when the next step may be made; None while nothing runs."""
    free_at = func.coalesce(replays.c.lease_until, replays.c.next_step_at, type_=UtcTime())
    query = select(func.min(free_at)).where(_running(replay_id))
    found: datetime | None = connection.execute(query).scalar_one()
    return found


def run_to_end(
    units: UnitsOfWork,
    clock: Clock,
    replay_id: str,
    hints: Hints = NO_HINTS,
    *,
    wait: Callable[[float], object],
) -> Iterator[dict[str, Any]]:
    """Step one replay as long as it runs, yielding its record each time.

    Others may step it too. It ends early at a problem: the schedule tries that again. ``wait`` is
    given the seconds to sleep between steps.
    """
    while True:
        clock.sync()
        run_once(units, clock.now(), hints, replay_id=replay_id)
        with units.database.read() as connection:
            row = get(connection, replay_id)
            due = due_at(connection, replay_id=replay_id)
        yield row
        if due is None or row["problem"] is not None:
            return
        wait(min(max(0.0, (due - clock.now()).total_seconds()), LOOK_SECONDS))


def pace(rate_per_second: float | None) -> tuple[int, timedelta]:
    """Return how many deliveries a step may arm, and the wait behind it. Pure.

    In no second are there more than the rate: the steps of a second add up to at most that.
    """
    if rate_per_second is None:
        return DELIVERIES_PER_STEP, timedelta()
    if rate_per_second < 1:
        return 1, _whole_microseconds(1 / rate_per_second)
    steps = math.ceil(rate_per_second / DELIVERIES_PER_STEP)
    return int(rate_per_second / steps), _whole_microseconds(1 / steps)


def _whole_microseconds(seconds: float) -> timedelta:
    """Round up, or a second would hold one step more."""
    return timedelta(microseconds=math.ceil(seconds * 1_000_000))


def _running(replay_id: str | None) -> ColumnElement[bool]:
    running = replays.c.state == ReplayState.RUNNING
    return running if replay_id is None else and_(running, replays.c.id == replay_id)


def _lease(units: UnitsOfWork, now: datetime, replay_id: str | None) -> dict[str, Any] | None:
    """Take the running replay that has been due the longest, or None."""
    free = and_(
        _running(replay_id),
        replays.c.next_step_at <= now,
        or_(replays.c.lease_until.is_(None), replays.c.lease_until <= now),
    )
    with units.database.read() as connection:
        # Most looks find nothing, and those need no writer.
        order = (replays.c.next_step_at, replays.c.id)
        due = connection.execute(select(replays.c.id).where(free).order_by(*order).limit(1)).first()
    if due is None:
        return None
    with units.database.write() as connection:
        taken = connection.execute(
            update(replays)
            .where(replays.c.id == due.id, free)
            .values(lease_until=now + LEASE)
            .returning(*replays.c)
        ).mappings()
        row = taken.first()
    return None if row is None else dict(row)


def _step(work: UnitOfWork, job: dict[str, Any], now: datetime) -> tuple[int, list[str]]:
    """Arm the next batch; return how many that were, and the mailboxes that were fed."""
    connection = work.connection
    quota, wait = pace(job["rate_per_second"])
    wanted = chosen(Selection.from_document(job["selection"]), job["created_at"])
    batch = _next_batch(connection, wanted, job["cursor_id"], quota)
    called = [row for row in batch if row.called]
    ids = [row.id for row in called]
    # Mailboxes first: whoever arms the same deliveries waits here, and then looks again.
    fed = sorted({row.endpoint_id for row in called})
    feed(connection, fed, now)
    if job["new_ids"]:
        # Later than the replay was asked for, whatever the clocks say: no copy is copied.
        later = max(now, job["created_at"] + timedelta(microseconds=1))
        armed = copy(connection, ids, now, created_at=later)
    else:
        armed = arm(connection, ids, now, wanted=wanted)
    values = {
        "armed": replays.c.armed + armed,
        "skipped": replays.c.skipped + len(batch) - armed,
        "next_step_at": now + wait,
        "lease_until": None,
        "problem": None,
        "updated_at": now,
    }
    if batch:
        values["cursor_id"] = batch[-1].id
    if len(batch) < quota:
        values |= {"state": ReplayState.COMPLETED, "finished_at": now}
    _advance(connection, job, values)
    return armed, fed


def _next_batch(
    connection: Connection, wanted: ColumnElement[bool], after: str | None, rows: int
) -> Sequence[Any]:
    """Return the next chosen deliveries in the order of their ids, and whether each is called."""
    called = (endpoints.c.state != EndpointState.DISABLED).label("called")
    query = (
        select(deliveries.c.id, deliveries.c.endpoint_id, called)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .where(wanted)
        .order_by(deliveries.c.id)
        .limit(rows)
    )
    if after is not None:
        query = query.where(deliveries.c.id > after)
    return connection.execute(query).all()


def _advance(connection: Connection, job: dict[str, Any], values: dict[str, Any]) -> None:
    """Move the replay on, if it is still ours and where we found it; else undo the step."""
    moved = connection.execute(update(replays).where(_still_ours(job)).values(values))
    if moved.rowcount != 1:
        raise _LeaseLost


def _still_ours(job: dict[str, Any]) -> ColumnElement[bool]:
    return and_(
        replays.c.id == job["id"],
        replays.c.state == ReplayState.RUNNING,
        replays.c.lease_until == job["lease_until"],
        replays.c.cursor_id.is_not_distinct_from(job["cursor_id"]),
    )


def _write_problem(units: UnitsOfWork, job: dict[str, Any], problem: str, now: datetime) -> None:
    with units.database.write() as connection:
        connection.execute(
            update(replays)
            .where(_still_ours(job))
            .values(
                problem=" ".join(problem.split())[:PROBLEM_LENGTH_MAX],
                next_step_at=now + PROBLEM_WAIT,
                lease_until=None,
                updated_at=now,
            )
        )
