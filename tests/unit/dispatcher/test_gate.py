"""The gate: few calls young at once, many out, nobody overtaken, nothing lost on the way."""

from __future__ import annotations

import asyncio

import pytest

from dispatcher import gate
from dispatcher.gate import Gate, Place


def make_gate(**caps: int) -> Gate:
    """Return a gate with wide caps where none is given."""
    return Gate(**{"in_flight_max": 1000, "tenant_max": 1000, "host_max": 1000, **caps})


async def ticks(it: Gate, count: int) -> None:
    """Let the gate's clock strike without waiting for it."""
    for _ in range(count):
        it._tick()  # its own clock, wound forward
        await asyncio.sleep(0)


def started(it: Gate, count: int) -> list[asyncio.Task[Place]]:
    """Send callers to the gate."""
    return [asyncio.create_task(it.enter(f"t{number}", "host")) for number in range(count)]


def entered(tasks: list[asyncio.Task[Place]]) -> int:
    """Count who is through."""
    return sum(task.done() for task in tasks)


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_only_so_many_are_young_and_the_old_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow calls pile up to the total, a burst at a time; none is held back for ever."""
    monkeypatch.setattr(gate, "YOUNG_MAX", 10)

    async def scene() -> list[int]:
        it, seen = make_gate(in_flight_max=25), []
        tasks = started(it, 40)
        for _ in range(4):
            await settle()
            seen.append(entered(tasks))
            await ticks(it, 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        it.close()
        return seen

    assert [10, 20, 25, 25] == asyncio.run(scene())


def test_quick_calls_never_wait_for_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves lets the next one in at once, in the order of arrival."""
    monkeypatch.setattr(gate, "YOUNG_MAX", 3)
    order: list[int] = []

    async def call(it: Gate, number: int) -> None:
        place = await it.enter("tenant", "host")
        order.append(number)
        await asyncio.sleep(0)
        it.leave(place)

    async def scene() -> bool:
        it = make_gate()
        await asyncio.gather(*(call(it, number) for number in range(50)))
        it.close()
        return it.has_room

    assert asyncio.run(scene())
    assert list(range(50)) == order


@pytest.mark.parametrize("cap", ["tenant_max", "host_max", "in_flight_max"])
def test_each_cap_holds(cap: str) -> None:
    """No more are out than the tightest cap allows."""
    peak = out = 0

    async def call(it: Gate) -> None:
        nonlocal peak, out
        place = await it.enter("tenant", "host")
        out += 1
        peak = max(peak, out)
        await asyncio.sleep(0)
        out -= 1
        it.leave(place)

    async def scene() -> None:
        it = make_gate(**{cap: 4})
        await asyncio.gather(*(call(it) for _ in range(30)))
        it.close()

    asyncio.run(scene())
    assert 4 == peak


@pytest.mark.parametrize("cap", ["tenant_max", "host_max", "in_flight_max"])
def test_who_gives_up_waiting_takes_nothing_along(cap: str) -> None:
    """Cancelled at any of the caps, even in the moment of being let in, a caller leaks no place."""

    async def scene() -> None:
        it = make_gate(**{cap: 1})
        first = await it.enter("tenant", "host")
        waiting = [asyncio.create_task(it.enter("tenant", "host")) for _ in range(3)]
        await settle()
        waiting[1].cancel()
        it.leave(first)
        waiting[0].cancel()
        place = await asyncio.wait_for(waiting[2], 5)
        it.leave(place)
        it.leave(await asyncio.wait_for(it.enter("tenant", "host"), 5))
        await asyncio.gather(*waiting, return_exceptions=True)
        it.close()

    asyncio.run(scene())
