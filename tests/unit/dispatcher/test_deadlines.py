"""One timer for many deadlines: each is kept, none fires early, forgetting is enough."""

from __future__ import annotations

import asyncio

from dispatcher.deadlines import TICK_SECONDS, DeadlineWatch


class Call:
    """Something that notes when its time was over."""

    def __init__(self) -> None:
        """Be in time."""
        self.expired_at = asyncio.get_running_loop().create_future()

    def expire(self) -> None:
        """Note the loop's time."""
        self.expired_at.set_result(asyncio.get_running_loop().time())


def test_each_call_expires_at_its_own_deadline() -> None:
    """Added in any order, behind a distant one, each is noticed within a tick and none early."""

    async def story() -> None:
        watch = DeadlineWatch()
        start = asyncio.get_running_loop().time()
        watch.watch(Call(), start + 60)
        waits = {seconds: Call() for seconds in (0.08, 0.02, 0.15, 0.03)}
        for seconds, call in waits.items():
            watch.watch(call, start + seconds)
        for seconds, call in waits.items():
            late = await call.expired_at - start - seconds
            assert -0.002 <= late <= TICK_SECONDS + 0.5
        assert len(watch) == 1
        watch.close()

    asyncio.run(story())


def test_a_forgotten_call_never_expires() -> None:
    """A call that ended in time is left alone while its neighbour expires."""

    async def story() -> None:
        watch, ended, late = DeadlineWatch(), Call(), Call()
        at = asyncio.get_running_loop().time() + 0.02
        watch.watch(ended, at)
        watch.watch(late, at)
        watch.forget(ended)
        await late.expired_at
        assert not ended.expired_at.done()

    asyncio.run(story())


def test_a_deadline_in_the_past_expires_at_once() -> None:
    """A call whose time went by while it was resolved ends in the next round of the loop."""

    async def story() -> None:
        watch, call = DeadlineWatch(), Call()
        watch.watch(call, asyncio.get_running_loop().time() - 5)
        await asyncio.wait_for(call.expired_at, 1)

    asyncio.run(story())


def test_closing_forgets_all() -> None:
    """After closing nothing is watched and no timer is left to fire."""

    async def story() -> None:
        watch, call = DeadlineWatch(), Call()
        watch.watch(call, asyncio.get_running_loop().time() + 0.01)
        watch.close()
        assert len(watch) == 0
        other = Call()
        watch.watch(other, asyncio.get_running_loop().time() + 0.03)
        await other.expired_at
        assert not call.expired_at.done()

    asyncio.run(story())
