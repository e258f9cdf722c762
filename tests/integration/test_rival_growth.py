"""Where others' clean-up locks, forgets or blocks: each test names whose defect it was.

docs/rival-defects.md has the whole list.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from config.clock import FixedClock
from dispatcher import replay_steps, retention
from dispatcher.replay_selection import Selection
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.receivers import receiving
from tests.replaying import start

DAY = timedelta(days=1)
ROUNDS, EVENTS = 4, 40


def clean(dispatch: Dispatching, done: threading.Event) -> int:
    """Remove what is a day old or more, over and over, until told; return how many bodies went."""
    steps = retention.steps(bodies=DAY, attempts_kept=DAY, dedupe=400 * DAY)
    removed = 0
    while not done.is_set():
        removed += retention.run_once(dispatch.database, steps, dispatch.clock.now())["bodies"]
    return removed


def test_cleaning_up_beside_traffic_locks_nobody_out(database: Database) -> None:
    """Retention, relay, drains and a replay at once: no deadlock, no loss (Svix PR #869, #1933).

    Each round's events are old by the next, when they are removed and sent again at the same time:
    a delivery is armed with its body or left alone, and never sent empty.
    """
    clock, done = FixedClock(datetime.now(UTC)), threading.Event()
    with (
        dispatching(database, clock) as dispatch,
        receiving() as receiver,
        ThreadPoolExecutor(2) as pool,
    ):
        tenant_id = dispatch.tenant()
        for _ in range(3):
            dispatch.endpoint(tenant_id, receiver.url)
        cleaning = pool.submit(clean, dispatch, done)
        armed, ids = 0, list[str]()
        for _ in range(ROUNDS):
            ids += dispatch.publish(tenant_id, EVENTS)
            dispatch.run_once()
            clock.advance(DAY)
            job = (dispatch.units, clock, start(dispatch.units, Selection(state="succeeded")))
            replaying = pool.submit(list, replay_steps.run_to_end(*job, wait=lambda _: None))
            armed += replaying.result()[-1]["armed"]
            dispatch.run_once()
        clock.advance(DAY)
        dispatch.run_once()
        done.set()
        assert cleaning.result()

    assert armed >= 3 * len(ids)
    arrived = Counter(each.headers["webhook-id"] for each in receiver.callbacks)
    assert set(ids) == set(arrived)
    assert 3 * len(ids) + armed == arrived.total()
    assert all(callback.body for callback in receiver.callbacks)
    assert {"succeeded"} >= {row.state for row in dispatch.rows()}
