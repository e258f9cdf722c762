"""Replays as jobs: asked for by somebody for a reason, paused, resumed, cancelled, followed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select, update

from config.log import get_logger
from dispatcher.replay_selection import Selection, count_of, require
from dispatcher.tables import replays
from engine.errors import InvalidInput, InvalidStatus, NotFound
from engine.ids import is_id, new_id
from engine.inputs import check_text
from engine.unit_of_work import UnitOfWork

log = get_logger("replay")

ACTOR_LENGTH_MAX = 200
REASON_LENGTH_MAX = 500
RATE_MIN = 0.01
RATE_MAX = 100_000.0
LIMIT_MAX = 1000


class ReplayState(StrEnum):
    """Where a replay stands."""

    RUNNING = "running"  #: armed step by step
    PAUSED = "paused"  #: waits to be resumed, where it stopped
    COMPLETED = "completed"  #: every delivery it meant was looked at
    CANCELLED = "cancelled"  #: ended by somebody; what was armed stays armed


#: What may be done with a replay in each state.
ALLOWED: Mapping[str, Sequence[str]] = {
    ReplayState.RUNNING: ("pause", "cancel"),
    ReplayState.PAUSED: ("resume", "cancel"),
    ReplayState.COMPLETED: (),
    ReplayState.CANCELLED: (),
}


def create(
    work: UnitOfWork,
    selection: Selection,
    *,
    reason: str | None = None,
    rate_per_second: float | None = None,
    new_ids: bool = False,
) -> dict[str, Any]:
    """Write down a replay of what matches now and return it; steps arm it (``replay_steps``).

    Raises InvalidInput naming the field, or NotFound for what the selection names.
    """
    require(work.connection, selection)
    replay_id = new_id()
    row = {
        "id": replay_id,
        "actor": work.actor[:ACTOR_LENGTH_MAX],
        "reason": _check_reason(reason),
        "selection": selection.as_document(),
        "state": ReplayState.RUNNING,
        "matched": count_of(work.connection, selection, work.now),
        "rate_per_second": _check_rate(rate_per_second),
        "new_ids": new_ids,
        "next_step_at": work.now,
        "created_at": work.now,
        "updated_at": work.now,
    }
    work.connection.execute(insert(replays).values(row))
    return get(work.connection, replay_id)


def get(connection: Connection, replay_id: str) -> dict[str, Any]:
    """Return one replay with its ``percent``, or raise NotFound."""
    row = None
    if is_id(replay_id):
        wanted = select(replays).where(replays.c.id == replay_id.lower())
        row = connection.execute(wanted).mappings().first()
    if row is None:
        raise NotFound(f"no replay {replay_id!r}", field="id", value=replay_id)
    return _with_percent(row)


def listing(
    connection: Connection, *, state: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the latest replays, newest first; raises InvalidInput for a wrong filter."""
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInput(f"limit {limit} is not between 1 and {LIMIT_MAX}", field="limit")
    query = select(replays).order_by(replays.c.id.desc()).limit(limit)
    if state is not None:
        if state not in list(ReplayState):
            raise InvalidInput(
                f"state {state!r} is none of {', '.join(ReplayState)}", field="state", value=state
            )
        query = query.where(replays.c.state == state)
    return [_with_percent(row) for row in connection.execute(query).mappings()]


def pause(work: UnitOfWork, replay_id: str) -> dict[str, Any]:
    """Let a running replay wait; a step that is under way arms nothing more."""
    return _move(work, replay_id, "pause", ReplayState.PAUSED)


def resume(work: UnitOfWork, replay_id: str) -> dict[str, Any]:
    """Let a paused replay go on where it stopped."""
    return _move(work, replay_id, "resume", ReplayState.RUNNING)


def cancel(work: UnitOfWork, replay_id: str) -> dict[str, Any]:
    """End a replay for good; what was armed already is still sent."""
    return _move(work, replay_id, "cancel", ReplayState.CANCELLED)


def _move(work: UnitOfWork, replay_id: str, verb: str, target: ReplayState) -> dict[str, Any]:
    row = get(work.connection, replay_id)
    # Locked: of two changes at once the later adds to what the first wrote.
    locked = select(replays.c.changes).where(replays.c.id == row["id"]).with_for_update()
    before = work.connection.execute(locked).scalar_one() or []
    change = {"at": work.now.isoformat(), "verb": verb, "actor": work.actor[:ACTOR_LENGTH_MAX]}
    sources = [state for state, verbs in ALLOWED.items() if verb in verbs]
    moved = work.connection.execute(
        update(replays)
        .where(replays.c.id == row["id"], replays.c.state.in_(sources))
        # Without its lease, a step of before the change can no longer commit.
        .values(
            state=target,
            lease_until=None,
            changes=[*before, change],
            updated_at=work.now,
            finished_at=work.now if target is ReplayState.CANCELLED else None,
        )
    )
    row = get(work.connection, replay_id)
    if moved.rowcount != 1:
        raise InvalidStatus(
            f"a replay that is {row['state']} cannot {verb}",
            current_status=row["state"],
            allowed=list(ALLOWED[row["state"]]),
        )
    log.info("replay.changed", replay_id=row["id"], state=row["state"], actor=work.actor)
    return row


def _with_percent(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Add how much was looked at, in whole percent; 100 only when nothing is left."""
    seen = row["armed"] + row["skipped"]
    done = row["state"] == ReplayState.COMPLETED
    percent = 100 if done else min(99, 100 * seen // max(row["matched"], 1))
    return {**row, "changes": row["changes"] or [], "percent": percent}


def _check_reason(reason: str | None) -> str | None:
    if reason is None:
        return None
    text = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX, empty=True)
    return text or None


def _check_rate(rate: float | None) -> float | None:
    if rate is not None and not (math.isfinite(rate) and RATE_MIN <= rate <= RATE_MAX):
        raise InvalidInput(
            f"rate {rate} is not between {RATE_MIN} and {RATE_MAX:.0f} a second",
            field="rate_per_second",
            value=str(rate),
        )
    return rate
