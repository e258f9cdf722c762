"""Callbacks from upstream platforms: proven, taken once, and passed on to our own resellers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher import shoppex
from dispatcher.endpoints import EndpointGuard
from dispatcher.errors import SignatureRefused
from dispatcher.signing import decode_secret, signature_header
from engine import orders
from engine.database import Database
from engine.errors import NotFound
from engine.order_rows import get as order_row
from engine.sealing import KeyRing
from engine.unit_of_work import UnitsOfWork
from engine.upstream_tables import inbound_messages
from reconciler import upstreams
from reconciler.retention import inbound_step
from reconciler.upstream_inbound import InboundCallbacks, Outcome
from reconciler.upstream_reading import UnreadableAnswer
from tests.chains import Chain, build_chain, dump, place, raised
from tests.dispatching import POLICY, dispatching
from tests.http_interface import Caller, serving

KEYRING = KeyRing([b"k" * 32])
SECRET = "whsec_" + "QUFB" * 10 + "QUE="


class Scene:
    """A chain whose top hears from an upstream about one order."""

    def __init__(
        self,
        units: UnitsOfWork,
        signature: str = "standard",
        secret: str = SECRET,
        reference: str = "55501",
    ) -> None:
        self.units, self.secret, self.signature = units, secret, signature
        self.chain: Chain = build_chain(units)
        item = {"sku": "PROD-001", "quantity": 1, "unit_price": 155.00, "order_detail_id": 55501}
        self.order_id = place(units, self.chain, items=[item])
        with units.begin(actor="test") as work:
            self.upstream_id = upstreams.create(
                work,
                EndpointGuard(POLICY, KEYRING),
                tenant_id=self.chain.s,
                name="Above",
                kind="chain_order",
                base_url="http://127.0.0.1:9",
                callback_signature=signature,
                callback_secret=secret,
            )["id"]
            upstreams.link(work, self.upstream_id, self.order_id, reference)
        self.inbound = InboundCallbacks(units.database, units, KEYRING)

    def post(self, document: Any, message_id: str = "m-1", **changes: str) -> Outcome:
        """Post a callback, signed as this upstream signs."""
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        headers = {**self.signed(body, message_id), **changes}
        return self.inbound.receive(self.upstream_id, headers, body)

    def signed(self, body: bytes, message_id: str) -> Mapping[str, str]:
        """Return the headers that prove a body."""
        timestamp = int(datetime(2026, 3, 2, 9, 30, tzinfo=UTC).timestamp())
        if self.signature == "apikey":
            return {"Apikey": self.secret}
        if self.signature == "shoppex":
            made = shoppex.headers(
                decode_secret(self.secret),
                message_id=message_id,
                event="order.line_updated",
                timestamp=timestamp,
                body=body,
            )
            return {name.decode(): value.decode() for name, value in made}
        signature = signature_header([decode_secret(self.secret)], message_id, timestamp, body)
        return {
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(timestamp),
            "Webhook-Signature": signature,
        }

    @property
    def status(self) -> str:
        """Our order's state."""
        with self.units.database.read() as connection:
            return str(order_row(connection, self.order_id)["chain_status"])


def changed(status: str, **more: Any) -> dict[str, Any]:
    """Return document 001's event about the linked order."""
    data = {"chain_order_id": "55501", "status": status, **more}
    return {"event": "chain_order.status_changed", "data": data}


@pytest.mark.parametrize(
    ("signature", "secret"),
    [("standard", SECRET), ("shoppex", SECRET), ("apikey", "static-key-of-document-000")],
)
def test_a_proven_callback_moves_the_order_once(
    units: UnitsOfWork, database: Database, signature: str, secret: str
) -> None:
    """The way up the chain and to the upstream's state, told to all; again changes no row."""
    scene = Scene(units, signature, secret)
    assert Outcome.APPLIED == scene.post(changed("processing"))
    assert "processing" == scene.status
    with database.read() as connection:
        assert (
            "processing"
            == raised(connection, scene.chain.r, "chain_order.status_changed")[-1]["status"]
        )
    before = dump(database)
    again = Outcome.APPLIED if signature == "apikey" else Outcome.SEEN
    assert again == scene.post(changed("processing"))
    if signature != "apikey":  # without an id it is applied again, and only looked at
        assert before == dump(database)
    assert "processing" == scene.status


