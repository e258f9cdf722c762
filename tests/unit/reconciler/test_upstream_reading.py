"""What upstream platforms say: three documents read, everything else refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.upstream_reading import Kind, UnreadableAnswer, read_answer, read_callback

CHAIN = {
    "order": {
        "id": "u-1",
        "origin_order_number": "ORD-2024-001",
        "chain_status": "shipped",
        "shipping": {"carrier": "delhivery", "tracking_number": "DEL123456"},
    }
}


def test_document_001_is_read() -> None:
    """Status, both names of the order, and how it was sent."""
    found = read_answer(Kind.CHAIN_ORDER, orjson.dumps(CHAIN))
    assert ("shipped", ("u-1", "ORD-2024-001")) == (found.status, found.references)
    assert ("DEL123456", "delhivery") == (found.tracking_number, found.carrier)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, "cancelled"), (1, "delivered"), (2, "processing"), (3, "accepted")],
)
def test_document_000_is_read(status: int, expected: str) -> None:
    """Its four numbers, with the codes it delivers, bare or under data."""
    detail = {"OrderDetailID": 55501, "Status": status, "DeliveryData": ["code-1"]}
    for document in (detail, {"data": detail}):
        found = read_answer(Kind.ORDER_DETAIL, orjson.dumps(document))
        assert (expected, ("55501",), ["code-1"]) == (
            found.status,
            found.references,
            found.delivery_data,
        )


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Completed", "delivered"), ("In Progress", "processing"), ("FAILED", "cancelled")],
)
def test_document_003_is_read(status: str, expected: str) -> None:
    """The usual words for an execution, however they are written."""
    body = orjson.dumps({"orderId": 7, "status": status})
    assert expected == read_answer(Kind.EXECUTION, body).status


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"7", b'{"order": 5}', b'{"order": {"chain_status": "lost"}}',
     b'{"Status": 9}', b'{"Status": true}', b'{"status": "who knows"}', b'{"data": []}', b"\xff"],
)  # fmt: skip
def test_what_is_not_the_document_is_refused(kind: Kind, body: bytes) -> None:
    """A page in HTML, another schema, an unknown state: nothing is read out of it."""
    with pytest.raises(UnreadableAnswer):
        read_answer(kind, body)


NAMES = st.sampled_from(["order", "data", "Status", "status", "chain_status"])
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner)
)


@given(st.sampled_from(list(Kind)), DOCUMENTS)
def test_no_answer_breaks_the_reader(kind: Kind, document: Any) -> None:
    """Whatever JSON comes, it is read or refused by name."""
    try:
        found = read_answer(kind, orjson.dumps(document))
    except UnreadableAnswer:
        return
    assert found.status


def test_callbacks_of_the_documents_are_read() -> None:
    """An envelope, colon names, the flat body; what says nothing of a state is passed over."""
    data = {"chain_order_id": "u-1", "status": "cancelled", "reason": "no stock"}
    event = {"event": "chain_order.status_changed", "data": data}
    assert ("cancelled", "no stock") == _state(event)
    assert ("cancelled", "no stock") == _state(event | {"event": "chain_order:status_changed"})
    delivered = {"event": "chain_order.delivered", "data": {"chain_order_id": "u-1"}}
    assert ("delivered", None) == _state(delivered)
    line = {"order_detail_id": 5, "status": 1, "delivery_data": ["c"], "chain_order_id": "u-1"}
    _, found = read_callback(orjson.dumps({"event": "order.line_updated", "data": line}))
    assert found is not None
    assert ("delivered", ("5", "u-1"), ["c"]) == (
        found.status,
        found.references,
        found.delivery_data,
    )
    assert ("delivered", None) == _state({"OrderDetailID": 5, "Status": 1})
    assert read_callback(b'{"event": "wallet.low_balance", "data": {}}')[1] is None


def _state(document: Any) -> tuple[str, str | None]:
    _, found = read_callback(orjson.dumps(document))
    assert found is not None
    return found.status, found.reason
