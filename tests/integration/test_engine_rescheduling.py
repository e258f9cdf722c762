"""Ladders and due dates on both databases: who set them, who moved them, what is told then."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from config.clock import FixedClock
from engine import ladder_settings, milestones, remittances, rescheduling, wallets
from engine.database import Database
from engine.due_dates import firings
from engine.errors import Forbidden, InvalidInput, InvalidStatus, NotFound
from engine.ladders import DEFAULT, STANDARD, ladder_of, read_ladder
from engine.settlement_tables import milestones as milestone_rows
from engine.settlement_tables import remittances as remittance_rows
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from engine.zones import version
from reconciler.runner import Runner
from tests.chains import build_chain, deliver, dump, place, raised
from tests.conftest import START
from tests.drafting import do, refused
from tests.owing import outcomes, owe

DUE_ON = date(2026, 3, 9)
DUE_AT = datetime(2026, 3, 10, tzinfo=UTC)
LATER = date(2026, 3, 20)
WEEKLY = {"overdue_days_after": [7, 14]}


def look(units: UnitsOfWork) -> dict[str, str]:
    """Give every due milestone its outcome, as the reconciler does."""
    with units.begin(actor="reconciler", source="reconciler") as work:
        ids = [row["id"] for row in milestones.due(work.connection, work.now)]
        return milestones.emit_many(work, ids, work.now)


def move(units: UnitsOfWork, remittance_id: str, due_on: date = LATER, **options: Any) -> Any:
    """Move a due date by agreement."""
    return do(
        units,
        lambda work: rescheduling.reschedule(
            work, remittance_id, due_on, reason="agreed by telephone", **options
        ),
    )


def test_a_ladder_holds_for_the_nearest(units: UnitsOfWork, database: Database) -> None:
    """The child's own comes first, then the parent's, then the platform's, then the default."""
    chain = build_chain(units)
    sets: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"tenant_id": chain.s}, {"preset": "standard"}, "T-3 T-1 T0 T+1 T+7 T+14 T+30"),
        ({"tenant_id": chain.d}, {"due_days_before": [5]}, "T-5"),
        ({"tenant_id": chain.d, "child_id": chain.r}, WEEKLY, "T+7 T+14"),
        # One for another relationship of an ancestor does not count here.
        ({"tenant_id": chain.s, "child_id": chain.d}, {"due_days_before": [9]}, "T+7 T+14"),
    ]
    with database.read() as connection:
        assert DEFAULT == ladder_settings.ladder_between(connection, chain.d, chain.r)
    for key, given, codes in sets:
        do(units, partial(ladder_settings.set_ladder, given=given, **key))
        with database.read() as connection:
            for pair in ((chain.d, chain.r), (chain.r, chain.d)):
                found = ladder_settings.ladder_between(connection, *pair)
                assert codes == " ".join(step.code for step in found.steps)
    do(units, partial(ladder_settings.clear_ladder, tenant_id=chain.d, child_id=chain.r))
    do(units, partial(ladder_settings.clear_ladder, tenant_id=chain.d))
    with database.read() as connection:
        assert STANDARD == ladder_settings.ladder_between(connection, chain.d, chain.r)
    clear = partial(ladder_settings.clear_ladder, tenant_id=chain.d)
    refused(units, database, NotFound, clear)


def test_what_cannot_be_set(units: UnitsOfWork, database: Database) -> None:
    """A ladder that is none, a child that is not one's own, a tenant that is not there."""
    chain = build_chain(units)
    set_ladder = ladder_settings.set_ladder
    for kind, call in (
        (InvalidInput, partial(set_ladder, tenant_id=chain.s, given={})),
        (InvalidInput, partial(set_ladder, tenant_id=chain.s, given=WEEKLY, child_id=chain.r)),
        (InvalidInput, partial(set_ladder, tenant_id=chain.r, given=WEEKLY, child_id=chain.d)),
        (NotFound, partial(set_ladder, tenant_id=chain.product_id, given=WEEKLY)),
    ):
        refused(units, database, kind, call)


