"""Keys at rest on both databases: a key is retired, even when sealing anew is cut short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from config.clock import FixedClock
from dispatcher import endpoints, resealing
from dispatcher.due import endpoint_rows
from dispatcher.endpoints import EndpointGuard
from dispatcher.resealing import reseal, usage, waiting
from dispatcher.signer import open_signers
from dispatcher.tables import endpoint_secrets
from engine import invitations, relationships, stock_items
from engine.database import Database
from engine.errors import SecretUnreadable
from engine.sealing import KeyRing
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump, top_up
from tests.dispatching import POLICY, Dispatching, dispatching
from tests.reselling import EMAIL, add_serials, allocated, build_shop

URL = "http://127.0.0.1:9/hook"
OLD, NEW = b"k" * 32, b"n" * 32  # tests.dispatching seals with the first
OLD_RING, BOTH, NEW_RING = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
CREDENTIALS: dict[str, Any] = {
    "profile": "flat",
    "signatures": ["v1", "v1a"],
    "apikey": "a" * 32,
    "headers": {"X-Token": "t"},
}


class CutShortError(Exception):
    """Stands for a process that ends in the middle."""


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def headers_by(dispatch: Dispatching, ring: KeyRing, made: list[dict[str, Any]]) -> list[Any]:
    """Return the headers that a process with these keys would send from each endpoint."""
    with dispatch.database.read() as connection:
        rows = endpoint_rows(connection, [each["id"] for each in made]).values()
        signers = open_signers(connection, ring, rows, dispatch.clock.now())
    now = dispatch.clock.now()
    return [
        signers[each["id"]].headers(message_id="m", event="webhook.test", body=b"{}", now=now)
        for each in made
        if each["id"] in signers
    ]


def counts(dispatch: Dispatching, ring: KeyRing) -> list[tuple[str, int, int]]:
    """Return state, secrets and headers of each key."""
    with dispatch.database.read() as connection:
        rows = usage(connection, ring)
    return [(row["state"], row["secrets"], row["headers"]) for row in rows]


def test_the_old_key_can_be_removed_afterwards(dispatch: Dispatching) -> None:
    """Everything opens with the new key alone, and the calls are the same to the byte."""
    tenant_id = dispatch.tenant()
    made = [dispatch.endpoint(tenant_id, URL, **CREDENTIALS) for _ in range(3)]
    before = headers_by(dispatch, OLD_RING, made)
    assert [] == headers_by(dispatch, NEW_RING, made)
    assert [("seals", 0, 0), ("opens", 9, 3)] == counts(dispatch, BOTH)

    done = reseal(dispatch.database, BOTH)

    assert (12, []) == (done.resealed, done.unreadable)
    assert [("seals", 9, 3), ("opens", 0, 0)] == counts(dispatch, BOTH)
    assert before == headers_by(dispatch, NEW_RING, made)
    assert [("seals", 0, 0), ("missing", 9, 3)] == counts(dispatch, OLD_RING)


def test_a_second_run_changes_nothing(dispatch: Dispatching) -> None:
    """What the first key sealed already is passed over."""
    dispatch.endpoint(dispatch.tenant(), URL, **CREDENTIALS)
    assert 4 == reseal(dispatch.database, BOTH).resealed
    before = dump(dispatch.database)
    assert 0 == reseal(dispatch.database, BOTH).resealed
    assert before == dump(dispatch.database)


def test_it_may_be_cut_short_and_run_again(
    dispatch: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that are done stay done, everything opens in between, and the rest follows."""
    monkeypatch.setattr(resealing, "BATCH_ROWS", 2)
    tenant_id = dispatch.tenant()
    made = [dispatch.endpoint(tenant_id, URL, **CREDENTIALS) for _ in range(3)]
    heard: list[int] = []

    def cut(rows: int) -> None:
        heard.append(rows)
        if len(heard) == 2:
            raise CutShortError

    with pytest.raises(CutShortError):
        reseal(dispatch.database, BOTH, advance=cut)
    assert [("seals", 4, 0), ("opens", 5, 3)] == counts(dispatch, BOTH)
    assert 3 == len(headers_by(dispatch, BOTH, made))
    with dispatch.database.read() as connection:
        assert 8 == waiting(connection, BOTH)

    heard.clear()
    assert 8 == reseal(dispatch.database, BOTH, advance=heard.append).resealed
    assert [2, 2, 1, 2, 1] == heard
    assert 3 == len(headers_by(dispatch, NEW_RING, made))


def test_what_changes_meanwhile_is_left_as_it_is(
    dispatch: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret rotated, headers replaced and an endpoint deleted between read and write stay so."""
    tenant_id = dispatch.tenant()
    changed, gone = (dispatch.endpoint(tenant_id, URL, **CREDENTIALS) for _ in range(2))
    guard = EndpointGuard(POLICY, OLD_RING)
    done: list[str] = []

    def rows_then_change(*given: Any) -> Any:
        found = list(batches(*given))
        if not done:
            done.append("changed")
            with dispatch.units.begin(actor="test") as work:
                endpoints.change(work, guard, changed["id"], headers={"X-Token": "other"})
                endpoints.delete(work, gone["id"])
        return iter(found)

    batches = resealing._batches
    monkeypatch.setattr(resealing, "_batches", rows_then_change)
    reseal(dispatch.database, BOTH)
    reseal(dispatch.database, BOTH)
    [sent] = headers_by(dispatch, NEW_RING, [changed, gone])
    assert (b"X-Token", b"other") in sent


def test_what_cannot_be_opened_is_told_and_the_rest_is_sealed_anew(dispatch: Dispatching) -> None:
    """A damaged row stays for a rotation to replace; it stops neither this run nor the next."""
    tenant_id = dispatch.tenant()
    made = [dispatch.endpoint(tenant_id, URL) for _ in range(3)]
    with dispatch.database.write() as connection:
        connection.execute(
            update(endpoint_secrets)
            .where(endpoint_secrets.c.endpoint_id == made[1]["id"])
            .values(ciphertext=b"damaged")
        )
    for resealed in (2, 0):
        done = reseal(dispatch.database, BOTH)
        assert (resealed, 1) == (done.resealed, len(done.unreadable))
        assert "altered" in done.unreadable[0]
    assert 2 == len(headers_by(dispatch, NEW_RING, made))


def test_nothing_sealed_is_no_work(dispatch: Dispatching) -> None:
    """An empty installation has keys and nothing under them."""
    assert (0, []) == (reseal(dispatch.database, BOTH).resealed, [])
    assert [("seals", 0, 0), ("opens", 0, 0)] == counts(dispatch, BOTH)


def test_serials_and_emails_are_sealed_anew(units: UnitsOfWork, database: Database) -> None:
    """What resellers bought and whom merchants invited opens with the new key alone afterwards."""
    shop = build_shop(units)
    add_serials(units, shop, 3)
    top_up(units, shop.reseller, 50_000)
    allocated(units, shop, 2)
    assert 4 == reseal(database, BOTH).resealed
    with database.read() as connection:
        bound = relationships.get(connection, shop.relationship)
        ids = [item["id"] for item in stock_items.listing(connection, bound)]
        assert 2 == len(stock_items.serials_of(connection, NEW_RING, bound, ids))
        [invitation] = invitations.listing(connection)
        assert EMAIL == invitations.email_of(connection, NEW_RING, invitation)
        with pytest.raises(SecretUnreadable):
            stock_items.serials_of(connection, OLD_RING, bound, ids)
