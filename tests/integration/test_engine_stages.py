"""Drafts and orders side by side on both databases, as document 003 lists them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config.clock import FixedClock
from engine import drafts, orders, stages
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain
from tests.conftest import START
from tests.drafting import make_draft

WEEK = timedelta(hours=168)


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


def test_stages_list_what_document_003_says(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """Confirmed leaves out drafts and what the reseller cancelled; All leaves out what expired."""
    expired, draft = make_draft(units, chain), None
    clock.advance(timedelta(days=1))
    draft, placed, cancelled = (make_draft(units, chain) for _ in range(3))
    with units.begin(actor="test") as work:
        for draft_id in (placed, cancelled):
            drafts.checkout(work, draft_id)
        orders.cancel(work, cancelled, reason="changed my mind")
    clock.set(START + WEEK)
    expected = {
        "Confirmed": [(placed, "Confirmed", "pending_forward")],
        "Draft": [(draft, "Draft", "draft")],
    }
    by_reseller = (cancelled, "Cancelled by Reseller", "cancelled")
    expected["All"] = [by_reseller, *expected["Confirmed"], *expected["Draft"]]
    with database.read() as connection:
        for stage, rows in expected.items():
            listed, total = stages.listing(connection, clock.now(), tenant_id=chain.r, stage=stage)
            assert rows == [(row["id"], row["stage"], row["status"]) for row in listed]
            assert len(rows) == total
            assert {15500} == {row["total_minor"] for row in listed}
            assert {chain.r} == {row["account_id"] for row in listed}
            assert ([], 0) == stages.listing(
                connection, clock.now(), tenant_id=chain.d, stage=stage
            )
        page, total = stages.listing(connection, clock.now(), stage="All", limit=1, offset=1)
        assert ([placed], 3) == ([row["id"] for row in page], total)
        assert expired not in {row["id"] for row in page}