def test_a_remittance_keeps_the_ladder_it_was_made_with(
    units: UnitsOfWork, database: Database
) -> None:
    """Steps, cutoff and grace count from its making on; a later ladder is for later ones."""
    chain = build_chain(units, timezone="Asia/Kolkata")
    given = {"preset": "standard", "cutoff": "17:00", "grace_hours": 24}
    do(units, partial(ladder_settings.set_ladder, tenant_id=chain.s, given=given))
    order_id = place(units, chain)
    deliver(units, order_id)
    do(units, partial(ladder_settings.set_ladder, tenant_id=chain.s, given=WEEKLY))
    with database.read() as connection:
        row = next(
            row
            for row in remittances.listing(connection, order_id=order_id)
            if row["payer_id"] == chain.r
        )
        query = select(milestone_rows).where(milestone_rows.c.subject_id == row["id"])
        rows = connection.execute(query.order_by(milestone_rows.c.fire_at)).mappings().all()
    assert read_ladder(given) == ladder_of(row["ladder"])
    assert datetime(2026, 3, 9, 11, 30, tzinfo=UTC) == row["due_at"]
    expected = {
        each.code: each.fire_at for each in firings(DUE_ON, "Asia/Kolkata", read_ladder(given))
    }
    assert expected == {each["code"]: each["fire_at"] for each in rows}
    # Announcements go to the payer, what is overdue to both.
    assert 3 + 4 * 2 == len(rows)


