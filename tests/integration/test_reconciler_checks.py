"""Every check on both databases: its defect planted, found, healed as the table says; quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Update, select, update

from config.clock import FixedClock
from dispatcher import endpoint_state
from dispatcher.mailboxes import lease
from dispatcher.tables import mailboxes
from engine import wallets
from engine.database import Database
from engine.ledger_tables import wallets as wallet_rows
from engine.order_tables import chain_orders, order_log
from engine.tables import outbox
from tests.chains import accept_at_top, build_chain, dump, place, raised, top_up
from tests.receivers import receiving
from tests.reconciling import Reconciling, reconciling
from tests.tampering import tampering

NOBODY = "http://127.0.0.1:9/hook"


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


def plant(scene: Reconciling, defect: Update) -> None:
    """Change rows behind the engine's back."""
    with tampering(scene.database) as connection:
        assert connection.execute(defect).rowcount


def heard(scene: Reconciling, tenant_id: str, name: str) -> list[dict[str, Any]]:
    """Return the data of a tenant's events of one type."""
    with scene.database.read() as connection:
        return raised(connection, tenant_id, name)


@pytest.mark.parametrize("step", [0, 1])
def test_k01_tells_of_an_order_that_moved_alone(scene: Reconciling, step: int) -> None:
    """With or without a new version: timeline and events follow, and they are delivered."""
    units = scene.dispatch.units
    chain = build_chain(units)
    order_id, other = place(units, chain), place(units, chain, number="other")
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        version = work.connection.execute(
            select(chain_orders.c.version).where(chain_orders.c.id == order_id)
        ).scalar_one()
    mine = update(chain_orders).where(chain_orders.c.id == order_id)
    plant(scene, mine.values(chain_status="shipped", version=chain_orders.c.version + step))
    with receiving() as receiver:
        scene.dispatch.endpoint(chain.r, receiver.url, events=["chain_order.status_changed"])
        assert {"K01": (1, 1)} == scene.found("K01")
        told = heard(scene, chain.r, "chain_order.status_changed")[-1]
        assert ("accepted", "shipped", version + 1) == (
            told["previous_status"],
            told["status"],
            told["seq"],
        )
        with scene.database.read() as connection:
            logged = select(order_log).where(order_log.c.chain_order_id == order_id)
            newest = connection.execute(logged.order_by(order_log.c.seq.desc())).first()
        assert newest is not None
        assert (version + 1, "reconciler") == (newest.seq, newest.source)
        scene.dispatch.run_once()
        assert receiver.callbacks
    scene.settled("K01")
    assert [("K01", "healed")] == scene.discrepancies()
    assert other not in repr(scene.discrepancies())


def test_k07_fans_out_what_the_relay_left(scene: Reconciling) -> None:
    """An event a minute in the outbox is expanded and delivered; a fresh one is not late."""
    with receiving() as receiver:
        tenant_id = scene.dispatch.tenant()
        scene.dispatch.endpoint(tenant_id, receiver.url)
        scene.dispatch.publish(tenant_id, 3)
        scene.clock.advance(timedelta(seconds=60))
        assert {} == scene.found("K07")
        scene.clock.advance(timedelta(seconds=1))
        scene.dispatch.publish(tenant_id)
        assert {"K07": (3, 3)} == scene.found("K07")
        assert 3 == len(scene.dispatch.rows())
        scene.dispatch.run_once()
        assert 4 == len(receiver.callbacks)
    scene.settled("K07")
    assert [("K07", "healed")] * 3 == scene.discrepancies()


def leave_expired(scene: Reconciling) -> None:
    """Let a worker die with the mailbox in its hands."""
    with scene.database.write() as connection:
        seconds = timedelta(seconds=30)
        lease(connection, worker="dead", now=scene.clock.now(), duration=seconds, limit=1)
    scene.clock.advance(timedelta(seconds=31))


def leave_forgotten(scene: Reconciling) -> None:
    """Let a due mailbox wait with nobody hinting it."""
    scene.clock.advance(timedelta(minutes=5, seconds=1))


def leave_asleep(scene: Reconciling) -> None:
    """Let a mailbox with an open delivery have no instant at which it wakes."""
    plant(scene, update(mailboxes).values(due_at=None))
    scene.clock.advance(timedelta(minutes=5, seconds=1))


@pytest.mark.parametrize("leave", [leave_expired, leave_forgotten, leave_asleep])
def test_k08_wakes_what_was_forgotten(
    scene: Reconciling, leave: Callable[[Reconciling], None]
) -> None:
    """A dead holder, a lost hint, a lost wake-up: the mailbox is drained, no other hinted."""
    with receiving() as receiver:
        tenant_id, quiet = scene.dispatch.tenant(), scene.dispatch.tenant("quiet")
        scene.dispatch.endpoint(tenant_id, receiver.url)
        scene.dispatch.endpoint(quiet, NOBODY)
        scene.dispatch.publish(tenant_id, 2)
        scene.dispatch.relay.run_until_empty()
        leave(scene)
        assert {"K08": (1, 1)} == scene.found("K08")
        assert 2 == len(receiver.callbacks)
    assert ["succeeded"] * 2 == [row.state for row in scene.dispatch.rows()]
    scene.settled("K08")
    assert [("K08", "healed")] == scene.discrepancies()


def test_k08_leaves_a_pause_alone(scene: Reconciling) -> None:
    """What waits because its owner said so is not forgotten, however long."""
    tenant_id = scene.dispatch.tenant()
    endpoint_id = scene.dispatch.endpoint(tenant_id, NOBODY)["id"]
    with scene.dispatch.units.begin(actor="test") as work:
        endpoint_state.pause(work, endpoint_id)
    scene.dispatch.publish(tenant_id)
    scene.dispatch.run_once()
    scene.clock.advance(timedelta(days=30))
    scene.settled("K08")


@pytest.mark.parametrize("low", ["low", "ok"])
def test_k12_brings_a_level_in_line(scene: Reconciling, low: str) -> None:
    """A level that is not its balance's is judged again, and the change is told."""
    units = scene.dispatch.units
    chain = build_chain(units)
    top_up(units, chain.r, 1000 if low == "ok" else 9000)
    with units.begin(actor="test") as work:
        wallets.set_threshold(work, chain.r, 5000)
        wallets.set_threshold(work, chain.d, 0)
    name = "wallet.low_balance" if low == "ok" else "wallet.balance_recovered"
    before = len(heard(scene, chain.r, name))
    plant(
        scene, update(wallet_rows).where(wallet_rows.c.tenant_id == chain.r).values(low_state=low)
    )
    assert {"K12": (1, 1)} == scene.found("K12")
    assert before + 1 == len(heard(scene, chain.r, name))
    with scene.database.read() as connection:
        assert low != wallets.show(connection, chain.r)["low_state"]
    scene.settled("K12")
    assert [("K12", "healed")] == scene.discrepancies()


def test_nothing_else_moves_when_one_check_heals(scene: Reconciling) -> None:
    """Running one check touches no defect of another."""
    units = scene.dispatch.units
    chain = build_chain(units)
    place(units, chain)
    scene.clock.advance(timedelta(minutes=2))
    plant(scene, update(chain_orders).values(chain_status="cancelled"))
    before = dump(scene.database)
    scene.run("K08", "K10", "K12", "K13")
    after = dump(scene.database)
    assert {**before, "runs": []} == {**after, "runs": []}
    with scene.database.read() as connection:
        assert connection.execute(select(outbox)).all()
