"""Upstream platforms polled over HTTP: their state becomes ours, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher.errors import EndpointUrlRefused
from engine.database import Database
from engine.errors import AlreadyExists, InvalidInput, InvalidStatus, NotFound
from engine.order_tables import order_log
from engine.unit_of_work import UnitsOfWork
from reconciler import upstreams
from tests.chains import dump, place, raised
from tests.platforms import Asked, says
from tests.polling import GUARD, TOKEN, chain_order, scene


def test_an_upstream_that_is_ahead_is_followed_step_by_step(
    units: UnitsOfWork, database: Database
) -> None:
    """Every missing transition is made by its own name, told to all, and settles the cash."""
    with scene(units, says(chain_order("delivered"))) as it:
        assert 1 == it.poll.run_once()
        assert "delivered" == it.status
        with database.read() as connection:
            log = connection.execute(select(order_log).order_by(order_log.c.seq)).mappings().all()
            told = raised(connection, it.chain.r, "chain_order.status_changed")
    steps = ["forward", "forward", "accept", "ship", "deliver"]
    assert steps == [row["action"] for row in log][-5:]
    assert {"upstream"} == {row["source"] for row in log[-5:]}
    assert ["forwarded", "forwarded", "accepted", "shipped", "delivered"] == [
        each["status"] for each in told
    ]
    assert "DEL1" == told[3]["shipping"]["tracking_number"]


def test_what_is_asked_is_what_the_documents_say(units: UnitsOfWork) -> None:
    """Path, bearer token and tenant of document 001; the bare token of document 000."""
    with scene(units, says(chain_order("accepted")), x_tenant="t-9") as it:
        it.poll.run_once()
        [asked] = it.served.asked
    assert "/api/v1/chain-orders/u-1" == asked.path
    assert (f"Bearer {TOKEN}", "t-9") == (asked.headers["authorization"], asked.headers["x-tenant"])


def test_document_000_brings_the_codes(units: UnitsOfWork, database: Database) -> None:
    """Status 1 delivers the line with its data, and the reseller is called back with them."""
    detail = {"OrderDetailID": "u-1", "Status": 1, "DeliveryData": ["code-1"], "DeliveryNote": "n"}
    with scene(units, says(detail), kind="order_detail") as it:
        it.poll.run_once()
        assert "delivered" == it.status
        assert TOKEN == it.served.asked[0].headers["authorization"]
        with database.read() as connection:
            told = raised(connection, it.chain.r, "order.line_updated")
    assert [(1, ["code-1"], "n")] == [
        (each["status"], each["delivery_data"], each["delivery_note"])
        for each in told
        if each["status"] == 1
    ]


def test_document_003_is_followed(units: UnitsOfWork) -> None:
    """Its execution status moves the order."""
    with scene(units, says({"orderId": "u-1", "status": "InProgress"}), kind="execution") as it:
        it.poll.run_once()
        assert "processing" == it.status
        assert "/api/v1/api/orders/u-1/execute/status" == it.served.asked[0].path


def test_an_unchanged_order_costs_a_conditional_request(
    units: UnitsOfWork, clock: FixedClock
) -> None:
    """The validator goes back, 304 changes nothing, and the next look is a minute away."""

    def answer(asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
        if asked.headers.get("if-none-match") == '"v1"':
            return 304, {"etag": '"v1"'}, b""
        return 200, {"etag": '"v1"'}, orjson.dumps(chain_order("accepted"))

    with scene(units, answer) as it:
        assert [1, 0] == [it.poll.run_once(), it.poll.run_once()]
        clock.advance(timedelta(seconds=59))
        assert 0 == it.poll.run_once()
        clock.advance(timedelta(seconds=1))
        assert 1 == it.poll.run_once()
        assert '"v1"' == it.served.asked[1].headers["if-none-match"]
        assert "accepted" == it.status


def test_a_budget_is_kept_and_what_moves_comes_first(units: UnitsOfWork, clock: FixedClock) -> None:
    """Ten a minute are ten a minute, however many are due and whoever asks."""

    def answer(asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
        reference = asked.path.rpartition("/")[2]
        return 200, {}, orjson.dumps(chain_order("forwarded", id=reference))

    with scene(units, answer, requests_per_minute=10) as it:
        for number in range(30):
            order_id = place(units, it.chain, number=f"ORD-{number + 2}")
            with units.begin(actor="test") as work:
                upstreams.link(work, it.upstream_id, order_id, f"other-{number}")
        asked = [it.poll.run_once() for _ in range(3)]
        clock.advance(timedelta(minutes=1))
        asked.append(it.poll.run_once())
    assert [10, 0, 0, 10] == asked


def test_a_paused_upstream_is_asked_nothing(units: UnitsOfWork) -> None:
    """Until it is resumed; twice is refused."""
    with scene(units, says(chain_order("accepted"))) as it:
        with units.begin(actor="test") as work:
            upstreams.pause(work, it.upstream_id)
        assert 0 == it.poll.run_once()
        with pytest.raises(InvalidStatus), units.begin(actor="test") as work:
            upstreams.pause(work, it.upstream_id)
        with units.begin(actor="test") as work:
            upstreams.resume(work, it.upstream_id)
        assert 1 == it.poll.run_once()


def test_bad_upstreams_and_links_are_refused(units: UnitsOfWork, database: Database) -> None:
    """Each by its field, and no row of any table differs."""
    with scene(units, says(chain_order("accepted"))) as it:
        good: dict[str, Any] = {"tenant_id": it.chain.s, "name": "n", "kind": "chain_order"}
        good["base_url"] = it.served.url
        before = dump(database)
        for changes, refusal in (
            ({"kind": "soap"}, InvalidInput),
            ({"base_url": "http://169.254.169.254/"}, EndpointUrlRefused),
            ({"path": "/orders"}, InvalidInput),
            ({"path": "orders/{reference}"}, InvalidInput),
            ({"token": "two\r\nlines"}, InvalidInput),
            ({"callback_signature": "standard"}, InvalidInput),
            ({"callback_signature": "standard", "callback_secret": "short"}, InvalidInput),
            ({"requests_per_minute": 0}, InvalidInput),
            ({"tenant_id": it.order_id}, NotFound),
        ):
            with pytest.raises(refusal), units.begin(actor="test") as work:
                upstreams.create(work, GUARD, **{**good, **changes})
        for order_id, reference, refused in (
            (it.order_id, "another", AlreadyExists),
            (it.chain.s, "new", NotFound),
            (it.order_id, "", InvalidInput),
        ):
            with pytest.raises(refused), units.begin(actor="test") as work:
                upstreams.link(work, it.upstream_id, order_id, reference)
        assert before == dump(database)


def test_no_secret_is_shown_or_stored_in_the_clear(units: UnitsOfWork, database: Database) -> None:
    """The token is sealed at rest and in no answer."""
    with scene(units, says(chain_order("accepted"))) as it:
        assert TOKEN not in repr(it.platform_row())
        assert TOKEN not in repr(dump(database))
