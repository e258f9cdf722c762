"""What history and a backlog cost: relay, claim and settle with rows behind and in front of them.

Two installations stand side by side and take turns, so that both see the same machine: one without
history, one with settled rows behind it, and then with open ones and a full outbox in front too.
``python -m bench.claim --settled 10000000 --open 1000000`` prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

from bench.fill import NEWER, Changed, Told, copies, copy_id, telling, unindexed, vacuum
from bench.ground import fresh_ground
from bench.lines import percentiles
from bench.stand import Stand, memory_peak_megabytes, standing
from dispatcher.due import Due, first_slices
from dispatcher.hints import NoHints
from dispatcher.mailboxes import lease, release
from dispatcher.outcome import Outcome, Verdict
from dispatcher.relay import Relay
from dispatcher.settle import settle_now
from dispatcher.settlement import Settlement
from dispatcher.states import DeliveryState

ROUNDS = 100
ENDPOINTS = 100
#: Mailboxes of one claim, deliveries read of each and settled of each.
MAILBOXES, ROWS, SETTLED = 20, 25, 10
#: Open deliveries each endpoint begins with.
OPEN_ROWS = 50
STEPS = ("relay", "claim", "settle", "release")
EVENT_KIND, WAITING_KIND, DELIVERY_KIND, SETTLED_KIND = range(11, 15)
HELD = timedelta(minutes=1)
DELIVERED = Outcome(Verdict.SUCCEEDED, 200, None, '{"success":true}')

Figures = dict[str, Any]


def claim(settled_rows: int, open_rows: int, told: Told) -> Figures:
    """Time the steps with nothing, with so many rows settled, and with so many open besides.

    Milliseconds a step (p50, p95, p99, max) by what stands there, and the ratio of the medians.
    """
    with ExitStack() as stack:
        grounds = [stack.enter_context(fresh_ground()) for _ in range(2)]
        bare, full = (stack.enter_context(standing(folder, **its)) for folder, its in grounds)
        for stand in (bare, full):
            stand.add_endpoints(9, ENDPOINTS)
            stand.publish(ENDPOINTS * OPEN_ROWS)
            stand.relay()
        _fill_settled(full, settled_rows, told)
        found: Figures = {"settled_rows": settled_rows, "open_rows": open_rows}
        told("rounds with settled rows behind")
        found["none"], found["behind"] = _turns(bare, full)
        if open_rows:
            _fill_open(full, open_rows, told)
            told("rounds with open rows in front too")
            found["none_again"], found["in_front"] = _turns(bare, full)
        found["memory_megabytes"] = memory_peak_megabytes([os.getpid()])
        return found


def _id(kind: int) -> Callable[[Any], str]:
    """Return the SQL of an identifier for each copy of up to a thousand rows."""
    return lambda connection: copy_id(connection, kind, "s.n * 1000 + t.place")


def _fill_settled(stand: Stand, rows: int, told: Told) -> None:
    """Copy deliveries as a drain leaves them, each with its one attempt."""
    database, numbers = stand.application.database, range(1, rows // ENDPOINTS + 1)
    _round(stand, mailboxes=ENDPOINTS, settled=1)
    delivery: Changed = {"id": _id(SETTLED_KIND), "event_id": _id(SETTLED_KIND)}
    attempt: Changed = {"delivery_id": _id(SETTLED_KIND)}
    with unindexed(database, ("deliveries", "attempts"), told):
        mine = f"id > '{NEWER}' AND state = 'succeeded'"
        copies(database, "deliveries", delivery, numbers, where=mine, told=told)
        mine = f"delivery_id > '{NEWER}'"
        copies(database, "attempts", attempt, numbers, where=mine, told=told)


def _fill_open(stand: Stand, rows: int, told: Told) -> None:
    """Copy open deliveries with their events, and as many events that nobody has relayed yet."""
    database, numbers = stand.application.database, range(1, rows // ENDPOINTS + 1)
    delivery: Changed = {"id": _id(DELIVERY_KIND), "event_id": _id(EVENT_KIND)}
    stand.publish(ENDPOINTS)
    stand.relay()
    is_open = f"next_attempt_at IS NOT NULL AND id > '{NEWER}'"
    newest = f"SELECT id FROM deliveries WHERE {is_open} ORDER BY id DESC LIMIT {ENDPOINTS}"  # noqa: S608  # ours
    copies(database, "deliveries", delivery, numbers, where=f"id IN ({newest})", told=told)
    stand.publish(ENDPOINTS)
    of_delivery: Changed = {"id": _id(EVENT_KIND), "dedupe_key": "NULL"}
    waiting: Changed = {"id": _id(WAITING_KIND), "dedupe_key": "NULL"}
    outbox: Changed = {"event_id": _id(WAITING_KIND)}
    unrelayed = "id IN (SELECT event_id FROM outbox)"
    with unindexed(database, ("events", "outbox"), told):
        copies(database, "events", of_delivery, numbers, where=unrelayed, told=told)
        copies(database, "events", waiting, numbers, where=unrelayed, told=told)
        copies(database, "outbox", outbox, numbers, where=f"event_id > '{NEWER}'", told=told)
    vacuum(database, "deliveries")


def _turns(bare: Stand, full: Stand) -> tuple[Figures, Figures]:
    """Let both take turns and return the percentiles of each step of each."""
    took: list[dict[str, list[float]]] = [{step: [] for step in STEPS} for _ in range(2)]
    for _ in range(ROUNDS):
        for stand, seen in zip((bare, full), took, strict=True):
            for step, milliseconds in _round(stand, mailboxes=MAILBOXES, settled=SETTLED).items():
                seen[step].append(milliseconds)
    first, second = ({step: percentiles(each[step]) for step in STEPS} for each in took)
    return first, second


def _round(stand: Stand, *, mailboxes: int, settled: int) -> dict[str, float]:
    """Relay as much as will be settled, lease and read mailboxes, settle, give them back."""
    application = stand.application
    database = application.database
    took: dict[str, float] = {}
    stand.publish(mailboxes * settled)
    relay = Relay(database, application.clock, NoHints())
    with _timing(took, "relay"):
        relay.run_once(mailboxes * settled)
    now = database.now() + timedelta(seconds=1)
    with _timing(took, "claim"):
        with database.write() as connection:
            held = lease(connection, worker="bench", now=now, duration=HELD, limit=mailboxes)
        with database.read() as connection:
            ids = [each.endpoint_id for each in held]
            found = first_slices(connection, ids, now=now, rows=ROWS)
    rows = [
        _settlement(due, each.token, now)
        for each in held
        for due in found[each.endpoint_id][:settled]
    ]
    if len(rows) != mailboxes * settled:
        raise SystemExit(f"{len(rows)} deliveries claimed, {mailboxes * settled} expected")
    with _timing(took, "settle"):
        settle_now(database, rows, now)
    with _timing(took, "release"), database.write() as connection:
        release(connection, [(each.endpoint_id, each.token) for each in held])
    return took


@contextmanager
def _timing(took: dict[str, float], step: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    took[step] = (time.perf_counter() - began) * 1000


def _settlement(due: Due, token: int, now: datetime) -> Settlement:
    return Settlement(
        delivery_id=due.delivery_id,
        endpoint_id=due.endpoint_id,
        lease_token=token,
        number=due.attempts + 1,
        trigger=due.trigger,
        started_at=now,
        duration_ms=12,
        outcome=DELIVERED,
        state=DeliveryState.SUCCEEDED,
        next_attempt_at=None,
        settled_at=now,
    )


def main() -> None:
    """Measure and print one JSON document; progress goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m bench.claim", description=__doc__)
    parser.add_argument("--settled", type=int, default=10_000_000)
    parser.add_argument("--open", type=int, default=1_000_000)
    given = parser.parse_args()
    found = claim(given.settled, given.open, telling())
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
