"""Owners' own headers: what may be one, and that a value is never shown again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.custom_headers import check_headers, from_lines, opened, sealed
from dispatcher.transport import OWN_HEADERS
from engine.errors import InvalidInput, SecretUnreadable
from engine.sealing import KeyRing

CANARY = "canary-of-a-credential"
RING = KeyRing([b"k" * 32])
GIVEN = {"Authorization": f"Bearer {CANARY}", "X-Shop": 'a b,c;d="e"'}


def row(columns: Any, tenant_id: str = "t", endpoint_id: str = "e") -> Any:
    """Return an endpoint's row with these columns."""
    return SimpleNamespace(id=endpoint_id, tenant_id=tenant_id, **columns)


def test_lines_are_read_as_they_are_written() -> None:
    """Blanks around the value go; a colon inside it stays."""
    assert {"X-A": "b:c", "X-D": "e f"} == from_lines(["X-A: b:c", "X-D:e f  "])


def test_what_is_sealed_is_sent_in_order_and_nothing_else() -> None:
    """Names and values come back as they were given; an endpoint without any has none."""
    columns = sealed(RING, "t", "e", GIVEN)
    assert [(name.encode(), value.encode()) for name, value in GIVEN.items()] == opened(
        RING, row(columns)
    )
    assert [] == opened(RING, row(sealed(RING, "t", "e", {})))


def test_only_names_are_kept_in_the_clear() -> None:
    """The stored columns hold no value."""
    columns = sealed(RING, "t", "e", GIVEN)
    assert list(GIVEN) == columns["header_names"]
    assert CANARY.encode() not in columns["headers_sealed"]


@pytest.mark.parametrize(("tenant_id", "endpoint_id"), [("t", "other"), ("other", "e")])
def test_headers_do_not_open_as_another_endpoints(tenant_id: str, endpoint_id: str) -> None:
    """A row's headers copied to another row stay shut."""
    columns = sealed(RING, "t", "e", GIVEN)
    with pytest.raises(SecretUnreadable):
        opened(RING, row(columns, tenant_id, endpoint_id))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "X A",
        "X:A",
        "X\r\nInjected",
        "X\n",
        "X\0",
        "Ünïcode",
        "x" * 101,
        "Host",
        "HOST",
        "Content-Length",
        "content-type",
        "Content-Encoding",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "Accept-Encoding",
        "User-Agent",
        "Apikey",
        "ApiKey",
        "Webhook-Id",
        "webhook-signature",
        "X-Shoppex-Event",
        "x-shoppex-signature-v2",
    ],
)
def test_a_name_that_is_none_or_is_ours_is_refused(name: str) -> None:
    """Framing, routing, signatures and who sends are not an endpoint's to say."""
    with pytest.raises(InvalidInput) as refusal:
        check_headers({name: CANARY})
    assert {"field": "headers"} == refusal.value.details
    assert CANARY not in refusal.value.message


@pytest.mark.parametrize("name", sorted(each.decode() for each in OWN_HEADERS))
def test_what_the_transport_sets_itself_is_refused(name: str) -> None:
    """Nothing is accepted that would silently not be sent."""
    with pytest.raises(InvalidInput):
        check_headers({name: "x"})


@pytest.mark.parametrize(
    "value", ["", " ", " x", "x ", "x\ry", "x\ny", "x\0", "x\ty", "ünïcode", "\x7f", "x" * 1025]
)
def test_a_value_that_is_not_one_printable_line_is_refused_unseen(value: str) -> None:
    """Each refusal names the header, and shows nothing of the value."""
    with pytest.raises(InvalidInput, match="X-Token") as refusal:
        check_headers({"X-Token": value})
    assert {"field": "headers"} == refusal.value.details
    assert len(value) < 3 or value not in refusal.value.message


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=1024))
def test_any_printable_value_of_a_kibibyte_is_taken(value: str) -> None:
    """What is allowed comes back unchanged."""
    assert {"X-Token": value} == check_headers({"X-Token": value})


def test_ten_headers_are_taken_and_eleven_refused() -> None:
    """The number is limited."""
    ten = {f"X-{number}": "x" for number in range(10)}
    assert ten == check_headers(ten)
    with pytest.raises(InvalidInput, match="at most 10"):
        check_headers(ten | {"X-10": "x"})


@pytest.mark.parametrize(
    "lines", [["X-A: 1", "X-A: 2"], ["X-A: 1", "x-a: 2"], ["X-A"], [CANARY], [""]]
)
def test_malformed_and_doubled_lines_are_refused_unseen(lines: list[str]) -> None:
    """A header without a colon, or the same name twice in any spelling, is no set of headers."""
    with pytest.raises(InvalidInput) as refusal:
        check_headers(from_lines(lines))
    assert {"field": "headers"} == refusal.value.details
    assert CANARY not in refusal.value.message
