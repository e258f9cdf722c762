"""Many rows at once on both databases: what is free goes in, exactly as it would one by one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from engine import tenants, upserts
from engine.database import Database
from engine.events import EventDraft, record
from engine.tables import events, outbox
from engine.unit_of_work import UnitsOfWork

MANY = 2 * upserts.COPY_ROWS_MIN
ODD = 'a"b\\c\n\t\u2028\x7f é ↯ \U0001f514 %s :x {}'


def drafts(tenant_id: str, numbers: range) -> list[EventDraft]:
    """Return events whose texts try every way of writing text."""
    return [
        EventDraft(
            tenant_id=tenant_id,
            type="webhook.test",
            data={"number": number, ODD: ODD},
            subject_id=ODD,
            dedupe_key=f"{ODD} {number}",
            raised_by=ODD,
        )
        for number in numbers
    ]


def rows(database: Database) -> dict[str, dict[str, Any]]:
    """Return all events by their key, without what each insert makes anew."""
    with database.read() as connection:
        found = [dict(row) for row in connection.execute(select(events)).mappings()]
    return {
        row["dedupe_key"]: {name: row[name] for name in row if name not in {"id", "body"}}
        | {"body": row["body"].replace(row["id"].encode(), b"")}
        for row in found
    }


@pytest.fixture
def tenant_id(units: UnitsOfWork) -> str:
    """Return a tenant."""
    with units.begin(actor="test") as work:
        return str(tenants.create(work, name="one")["id"])


def test_many_events_are_stored_as_a_few_are(
    database: Database, clock: FixedClock, tenant_id: str
) -> None:
    """Every column comes back the same whichever way it went in."""
    many = drafts(tenant_id, range(MANY))
    with database.write() as connection:
        at_once = record(connection, many, clock.now())
    stored = rows(database)
    assert [draft.id for draft in many] == at_once
    with database.write() as connection:
        connection.execute(outbox.delete())
        connection.execute(events.delete())
    for draft in drafts(tenant_id, range(MANY)):
        with database.write() as connection:
            record(connection, [draft], clock.now())
    for key, row in rows(database).items():
        assert {**row, "position": 0} == {**stored[key], "position": 0}


def test_of_many_events_only_the_new_ones_go_in(
    database: Database, clock: FixedClock, tenant_id: str
) -> None:
    """Raised before, a key keeps its event and its id; each new one waits for the relay once."""
    first = drafts(tenant_id, range(MANY // 2))
    both = drafts(tenant_id, range(MANY))
    with database.write() as connection:
        record(connection, first, clock.now())
        ids = record(connection, both, clock.now())
    expected = [draft.id for draft in first] + [draft.id for draft in both[MANY // 2 :]]
    assert expected == ids
    with database.read() as connection:
        assert set(ids) == set(connection.execute(select(outbox.c.event_id)).scalars())