def test_the_flat_body_of_document_000_is_taken(units: UnitsOfWork, database: Database) -> None:
    """A delivered line brings its codes, and its order to its end."""
    scene = Scene(units, "apikey", "static-key-of-document-000")
    flat = {"DeliverID": "D", "OrderDetailID": 55501, "Status": 1, "DeliveryData": ["code"]}
    assert Outcome.APPLIED == scene.post(flat)
    with database.read() as connection:
        told = raised(connection, scene.chain.r, "order.line_updated")
    assert ("delivered", ["code"]) == (scene.status, told[-1]["delivery_data"])


@pytest.mark.parametrize(
    "changes",
    [
        {"Webhook-Signature": "v1,AAAA"},
        {"Webhook-Timestamp": "1700000000"},
        {"Webhook-Id": "another"},
        {"Webhook-Id": ""},
    ],
)
def test_what_is_not_proven_changes_nothing(
    units: UnitsOfWork, database: Database, changes: dict[str, str]
) -> None:
    """A wrong signature, an old one, another id: refused, every table as it was."""
    scene = Scene(units)
    before = dump(database)
    with pytest.raises(SignatureRefused):
        scene.post(changed("processing"), **changes)
    assert before == dump(database)


@pytest.mark.parametrize("signature", ["shoppex", "apikey"])
def test_other_proofs_are_checked_too(units: UnitsOfWork, signature: str) -> None:
    """A body that was changed, or another key, is refused."""
    secret = SECRET if signature == "shoppex" else "static-key-of-document-000"
    scene = Scene(units, signature, secret)
    headers = dict(scene.signed(b"{}", "m-1"))
    if signature == "apikey":
        headers["Apikey"] = "static-key-of-somebody-else"
    with pytest.raises(SignatureRefused):
        scene.inbound.receive(scene.upstream_id, headers, b'{"OrderDetailID": 55501, "Status": 0}')


def test_what_says_nothing_is_taken_and_forgotten(units: UnitsOfWork, database: Database) -> None:
    """Other events, and orders nobody here knows, are answered well: they would come for ever."""
    scene = Scene(units)
    assert Outcome.NOTHING == scene.post({"event": "wallet.low_balance", "data": {}})
    stranger = changed("shipped", chain_order_id="elsewhere")
    assert Outcome.UNKNOWN_ORDER == scene.post(stranger, "m-2")
    assert "pending_forward" == scene.status
    with pytest.raises(UnreadableAnswer):
        scene.post({"event": "chain_order.status_changed", "data": []}, "m-3")
    with pytest.raises(NotFound):
        scene.inbound.receive(scene.order_id, {}, b"{}")
    with database.write() as connection:
        kept = connection.execute(select(inbound_messages.c.message_id)).scalars().all()
        assert {"m-1"} == set(kept)
        step = inbound_step(timedelta(days=90))
        later = datetime(2026, 7, 2, tzinfo=UTC)
        assert 1 == step.due(connection, later)
        step.batch(connection, later, None)
        assert 0 == step.due(connection, later)


def test_a_message_that_came_too_early_means_something_later(units: UnitsOfWork) -> None:
    """An order that is linked afterwards is moved by the same message."""
    scene = Scene(units)
    item = {"sku": "PROD-001", "quantity": 1, "unit_price": 155.00}
    later = place(units, scene.chain, number="ORD-2", items=[item])
    message = changed("processing", chain_order_id="late")
    assert Outcome.UNKNOWN_ORDER == scene.post(message)
    with units.begin(actor="test") as work:
        upstreams.link(work, scene.upstream_id, later, "late")
    assert Outcome.APPLIED == scene.post(message)


