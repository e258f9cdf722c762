"""K08 costs what is open, never what there is: quiet mailboxes are not looked at."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from config.clock import FixedClock
from dispatcher.tables import mailboxes
from engine.database import Database
from reconciler import callback_checks
from tests.receivers import receiving
from tests.reconciling import reconciling


def test_quiet_mailboxes_are_not_looked_at(database: Database, clock: FixedClock) -> None:
    """Only an endpoint with an open delivery is: of five, one."""
    with reconciling(database, clock) as scene, receiving() as receiver:
        tenants = [scene.dispatch.tenant(f"tenant {number}") for number in range(5)]
        for tenant_id in tenants:
            scene.dispatch.endpoint(tenant_id, receiver.url)
        assert [0] == [run["scanned"] for run in scene.run("K08")]
        scene.dispatch.publish(tenants[3], 4)
        scene.dispatch.relay.run_until_empty()
        assert [(1, 0)] == [(run["scanned"], run["found"]) for run in scene.run("K08")]


def test_every_slice_is_looked_at(
    database: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many endpoints have open deliveries, each lost wake-up is found and made good."""
    monkeypatch.setattr(callback_checks, "SLICE_ROWS", 2)
    with reconciling(database, clock) as scene, receiving() as receiver:
        for number in range(5):
            tenant_id = scene.dispatch.tenant(f"tenant {number}")
            scene.dispatch.endpoint(tenant_id, receiver.url)
            scene.dispatch.publish(tenant_id)
        scene.dispatch.relay.run_until_empty()
        with database.write() as connection:
            connection.execute(update(mailboxes).values(due_at=None))
        clock.advance(timedelta(minutes=5, seconds=1))
        assert {"K08": (5, 5)} == scene.found("K08")
        assert 5 == len(receiver.callbacks)
