"""The processes of a simulation: workers and schedulers of real parts, on the loop's time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from config.crash_points import Crashed
from config.errors import TillbellError
from dispatcher import replay_steps, retention
from dispatcher.drain import Drainer
from dispatcher.facts import Fact
from dispatcher.leased_mailbox import Mailbox
from dispatcher.leasing import DrainSettings
from dispatcher.manifests import ManifestMaker
from dispatcher.relay import Relay
from dispatcher.retry import RetryPolicy
from dispatcher.settle_writer import COMMIT_INTERVAL_SECONDS, SettleWriter
from dispatcher.settlement import Settlement
from dispatcher.sweep import Sweep
from engine.product_expander import ProductExpander
from reconciler.schedule import Schedule
from tests.simulation.faults import Trace
from tests.simulation.fleet import FleetTransport
from tests.simulation.virtual_time import PROCESS, LoopExecutor
from worker.broker import DrainHere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.world import World

SCHEDULE_SECONDS = (0, 5, 30, 300, 1800, 7200, 18000, 28800, 36000, 43200, 50400, 86400)
RESTART_SECONDS = 5.0
#: How often a scheduler that leads renews its lead before a tick; else it may lead no more.
RENEWED = 0.2


@contextmanager
def acting(process: str) -> Iterator[None]:
    """Let what runs in the block, and what it starts, belong to a process."""
    token = PROCESS.set(process)
    try:
        yield
    finally:
        PROCESS.reset(token)


def step(world: World, process: str, work: Callable[[], Any]) -> Any:
    """Let a process do something; its death and a database that is away end only this."""
    if process in world.faults.dead:
        return None
    with acting(process):
        try:
            return work()
        except Crashed:
            return None
        except (TillbellError, DBAPIError) as error:
            world.trace.add(f"gives up: {type(error).__name__}")
            return None


class Bell:
    """Stands for the event that wakes the settle writer's thread: ringing makes it write soon."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """Call ``ring`` once for each time it is set anew."""
        self._ring, self._set = ring, False

    def set(self) -> None:
        """Ring, unless it rings already."""
        if not self._set:
            self._set = True
            self._ring()

    def is_set(self) -> bool:
        """Tell whether it rings."""
        return self._set

    def clear(self) -> None:
        """End it."""
        self._set = False


class LoopWriter(SettleWriter):
    """The settle writer without its thread: it writes as a callback of the loop."""

    def __init__(self, world: World, watch: Watching) -> None:
        """Write to the world's database."""
        super().__init__(world.database, world.clock, watch)
        self._world = world
        self._bell = Bell(self._write_soon)
        self._wake = self._bell  # type: ignore[assignment]  # as much of an event as is used

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; there is no thread."""
        self._loop = loop
        self._room = asyncio.Event()
        self._room.set()

    def _write_soon(self) -> None:
        faults, seconds = self._world.faults, COMMIT_INTERVAL_SECONDS
        if faults.strikes(faults.odds.stopped):
            faults.trace.add("writer stands still")
            seconds += 20 + 100 * faults.chance.random()
        self._world.loop.call_later(seconds, self._write_all)

    def _write_all(self) -> None:
        self._bell.clear()
        while self._items and PROCESS.get() not in self._world.faults.dead:
            self._commit(self._take())


@dataclass(frozen=True, slots=True)
class Watching:
    """Writes what a worker does into the trace."""

    trace: Trace

    def emit(self, fact: Fact, /) -> None:
        """Hear of a fact."""
        if fact.name not in {"settle.committed", "relay.expanded"}:
            self.trace.add(f"fact {fact.name}")

    def observe(self, each: Settlement, /) -> None:
        """Hear of an attempt."""
        meaning = each.outcome.status_code or each.outcome.error
        self.trace.add(f"attempt {each.delivery_id} #{each.number} {meaning} -> {each.state}")


class LoopDrainer(Drainer):
    """The drainer without its threads."""

    def __init__(self, world: World, watch: Watching) -> None:
        """Drain as a worker of the product does, into the fleet."""
        super().__init__(
            world.database,
            world.guard.keyring,
            transport=lambda: FleetTransport(world.fleet),
            settings=DrainSettings(worker=PROCESS.get(), policy=RetryPolicy(SCHEDULE_SECONDS)),
            clock=world.clock,
            watch=watch,
        )
        self._world = world
        self._writer = LoopWriter(world, watch)
        delays = random.Random(world.chance.random())  # noqa: S311  # order, not secrets
        self._executor = LoopExecutor(world.loop, lambda: 0.002 * delays.random())  # type: ignore[assignment]  # as much of a pool as is used

    async def prepare(self) -> None:
        """Put its tools together, as its thread would."""
        await self._prepare()

    def _begin(self, ready: Sequence[Mailbox]) -> None:
        if PROCESS.get() not in self._world.faults.dead:
            super()._begin(ready)

    def _take_if_possible(self, endpoint_ids: Sequence[str] | None = None) -> None:
        take = super()._take_if_possible
        step(self._world, PROCESS.get(), lambda: take(endpoint_ids))


class Worker:
    """A worker process: it is told by hints, relays and drains; dead, another takes its place."""

    def __init__(self, world: World, number: int) -> None:
        """Start it as the world's worker of that number."""
        self.world, self.number, self.life = world, number, 0
        self.name = ""

    async def start(self) -> None:
        """Begin a life."""
        world = self.world
        self.life += 1
        self.name = f"worker{self.number}.{self.life}"
        world.faults.mortal[self.name] = self._die
        with acting(self.name):
            watch = Watching(world.trace)
            self.drainer = LoopDrainer(world, watch)
            await self.drainer.prepare()
            here = DrainHere(self.drainer, world.broker)
            self.relay = Relay(world.database, world.clock, here, watch)

    def _die(self) -> None:
        world = self.world
        world.loop.kill(self.name)
        with acting(""):
            world.loop.call_later(RESTART_SECONDS, lambda: world.loop.create_task(self.start()))

    def take_relay(self) -> None:
        """Take a hint that the outbox holds something."""
        if step(self.world, self.name, self.relay.run_until_empty):
            self.world.relayed()

    def take_drain(self, endpoint_ids: Sequence[str]) -> None:
        """Take a hint that mailboxes are due."""
        step(self.world, self.name, lambda: self.drainer.take(endpoint_ids))