def test_one_line_is_not_an_order_and_two_names_are_not_one(
    units: UnitsOfWork, database: Database
) -> None:
    """A line's end moves no order of several lines; a body that names two orders moves neither."""
    scene = Scene(units)
    items = [{"sku": "PROD-001", "quantity": 1, "unit_price": 155.00} for _ in range(2)]
    many = place(units, scene.chain, number="ORD-2", items=items)
    with units.begin(actor="test") as work:
        upstreams.link(work, scene.upstream_id, many, "many")
    data = {"chain_order_id": "many", "status": 0}
    assert Outcome.NOTHING == scene.post({"event": "order.line_updated", "data": data})
    with pytest.raises(UnreadableAnswer):
        scene.post(changed("cancelled", origin_order_number="many"), "m-2")
    with database.read() as connection:
        found = [order_row(connection, each)["chain_status"] for each in (many, scene.order_id)]
    assert ["pending_forward"] * 2 == found


def test_late_and_early_callbacks_never_turn_the_order_back(units: UnitsOfWork) -> None:
    """Out of order they come; the state only goes on, and what contradicts is a problem."""
    scene = Scene(units)
    for number, status in enumerate(("shipped", "processing", "accepted", "delivered", "shipped")):
        scene.post(changed(status), f"m-{number}")
    assert "delivered" == scene.status
    with units.database.read() as connection:
        assert "behind" == upstreams.order_of(connection, scene.order_id)["problem"]


def test_the_interface_takes_callbacks_and_refuses_by_status(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """200 with document 000's acknowledgement; 401, 400 and 404 in the one shape of refusals."""
    scene = Scene(units)
    body = orjson.dumps(changed("processing"))
    with serving(database, clock, inbound=scene.inbound) as (_, port):
        caller = Caller(port)
        path = f"/api/v1/upstreams/{scene.upstream_id}/callbacks"
        good = caller.post(path, body, scene.signed(body, "m-1"))
        assert (200, True, "OK") == (
            good.status,
            good.document["success"],
            good.document["message"],
        )
        refused = caller.post(path, body, {})
        assert (401, "SIGNATURE_REFUSED") == (refused.status, refused.code)
        signed = scene.signed(b"<html>", "m-2")
        assert 400 == caller.post(path, b"<html>", signed).status
        large = b"x" * (256 * 1024 + 1)
        assert 400 == caller.post(path, large, scene.signed(large, "m-3")).status
        assert 404 == caller.post(path.replace(scene.upstream_id, "x"), body, {}).status
    assert "processing" == scene.status


@pytest.fixture
def above(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Return the database of another installation."""
    template = request.getfixturevalue("_sqlite_template")
    database = Database(f"sqlite:///{shutil.copy(template, tmp_path / 'above.db')}")
    yield database
    database.dispose()


def test_one_installation_stands_between_another_and_its_own_resellers(
    units: UnitsOfWork, database: Database, above: Database, clock: FixedClock
) -> None:
    """What moves above is called back here, moves our order, and is told to our sub-resellers."""
    with dispatching(above, clock) as upper:
        theirs = build_chain(upper.units)
        upper_order = place(upper.units, theirs)
        scene = Scene(units, reference=upper_order)
        with serving(database, clock, inbound=scene.inbound) as (_, port):
            url = f"http://127.0.0.1:{port}/api/v1/upstreams/{scene.upstream_id}/callbacks"
            # In order, or a delivery may be here before the parcel's number.
            one_by_one = {"secret": SECRET, "ordering": "subject"}
            upper.endpoint(theirs.r, url, events=["chain_order.*"], **one_by_one)
            with upper.units.begin(actor="test") as work:
                for _ in range(2):
                    orders.forward(work, upper_order)
                orders.accept(work, upper_order)
            with upper.units.begin(actor="test") as work:
                orders.ship(work, upper_order, tracking_number="DEL9", carrier="delhivery")
            with upper.units.begin(actor="test") as work:
                orders.deliver(work, upper_order)
            upper.run_once()
        assert {"succeeded"} == {row.state for row in upper.rows()}
    assert "delivered" == scene.status
    with database.read() as connection:
        told = raised(connection, scene.chain.r, "chain_order.status_changed")
        assert 1 == len(raised(connection, scene.chain.r, "chain_order.delivered"))
    assert (
        "DEL9"
        == next(each for each in told if each["status"] == "shipped")["shipping"]["tracking_number"]
    )
