"""Caps per key, and a pace."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.limits import KeyedSlots, Pace


def test_no_more_than_the_cap_hold_a_key_at_once() -> None:
    """Forty callers of one key never exceed three at once; another key is not held up."""
    peak = 0

    async def caller(slots: KeyedSlots) -> None:
        nonlocal peak
        await slots.take("one")
        peak = max(peak, slots.held("one"))
        await asyncio.sleep(0)
        slots.give("one")

    async def scene() -> KeyedSlots:
        slots = KeyedSlots(3)
        await asyncio.gather(*(caller(slots) for _ in range(40)))
        await asyncio.wait_for(slots.take("two"), 1)
        return slots

    slots = asyncio.run(scene())
    assert 3 == peak
    assert (0, 1) == (slots.held("one"), slots.held("two"))


def test_who_waits_longest_is_served_first() -> None:
    """Slots are handed on in the order of asking."""
    served: list[int] = []

    async def caller(slots: KeyedSlots, number: int) -> None:
        await slots.take("key")
        served.append(number)
        slots.give("key")

    async def scene() -> None:
        slots = KeyedSlots(1)
        await slots.take("key")
        tasks = [asyncio.create_task(caller(slots, number)) for number in range(5)]
        await asyncio.sleep(0)
        slots.give("key")
        await asyncio.gather(*tasks)

    asyncio.run(scene())
    assert [0, 1, 2, 3, 4] == served


def test_a_cancelled_waiter_takes_no_slot_with_it() -> None:
    """Whoever gives up waiting leaves the slot to the next."""

    async def scene() -> int:
        slots = KeyedSlots(1)
        await slots.take("key")
        waiting = asyncio.create_task(slots.take("key"))
        await asyncio.sleep(0)
        slots.give("key")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(slots.take("key"), 1)
        return slots.held("key")

    assert 1 == asyncio.run(scene())


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 2), max_size=50))
def test_calls_are_spread_evenly(per_second: float, gaps: list[float]) -> None:
    """Whenever callers come, two calls are never closer than the rate allows."""
    pace, now, begun = Pace(per_second, 0.0), 0.0, []
    for gap in gaps:
        now += gap
        begun.append(pace.book(now))
    between = [later - earlier for earlier, later in pairwise(begun)]
    assert all(each >= 1 / per_second - 1e-9 for each in between)


def test_without_a_rate_nobody_waits() -> None:
    """No rate means now."""
    assert 5.0 == Pace(None, 0.0).book(5.0)
