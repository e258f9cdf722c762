"""Looking at manifests on both databases: pages, filters, and one with its events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from config.clock import FixedClock
from dispatcher import manifest_views
from dispatcher.manifest_proof import Manifest, check_manifests, check_received
from dispatcher.signing import decode_secret
from engine.database import Database
from engine.errors import InvalidInput, NotFound
from engine.ids import new_id
from engine.tables import events
from tests.dispatching import Dispatching, dispatching
from tests.proofs import body_hashes, due, listed, make

URL = "http://127.0.0.1:9/hook"
MONDAY = date(2026, 3, 2)
DAY = timedelta(days=1)


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def test_one_manifest_lists_the_events_it_stands_for(dispatch: Dispatching) -> None:
    """With the list a receiver proves that nothing is missing; after a purge there is none."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    ids = due(dispatch, endpoint["tenant_id"], 4)
    dispatch.clock.advance(DAY)
    make(dispatch)
    shown = manifest_views.show(dispatch.database, endpoint["id"].upper(), MONDAY)
    manifest = Manifest.read(shown)
    received: dict[str, set[str | None]] = {
        event_id: {sha} for event_id, sha in body_hashes(dispatch, ids).items()
    }
    assert [] == check_manifests([manifest], [decode_secret(endpoint["secret"])])
    assert [] == check_received([manifest], received)
    del received[ids[2]]
    assert [("missing", ids[2])] == [
        (each.kind, each.event_id) for each in check_received([manifest], received)
    ]
    with dispatch.database.write() as connection:
        connection.execute(events.update().values(body=b""))
    assert manifest_views.show(dispatch.database, endpoint["id"], MONDAY)["events"] is None


def test_a_list_goes_on_after_its_cursor_and_is_narrowed(dispatch: Dispatching) -> None:
    """Pages of two give every line once; days, endpoint and tenant narrow it."""
    mine, other = dispatch.tenant("mine"), dispatch.tenant("other")
    first = dispatch.endpoint(mine, URL)["id"]
    second = dispatch.endpoint(other, URL)["id"]
    dispatch.clock.advance(3 * DAY)
    make(dispatch)
    found, after = [], None
    with dispatch.database.read() as connection:
        while True:
            page = manifest_views.listing(connection, limit=2, after=after)
            found += [(line["endpoint_id"], line["day"]) for line in page["data"]]
            after = page["next_cursor"]
            if after is None:
                break
    days = ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert [(each, day) for each in (first, second) for day in days] == found
    assert {first} == {line["endpoint_id"] for line in listed(dispatch, tenant_id=mine)}
    narrowed = listed(dispatch, endpoint_id=second, since=MONDAY + DAY, until=MONDAY + DAY)
    assert [(second, "2026-03-03")] == [(line["endpoint_id"], line["day"]) for line in narrowed]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"endpoint_id": "x"}, "endpoint_id"),
        ({"after": "x"}, "after"),
        ({"after": "x_2026-03-02"}, "after"),
        ({"after": f"{new_id()}_2026-13-02"}, "after"),
    ],
)
def test_a_wrong_filter_is_named(
    dispatch: Dispatching, options: dict[str, Any], field: str
) -> None:
    """Each refusal names its field."""
    with pytest.raises(InvalidInput) as refused:
        listed(dispatch, **options)
    assert field == refused.value.details["field"]


def test_a_manifest_that_is_not_is_not_found(dispatch: Dispatching) -> None:
    """Neither an unknown endpoint, nor an open day, nor another tenant's line is shown."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    dispatch.clock.advance(DAY)
    make(dispatch)
    for endpoint_id, day, tenant_id in (
        (new_id(), MONDAY, None),
        ("x", MONDAY, None),
        (endpoint["id"], MONDAY + DAY, None),
        (endpoint["id"], MONDAY, dispatch.tenant("other")),
    ):
        with pytest.raises(NotFound):
            manifest_views.show(dispatch.database, endpoint_id, day, tenant_id=tenant_id)
