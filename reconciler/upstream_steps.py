"""Which transitions lead from our state to the upstream's, and when to look again. Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from engine import states

#: An upstream that has not accepted yet says nothing that we do not know.
NOTHING_YET = (states.PENDING_APPROVAL, states.PENDING_FORWARD, states.FORWARDED)
#: What only a participant decides: no upstream says anything of it.
NEVER = ("forward", "approve", "reject")
#: Actions that only follow what the upstream says in so many words.
ONLY_TOWARDS = {"cancel": states.CANCELLED, "return": states.RETURNED, "unprocess": states.ACCEPTED}

HOT = timedelta(minutes=1)
WARM = timedelta(minutes=15)
COLD = timedelta(hours=6)
HOT_FOR = timedelta(hours=24)
WARM_FOR = timedelta(days=7)
FINAL_FOR = timedelta(days=7)

FAILURES_TO_OPEN = 5
BLOCK_FIRST = timedelta(seconds=30)
BLOCK_MAX = timedelta(minutes=15)


def steps(ours: str, theirs: str, *, digital: bool) -> list[str] | None:
    """Return the actions, in order, that bring our order to the upstream's state.

    None where no way leads there: the upstream is behind us, or contradicts what happened here.
    """
    if ours == theirs or theirs in NOTHING_YET:
        return [] if ours == theirs or ours in NOTHING_YET else None
    ways: deque[tuple[str, list[str]]] = deque([(ours, [])])
    seen = {ours}
    while ways:
        status, done = ways.popleft()
        for row in states.TRANSITIONS:
            if not _usable(row, status, theirs, digital=digital) or row.target in seen:
                continue
            if row.target == theirs:
                return [*done, row.action]
            seen.add(row.target)
            ways.append((row.target, [*done, row.action]))
    return None


def _usable(row: states.Transition, status: str, theirs: str, *, digital: bool) -> bool:
    if row.source != status or row.action in NEVER or (row.digital_only and not digital):
        return False
    return ONLY_TOWARDS.get(row.action, theirs) == theirs


def next_check_at(status: str, changed_at: datetime, now: datetime) -> datetime | None:
    """Return when to look again: often while an order moves, seldom later, at last never."""
    still = now - changed_at
    final = status in states.FINAL or status == states.DELIVERED
    if final:
        return None if still >= FINAL_FOR else now + COLD
    if still < HOT_FOR:
        return now + HOT
    return now + (WARM if still < WARM_FOR else COLD)


def is_hot(changed_at: datetime, now: datetime) -> bool:
    """Tell whether an order moved lately: such are asked for first."""
    return now - changed_at < HOT_FOR


def block(failures_in_row: int, openings: int, now: datetime) -> datetime | None:
    """Return until when an upstream that failed so often in a row is left alone; doubling."""
    if failures_in_row < FAILURES_TO_OPEN:
        return None
    return now + min(BLOCK_FIRST * (1 << min(openings, 10)), BLOCK_MAX)