def test_a_moved_due_date_has_a_schedule_of_its_own(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """What was open of the old one is cancelled, what was told stays; both sides hear of it."""
    chain, row = owe(units)
    clock.set(DUE_AT - timedelta(days=3))
    look(units)
    moved = move(units, row["id"], tenant_id=chain.d)
    assert (2, LATER, "pending") == (moved["schedule_version"], moved["due_date"], moved["status"])
    assert {
        ("T-3", "emitted"): 1,
        ("T+0", "cancelled"): 2,
        ("T-3", "pending"): 1,
        ("T+0", "pending"): 2,
    } == outcomes(database, row["id"])
    fact = {
        "previous_due_date": "2026-03-09",
        "due_date": "2026-03-20",
        "schedule_version": 2,
        "reason": "agreed by telephone",
    }
    with database.read() as connection:
        for tenant_id in (chain.r, chain.d):
            [event] = raised(connection, tenant_id, "remittance.rescheduled")
            assert fact.items() <= event.items()
        [change] = rescheduling.changes_of(connection, row["id"])
    assert {
        "previous_due_date": DUE_ON,
        "due_date": LATER,
        "reason": "agreed by telephone",
        "actor": "test",
    }.items() <= change.items()


def test_after_moving_only_the_new_dates_are_told(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """Overdue already, it is not any more; past the new date it is, and told again."""
    chain, row = owe(units)
    clock.set(DUE_AT)
    look(units)
    move(units, row["id"])
    with database.read() as connection:
        assert remittances.get(connection, row["id"])["overdue_since"] is None
    clock.set(DUE_AT + timedelta(days=11))
    look(units)
    with database.read() as connection:
        assert clock.now() == remittances.get(connection, row["id"])["overdue_since"]
        told = raised(connection, chain.d, "remittance.overdue")
        due = raised(connection, chain.r, "remittance.due")
    assert [("T+0", 1), ("T+0", 2)] == [(e["milestone"], e["schedule_version"]) for e in told]
    assert [] == due  # both reminders were overtaken


def test_a_due_date_moved_often_keeps_its_events_in_order(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """Thirty moves under the longest ladder: the sequence of what is told only grows."""
    chain, row = owe(units)
    given = {"due_days_before": [4, 3, 2, 1, 0], "overdue_days_after": [1, 2, 3, 4, 5]}
    do(units, partial(ladder_settings.set_ladder, tenant_id=chain.s, given=given))
    for number in range(30):
        move(units, row["id"], LATER + timedelta(days=number))
    clock.set(DUE_AT + timedelta(days=60))
    look(units)
    query = (
        select(events.c.sequence)
        .where(events.c.subject_id == row["id"], events.c.tenant_id == chain.r)
        .order_by(events.c.occurred_at, events.c.id)
    )
    with database.read() as connection:
        sequences = list(connection.execute(query).scalars())
    assert 32 == len(sequences)
    assert sorted(set(sequences)) == sequences


@pytest.mark.parametrize(
    ("due_on", "options", "kind"),
    [
        (START.date() - timedelta(days=1), {}, InvalidInput),
        (START.date() + timedelta(days=367), {}, InvalidInput),
        (date.max, {}, InvalidInput),
        (DUE_ON, {}, InvalidInput),
        (LATER, {"reason": ""}, InvalidInput),
        (LATER, {"reason": "x" * 501}, InvalidInput),
        (LATER, {"tenant": "r"}, Forbidden),
        (LATER, {"tenant": "s"}, NotFound),
    ],
)
def test_what_cannot_be_moved(
    units: UnitsOfWork, database: Database, due_on: date, options: dict[str, str], kind: Any
) -> None:
    """Past days, the same day, no reason, the payer itself, strangers: nothing changes."""
    chain, row = owe(units)
    tenant_id = getattr(chain, options["tenant"]) if "tenant" in options else None
    call = partial(
        rescheduling.reschedule,
        remittance_id=row["id"],
        due_on=due_on,
        reason=options.get("reason", "agreed"),
        tenant_id=tenant_id,
    )
    refused(units, database, kind, call)


def test_what_is_paid_has_no_due_date_to_move(units: UnitsOfWork, database: Database) -> None:
    """Completed is final."""
    chain, row = owe(units)
    do(units, lambda work: wallets.set_credit_limit(work, chain.r, 10**9))
    do(units, partial(remittances.process, remittance_id=row["id"]))
    call = partial(
        rescheduling.reschedule, remittance_id=row["id"], due_on=LATER, reason="too late"
    )
    refused(units, database, InvalidStatus, call)


def test_new_zone_rules_move_what_is_open(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """Resolved under older rules it is resolved again; what has an outcome keeps its instant."""
    chain, row = owe(units)
    clock.set(DUE_AT - timedelta(days=3))
    look(units)
    wrong = DUE_AT - timedelta(hours=1)
    with units.begin(actor="test") as work:
        work.connection.execute(update(remittance_rows).values(due_at=wrong, due_rules="2025b"))
        work.connection.execute(update(milestone_rows).values(fire_at=wrong))
    runner = Runner(units)
    assert [(1, 1), (0, 0)] == [
        (run["found"], run["healed"])
        for _ in range(2)
        for run in runner.run(["K10.zones"], actor="test")
    ]
    with database.read() as connection:
        found = remittances.get(connection, row["id"])
        rows = connection.execute(select(milestone_rows)).mappings().all()
    assert (DUE_AT, version()) == (found["due_at"], found["due_rules"])
    assert {("T-3", wrong), ("T+0", DUE_AT)} == {(each["code"], each["fire_at"]) for each in rows}
    clock.set(DUE_AT)
    look(units)
    with database.read() as connection:
        assert 1 == len(raised(connection, chain.d, "remittance.overdue"))


def test_newer_rules_of_another_process_are_left_alone(
    units: UnitsOfWork, database: Database
) -> None:
    """Two schedulers with different packages do not undo each other's work."""
    owe(units)
    with units.begin(actor="test") as work:
        work.connection.execute(update(remittance_rows).values(due_rules="2999a"))
    with database.read() as connection:
        assert [] == rescheduling.outdated(connection)


def test_a_row_that_moved_meanwhile_is_not_resolved_again(
    units: UnitsOfWork, database: Database
) -> None:
    """Found outdated, then rescheduled or paid: the guard lets it be."""
    _, row = owe(units)
    with units.begin(actor="test") as work:
        work.connection.execute(update(remittance_rows).values(due_rules="2025b"))
        found = rescheduling.outdated(work.connection)
    move(units, row["id"])
    before = dump(database)
    with units.begin(actor="test") as work:
        assert [] == rescheduling.resolve_again(work, found)
    assert before == dump(database)
