"""Retention removes what is old and settled, in order, and never what is still needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

import dispatcher.retention as module
from config.clock import FixedClock
from dispatcher import endpoint_secrets, tables
from dispatcher.retention import NO_BODY, due, run_once, steps
from dispatcher.tables import attempts, deliveries, endpoints, rendered_bodies
from engine.database import Database
from engine.events import EventDraft, publish
from engine.ids import first_id, new_id
from engine.settlement_tables import milestones
from engine.tables import events, outbox
from reconciler import run_rows
from reconciler.retention import runs_step
from reconciler.tables import runs
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

DAY = timedelta(days=1)
STEPS = (
    *steps(bodies=30 * DAY, attempts_kept=90 * DAY, dedupe=400 * DAY),
    runs_step(90 * DAY),
)
NOTHING = {"bodies": 0, "deliveries": 0, "attempts": 0, "events": 0, "secrets": 0, "runs": 0}


class Scene:
    """A dispatcher with one tenant and one endpoint, whose first events are from now."""

    def __init__(self, found: Dispatching, url: str) -> None:
        """Create the tenant and the endpoint."""
        self.dispatching = found
        self.database = found.database
        self.tenant_id = found.tenant()
        self.endpoint_id = found.endpoint(self.tenant_id, url)["id"]
        self.start = found.clock.now()

    def deliver(self, count: int = 1) -> list[str]:
        """Publish events and attempt each once; return their ids."""
        ids = self.dispatching.publish(self.tenant_id, count)
        self.dispatching.run_once()
        return ids

    def prune(self, days: float, **options: Any) -> dict[str, int]:
        """Run retention so many days after the start."""
        return run_once(self.database, STEPS, self.start + days * DAY, **options)

    def count(self, table: Any) -> int:
        """Return how many rows a table has."""
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def bodies(self) -> list[bytes]:
        """Return the bodies of all events."""
        with self.database.read() as connection:
            return list(connection.execute(select(events.c.body)).scalars())

    def write(self, statement: Any) -> None:
        """Change rows behind everybody's back."""
        with self.database.write() as connection:
            connection.execute(statement)


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    """Set the scene; identifiers carry the real time, so the clock begins there."""
    clock = FixedClock(datetime.now(UTC))
    with dispatching(database, clock) as found, receiving(Receiver()) as receiver:
        yield Scene(found, receiver.url)


def test_nothing_young_is_removed(scene: Scene) -> None:
    """A day before its time every row is kept, with its body."""
    scene.deliver(3)
    assert NOTHING == scene.prune(29)
    assert NO_BODY not in scene.bodies()


def test_each_kind_goes_at_its_own_time(scene: Scene) -> None:
    """Bodies after 30 days, attempts with their deliveries after 90, events after 400."""
    scene.deliver(3)
    assert NOTHING | {"bodies": 3} == scene.prune(31)
    assert [NO_BODY] * 3 == scene.bodies()
    assert NOTHING == scene.prune(89)
    assert NOTHING | {"deliveries": 3, "attempts": 3} == scene.prune(92)
    assert (0, 0, 3) == (scene.count(deliveries), scene.count(attempts), scene.count(events))
    assert NOTHING == scene.prune(399)
    assert NOTHING | {"events": 3} == scene.prune(402)
    assert NOTHING == scene.prune(402)


def test_a_run_counts_without_removing(scene: Scene) -> None:
    """What ``due`` announces is what the run removes; announcing removes nothing."""
    scene.deliver(2)
    at = scene.start + 31 * DAY
    with scene.database.read() as connection:
        announced = due(connection, STEPS, at)
    assert NO_BODY not in scene.bodies()
    assert announced == scene.prune(31)


def test_an_event_is_refused_again_after_its_body_is_gone(scene: Scene) -> None:
    """The dedupe key outlives body, attempts and delivery: raising twice stays one event."""

    def raise_it() -> str:
        draft = EventDraft(
            tenant_id=scene.tenant_id, type="webhook.test", data={}, dedupe_key="once"
        )
        with scene.database.write() as connection:
            return publish(connection, draft)

    first = raise_it()
    scene.dispatching.clock.set(datetime.now(UTC))
    scene.dispatching.run_once()
    scene.prune(92)
    assert (first, 1, 0) == (raise_it(), scene.count(events), scene.count(outbox))
    assert [NO_BODY] == scene.bodies()


def test_what_is_open_is_kept_whole(scene: Scene) -> None:
    """A delivery held by a pause for years keeps its body, its attempts and its event."""
    (event_id,) = scene.deliver()
    waiting = {"state": "retrying", "next_attempt_at": scene.start, "settled_at": None}
    scene.write(update(deliveries).where(deliveries.c.event_id == event_id).values(waiting))
    assert NOTHING | {"attempts": 1} == scene.prune(1000)
    assert (1, 1) == (scene.count(deliveries), scene.count(events))
    assert NO_BODY not in scene.bodies()


def test_what_was_never_fanned_out_is_kept(scene: Scene) -> None:
    """An event in the outbox is still to be sent, however old it is."""
    scene.dispatching.publish(scene.tenant_id)
    assert NOTHING == scene.prune(1000)
    assert NO_BODY not in scene.bodies()


