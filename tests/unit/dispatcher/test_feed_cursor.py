"""Cursors of the feed: every place survives the way through text, and no other text is a place."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dispatcher.feed import Place, decode_cursor, encode_cursor
from engine.errors import InvalidInput

KINDS = st.sampled_from(["postgresql", "sqlite"])
PLACES = st.builds(
    Place,
    position=st.integers(0, (1 << 63) - 1),
    event_id=st.uuids().map(str),
    at=st.integers(0, (1 << 32) - 1).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)


@given(PLACES, KINDS)
def test_a_place_survives_the_way_through_text(place: Place, kind: str) -> None:
    """What is decoded is what was encoded, and the text needs no quoting in a URL."""
    cursor = encode_cursor(place, kind)
    assert place == decode_cursor(cursor, kind)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(PLACES, st.integers(0, 43), st.characters())
def test_a_changed_character_is_noticed(place: Place, at: int, character: str) -> None:
    """No cursor with one character replaced is taken for a place."""
    cursor = encode_cursor(place, "postgresql")
    changed = cursor[:at] + character + cursor[at + 1 :]
    assume(changed != cursor)
    with pytest.raises(InvalidInput):
        decode_cursor(changed, "postgresql")


@given(st.text())
def test_other_text_is_refused_by_its_field(given_text: str) -> None:
    """Nothing but InvalidInput comes of any text."""
    with pytest.raises(InvalidInput) as refused:
        decode_cursor(given_text, "sqlite")
    assert "after" == refused.value.details["field"]


def test_a_cursor_belongs_to_its_kind_of_database() -> None:
    """A place among transactions is none among rows."""
    place = Place(1, str(uuid.UUID(int=1)), datetime(2026, 3, 2, tzinfo=UTC))
    with pytest.raises(InvalidInput):
        decode_cursor(encode_cursor(place, "postgresql"), "sqlite")