class Broker:
    """Carries hints: loses, doubles and delays them, so that they overtake one another."""

    def __init__(self, world: World) -> None:
        """Deliver to the world's workers."""
        self._world = world

    def relay(self) -> None:
        """Say that the outbox holds something."""
        self._send(lambda worker: worker.take_relay())

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Say that these mailboxes are due."""
        self._send(lambda worker: worker.take_drain(endpoint_ids))

    def _send(self, take: Callable[[Worker], None]) -> None:
        world, faults = self._world, self._world.faults
        if faults.strikes(faults.odds.lost_hint):
            return
        for _ in range(2 if faults.strikes(faults.odds.doubled_hint) else 1):
            late = faults.strikes(faults.odds.late_hint)
            seconds = (30 if late else 0.02) * world.chance.random()
            worker = world.chance.choice(world.workers)
            with acting(""):
                world.loop.call_later(seconds, take, worker)


class LoopSchedule(Schedule):
    """A scheduler process whose ticks the simulation gives: their work is the product's."""

    def __init__(self, world: World) -> None:
        """Schedule what the product schedules."""
        self.jobs: dict[str, Callable[[], object]] = {}
        super().__init__(
            world.database,
            world.units,
            Sweep(world.database, world.clock, world.broker),
            hints=world.broker,
            sweep_seconds=1.0,
            retention=retention.steps(
                bodies=timedelta(days=30),
                attempts_kept=timedelta(days=90),
                dedupe=timedelta(days=400),
            ),
            manifests=ManifestMaker(world.database, world.guard.keyring, world.clock),
            products=ProductExpander(world.units, world.clock),
        )
        self._holder = PROCESS.get()
        self._clock = world.clock  # type: ignore[assignment]  # the virtual one

    @property
    def leads(self) -> bool:
        """Whether it takes itself for the leader; its lease may have run out."""
        return self._leading

    def _add(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        assert seconds > 0
        self.jobs[name] = work

    def _replay(self) -> None:
        if self._leading:
            replay_steps.run_once(self._units, self._clock.now(), self._hints)


class Scheduler:
    """A scheduler process; dead, another takes its place."""

    def __init__(self, world: World, number: int) -> None:
        """Start it as the world's scheduler of that number."""
        self.world, self.number, self.life = world, number, 0
        self.start()

    def start(self) -> None:
        """Begin a life."""
        self.life += 1
        self.name = f"clock{self.number}.{self.life}"
        self.world.faults.mortal[self.name] = self._die
        with acting(self.name):
            self.schedule = LoopSchedule(self.world)

    def _die(self) -> None:
        with acting(""):
            self.world.loop.call_later(RESTART_SECONDS, self.start)

    def tick(self, job: str) -> None:
        """Do one job of the schedule, if this one leads."""
        if not self.schedule.leads or self.world.chance.random() < RENEWED:
            step(self.world, self.name, self.schedule.jobs["lead"])
        step(self.world, self.name, self.schedule.jobs[job])
