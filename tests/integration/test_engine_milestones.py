"""Milestones on both databases: one outcome each, whoever looks and however late."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from engine import milestones, remittances, wallets
from engine.database import Database
from engine.errors import NotFound
from engine.settlement_tables import milestones as milestone_rows
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, dump, place, raised
from tests.conftest import START

#: The first remittance (R to D) is due at the end of 9 March, delivered on the 2nd at 09:30.
DUE_AT = datetime.fromisoformat("2026-03-10T00:00:00+00:00")


def delivered(units: UnitsOfWork) -> tuple[Chain, str]:
    """Return a chain with one delivered order: R owes D, D owes S a day later."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    return chain, order_id


def look(units: UnitsOfWork, as_of: datetime) -> dict[str, str]:
    """Give every due milestone its outcome, as the reconciler does."""
    with units.begin(actor="reconciler", source="reconciler") as work:
        ids = [row["id"] for row in milestones.due(work.connection, as_of)]
        return milestones.emit_many(work, ids, as_of)


def look_and_die(units: UnitsOfWork) -> None:
    """Emit what is due, and fail before the commit."""
    with units.begin(actor="reconciler") as work:
        ids = [row["id"] for row in milestones.due(work.connection, DUE_AT)]
        assert 1 / (len(milestones.emit_many(work, ids, DUE_AT)) - len(ids))


def heard(database: Database, tenant_id: str, name: str) -> list[dict[str, Any]]:
    """Return a tenant's remittance events of one type."""
    with database.read() as connection:
        return raised(connection, tenant_id, f"remittance.{name}")


def test_each_remittance_gets_its_rows(units: UnitsOfWork, database: Database) -> None:
    """Payer at T-3, payer and payee at T+0: three rows for each of two remittances."""
    delivered(units)
    with database.read() as connection:
        rows = connection.execute(select(milestone_rows)).mappings().all()
        assert [] == milestones.due(connection, START)
    assert ["T+0"] * 4 + ["T-3"] * 2 == sorted(row["code"] for row in rows)


def test_due_and_overdue_are_told_once(units: UnitsOfWork, database: Database) -> None:
    """T-3 goes to the payer, T+0 to both; looking twice tells nothing twice."""
    chain, _ = delivered(units)
    first = DUE_AT - timedelta(days=3)
    assert ["emitted"] == list(look(units, first).values())
    assert {} == look(units, first)
    due = heard(database, chain.r, "due")
    assert [("T-3", 3, False)] == [(e["milestone"], e["days_until_due"], e["late"]) for e in due]
    assert [] == heard(database, chain.d, "due")
    look(units, DUE_AT)
    look(units, DUE_AT)
    for tenant, direction in ((chain.r, "outgoing"), (chain.d, "incoming")):
        found = heard(database, tenant, "overdue")
        assert [(0, direction)] == [(e["days_overdue"], e["direction"]) for e in found]
    with database.read() as connection:
        late = remittances.listing(connection, overdue=True)
    assert [(DUE_AT, "pending")] == [(row["overdue_since"], row["status"]) for row in late]


def test_after_a_long_downtime_only_overdue_is_told(units: UnitsOfWork, database: Database) -> None:
    """Ten days unseen: the reminders are superseded, not sent stale."""
    chain, _ = delivered(units)
    outcomes = list(look(units, DUE_AT + timedelta(days=10)).values())
    assert (4, 2) == (outcomes.count("emitted"), outcomes.count("superseded"))
    assert [] == heard(database, chain.r, "due")
    assert heard(database, chain.r, "overdue")[0]["late"]


def test_payment_cancels_what_is_pending(units: UnitsOfWork, database: Database) -> None:
    """Paid in time, nothing is ever due."""
    chain, order_id = delivered(units)
    with units.begin(actor="test") as work:
        for tenant in (chain.r, chain.d):
            wallets.set_credit_limit(work, tenant, 10**9)
        for row in remittances.listing(work.connection, order_id=order_id):
            remittances.process(work, row["id"])
    before = dump(database)
    assert {} == look(units, DUE_AT + timedelta(days=90))
    assert before == dump(database)
    with database.read() as connection:
        outcomes = connection.execute(select(milestone_rows.c.outcome)).scalars().all()
    assert {"cancelled"} == set(outcomes)


def test_a_late_payer_can_still_pay(units: UnitsOfWork, database: Database) -> None:
    """Overdue is a flag: the remittance is pending and is processed."""
    chain, order_id = delivered(units)
    look(units, DUE_AT)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 13800)
        row = remittances.listing(work.connection, order_id=order_id, overdue=True)[0]
        done = remittances.process(work, row["id"])["remittance"]
    assert ("completed", DUE_AT) == (done["status"], done["overdue_since"])
    completed = heard(database, chain.r, "completed")[0]
    assert (13800, -13800) == (completed["amount_minor"], completed["new_balance_minor"])


def test_one_at_a_time(units: UnitsOfWork, database: Database) -> None:
    """``emit`` tells the outcome of one; before its instant it is pending; unknown is not found."""
    chain, _ = delivered(units)
    with database.read() as connection:
        row = milestones.due(connection, DUE_AT - timedelta(days=3))[0]
    with units.begin(actor="test") as work:
        assert "pending" == milestones.emit(work, row["id"], START)
        assert "emitted" == milestones.emit(work, row["id"], DUE_AT - timedelta(days=3))
        assert "emitted" == milestones.emit(work, row["id"], DUE_AT)
        with pytest.raises(NotFound):
            milestones.emit(work, chain.r, DUE_AT)
    with database.read() as connection:
        query = select(milestone_rows).where(milestone_rows.c.id == row["id"])
        stored = connection.execute(query).mappings().one()
    assert stored["event_id"] is not None
    assert stored["outcome_at"] == START


def test_events_are_dropped_with_their_outcome(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """A crash before the commit leaves the row pending and the event unraised, together."""
    chain, _ = delivered(units)
    clock.set(DUE_AT)
    before = dump(database)
    with pytest.raises(ZeroDivisionError):
        look_and_die(units)
    assert before == dump(database)
    look(units, DUE_AT)
    assert 1 == len(heard(database, chain.r, "overdue"))