def test_a_delivery_is_kept_from_when_it_settled(scene: Scene) -> None:
    """One made long ago and replayed lately stays; its old attempts go."""
    scene.deliver()
    scene.write(update(deliveries).values(settled_at=scene.start + 80 * DAY))
    assert NOTHING | {"bodies": 1, "attempts": 1} == scene.prune(100)
    assert NOTHING | {"deliveries": 1} == scene.prune(171)


def test_an_event_that_a_milestone_names_is_kept(scene: Scene) -> None:
    """The row stays for as long as anything refers to it; its body does not."""
    (event_id,) = scene.deliver()
    milestone = {
        "id": new_id(),
        "subject_type": "remittance",
        "subject_id": new_id(),
        "schedule_version": 1,
        "code": "due",
        "recipient_tenant_id": scene.tenant_id,
        "event": "remittance.due",
        "fire_at": scene.start,
        "outcome": "emitted",
        "event_id": event_id,
        "created_at": scene.start,
    }
    scene.write(milestones.insert().values(milestone))
    assert NOTHING | {"bodies": 1, "deliveries": 1, "attempts": 1} == scene.prune(1000)
    assert 1 == scene.count(events)


def test_rendered_bodies_go_with_the_body(scene: Scene) -> None:
    """No profile's rendering outlives what it was rendered from."""
    (event_id,) = scene.deliver()
    row = {"event_id": event_id, "profile": "shoppex", "body": b"{}"}
    scene.write(rendered_bodies.insert().values(row))
    scene.prune(31)
    assert 0 == scene.count(rendered_bodies)


def test_runs_of_checks_go_after_their_time(scene: Scene) -> None:
    """The reconciler's records have the same rules."""
    run = run_rows.begin("K07", "test", new_id(), scene.start).row
    run |= {"id": first_id(scene.start), "state": "completed"}
    scene.write(runs.insert().values(run))
    assert NOTHING == scene.prune(89)
    assert NOTHING | {"runs": 1} == scene.prune(92)


def test_much_goes_in_small_transactions(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch is a transaction; a limit and a stop end a run between two of them."""
    monkeypatch.setattr(module, "ROWS_PER_TRANSACTION", 4)
    scene.deliver(10)
    assert 4 == scene.prune(31, limit=3)["bodies"]
    looks = iter([False, *[True] * len(STEPS)])
    assert 4 == scene.prune(31, stopping=lambda: next(looks))["bodies"]
    assert 2 == scene.prune(31)["bodies"]
    assert NOTHING | {"deliveries": 10, "attempts": 10} == scene.prune(92)


def test_what_is_kept_in_front_does_not_stop_the_rest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old rows that are still open are passed over, and the younger settled ones go."""
    monkeypatch.setattr(module, "ROWS_PER_TRANSACTION", 2)
    scene.deliver(9)
    waiting = {"state": "retrying", "next_attempt_at": scene.start, "settled_at": None}
    oldest = select(deliveries.c.id).order_by(deliveries.c.id).limit(3).scalar_subquery()
    scene.write(update(deliveries).where(deliveries.c.id.in_(oldest)).values(waiting))
    assert NOTHING | {"bodies": 6, "deliveries": 6, "attempts": 9} == scene.prune(92)


def test_every_scan_is_bounded_by_an_index(scene: Scene) -> None:
    """What was pruned or is young is never read: each choice searches an index."""
    with scene.database.write() as connection:
        if connection.dialect.name == "postgresql":
            # A plan for tables this small would not use any index; for this transaction.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plans = {step.name: _plan(connection, step) for step in STEPS}
    expected = {
        "bodies": "ix_events_body_kept",
        "deliveries": "deliveries",
        "attempts": "attempts",
        "events": "events",
        "secrets": "ix_endpoint_secrets_expires_at",
        "runs": "runs",
    }
    for name, plan in plans.items():
        assert expected[name] in plan
        assert "SCAN" not in plan
        assert "Seq Scan" not in plan


def _plan(connection: Any, step: module.Step) -> str:
    columns = [step.table.c[name] for name in step.order]
    query = select(*columns).where(step.chosen(datetime.now(UTC))).order_by(*columns).limit(10)
    compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
    verb = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(row) for row in connection.execute(text(f"{verb} {compiled}")))


def test_secrets_that_ended_are_destroyed_within_the_hour(scene: Scene) -> None:
    """Rotated away once and never again, an old secret goes with the next run all the same."""
    keyring = scene.dispatching.guard.keyring
    with scene.dispatching.units.begin(actor="test") as work:
        endpoint_secrets.rotate(work, keyring, scene.endpoint_id, scene.tenant_id)
    assert NOTHING == scene.prune(0.99)
    assert NOTHING | {"secrets": 1} == scene.prune(1)
    assert 1 == scene.count(tables.endpoint_secrets)
    scene.deliver()


def test_a_disabled_endpoint_does_not_hold_rows(scene: Scene) -> None:
    """Cancelled deliveries are settled: they go like the others."""
    scene.write(update(endpoints).values(state="disabled"))
    scene.deliver()
    assert NOTHING | {"bodies": 1, "deliveries": 1} == scene.prune(92)
