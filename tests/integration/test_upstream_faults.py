"""Upstream platforms that fail, contradict or talk nonsense: nothing moves, and it is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher.hints import NoHints
from engine import orders, products
from engine.database import Database
from engine.order_tables import chain_orders
from engine.unit_of_work import UnitsOfWork
from reconciler import upstreams
from reconciler.runner import Runner
from reconciler.upstream_applying import apply
from reconciler.upstream_reading import Reading
from tests.chains import Chain, place
from tests.platforms import says
from tests.polling import GUARD, chain_order, scene


@pytest.mark.fault("F55", "F56")
@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (chain_order("accepted"), "behind"),
        (b"<html>maintenance</html>", "unreadable"),
        (chain_order("no_such"), "unreadable"),
        (chain_order("delivered", id="another"), "other_order"),
        ({"schema": 2}, "unreadable"),
    ],
)
def test_what_does_not_fit_moves_nothing(units: UnitsOfWork, document: Any, problem: str) -> None:
    """A state that went back, another page, another order: noted for K02, and nothing else."""
    with scene(units, says(document)) as it:
        with units.begin(actor="test") as work:
            for _ in range(2):
                orders.forward(work, it.order_id)
            orders.accept(work, it.order_id)
            orders.ship(work, it.order_id, tracking_number="T", carrier="c")
        it.poll.run_once()
        assert ("shipped", problem) == (it.status, it.seen["problem"])
        runner = Runner(units, NoHints())
        [run] = runner.run(["K02"], actor="test")
        assert (1, 0) == (run["found"], run["healed"])


@pytest.mark.fault("F55")
def test_an_order_unknown_upstream_is_told(units: UnitsOfWork) -> None:
    """404 is a discrepancy, not a cancellation."""
    with scene(units, says({}, status=404)) as it:
        it.poll.run_once()
        assert ("pending_forward", "unknown") == (it.status, it.seen["problem"])


def test_a_step_that_is_refused_here_is_tried_again(units: UnitsOfWork, clock: FixedClock) -> None:
    """No stock: K01 says so; once there is, the next look goes on though nothing changed there."""
    with scene(units, says(chain_order("accepted"), etag='"v1"')) as it:
        with units.begin(actor="test") as work:
            orders_elsewhere = build_stock(work, it.chain, 0)
        it.poll.run_once()
        assert ("forwarded", "refused") == (it.status, it.seen["problem"])
        [run] = Runner(units, NoHints()).run(["K01.upstream"], actor="test")
        assert 1 == run["found"]
        with units.begin(actor="test") as work:
            build_stock(work, it.chain, orders_elsewhere)
        clock.advance(timedelta(minutes=1))
        it.poll.run_once()
        assert ("accepted", None) == (it.status, it.seen["problem"])


@pytest.mark.fault("F55")
def test_an_answer_that_shrank_is_believed_the_second_time(
    units: UnitsOfWork, clock: FixedClock
) -> None:
    """Half of an answer may be a broken page; the same again is the truth."""
    long = chain_order("accepted", note="x" * 500)
    answers = [orjson.dumps(long), *[orjson.dumps(chain_order("shipped"))] * 2]
    with scene(units, lambda _: (200, {}, answers.pop(0))) as it:
        found = []
        for _ in range(3):
            it.poll.run_once()
            found.append((it.status, it.seen["problem"]))
            clock.advance(timedelta(minutes=1))
    assert [("accepted", None), ("accepted", "shrunk"), ("shipped", None)] == found


@pytest.mark.fault("F55")
@pytest.mark.parametrize("status", [429, 500, 503])
def test_retry_after_is_respected(units: UnitsOfWork, clock: FixedClock, status: int) -> None:
    """An upstream that says when to come back is asked nothing before."""
    with scene(units, says({}, status=status, retry_after="600")) as it:
        it.poll.run_once()
        clock.advance(timedelta(seconds=599))
        assert 0 == it.poll.run_once()
        clock.advance(timedelta(seconds=1))
        assert 1 == it.poll.run_once()
        assert "pending_forward" == it.status


@pytest.mark.fault("F55")
def test_a_dead_upstream_opens_its_circuit(units: UnitsOfWork, clock: FixedClock) -> None:
    """Five failures, then one probe after half a minute, a minute, two; it recovers at once."""
    with scene(units, says({}, status=500)) as it:
        tries = []
        for _ in range(5):
            tries.append(it.poll.run_once())
            clock.advance(timedelta(minutes=2))
        assert [1] * 5 == tries
        blocked = it.platform_row()["blocked_until"]
        assert blocked is not None
        it.served.answer = says(chain_order("accepted"))
        clock.set(blocked + timedelta(minutes=2))
        assert 1 == it.poll.run_once()
        assert ("accepted", None) == (it.status, it.platform_row()["blocked_until"])


@pytest.mark.fault("F55")
def test_a_wrong_token_is_not_tried_over_and_over(units: UnitsOfWork) -> None:
    """401 blocks the upstream for a quarter of an hour, and says why."""
    with scene(units, says({}, status=401)) as it:
        it.poll.run_once()
        assert "http_401" == it.platform_row()["last_error"]
        assert 0 == it.poll.run_once()


def build_stock(work: Any, chain: Chain, quantity: int) -> int:
    """Set the stock of the chain's product and return what it was."""
    before = products.get(work.connection, chain.product_id)["stock_quantity"]
    products.update(work, chain.product_id, {"stock_quantity": quantity})
    return int(before)


@pytest.mark.parametrize("status", ["processing", "delivered", "cancelled"])
def test_an_upstream_moves_only_what_its_own_tenant_fulfils(
    units: UnitsOfWork, database: Database, status: str
) -> None:
    """The middle's upstream cannot move an order that went past it, nor one the top fulfils."""
    with scene(units, says(chain_order(status))) as it:
        with units.begin(actor="test") as work:
            middle = upstreams.create(
                work,
                GUARD,
                tenant_id=it.chain.d,
                name="Beside",
                kind="chain_order",
                base_url=it.served.url,
            )["id"]
        other = place(units, it.chain, number="ORD-2")
        with units.begin(actor="test") as work:
            upstreams.link(work, middle, other, "u-1")
            orders.forward(work, other)
            orders.forward(work, other)
        for accepted in (False, True):
            if accepted:
                with units.begin(actor="test") as work:
                    orders.accept(work, other)
            before = order_states(database)
            linked = linked_row(database, other)
            assert 0 == apply(units, linked, Reading(status))
            assert before == order_states(database)
            assert "refused" == linked_row(database, other)["problem"]


def test_a_validator_that_cannot_be_sent_back_is_not_kept(
    units: UnitsOfWork, clock: FixedClock
) -> None:
    """An ETag outside ASCII stops nobody: the next request is simply not conditional."""
    answer = orjson.dumps(chain_order("accepted"))
    with scene(units, lambda _: (200, {"etag": '"\xe9"'}, answer)) as it:
        it.poll.run_once()
        clock.advance(timedelta(minutes=1))
        assert 1 == it.poll.run_once()
        assert "if-none-match" not in it.served.asked[1].headers


def order_states(database: Database) -> list[tuple[str, str]]:
    """Return every order's state."""
    with database.read() as connection:
        rows = connection.execute(select(chain_orders.c.id, chain_orders.c.chain_status))
        return sorted((row.id, row.chain_status) for row in rows)


def linked_row(database: Database, order_id: str) -> dict[str, Any]:
    """Return what is known of an order upstream."""
    with database.read() as connection:
        return upstreams.order_of(connection, order_id)
