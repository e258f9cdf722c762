"""Hints are cut so that each names at most 100 mailboxes, and none is dropped or doubled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.hints import MAILBOXES_PER_HINT, NoHints, in_batches


@given(st.integers(0, 450))
def test_batches_are_full_and_keep_everything(count: int) -> None:
    """Every mailbox is in one batch, in order; all batches but the last are full."""
    ids = [str(number) for number in range(count)]
    batches = in_batches(ids)
    assert ids == [each for batch in batches for each in batch]
    assert all(len(batch) == MAILBOXES_PER_HINT for batch in batches[:-1])
    assert all(1 <= len(batch) <= MAILBOXES_PER_HINT for batch in batches[-1:])


def test_hints_may_be_dropped_without_a_word() -> None:
    """Whoever has no broker sends nothing and is not held up: the sweep looks by itself."""
    hints = NoHints()
    hints.relay()
    hints.drain(["a"])
    assert [] == in_batches([])
