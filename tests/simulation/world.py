"""The world of a simulation: a small chain with its goods, wallets, endpoints and receivers."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete

from dispatcher import endpoints
from dispatcher.endpoints import EndpointGuard
from engine import pricing, products, tenants, wallets
from engine.sealing import KeyRing
from engine.tables import outbox
from engine.unit_of_work import UnitsOfWork
from tests.simulation.faults import Faults, FaultyDatabase, Odds, Trace
from tests.simulation.fleet import POLICY, Fleet, Receiver
from tests.simulation.processes import Broker, Scheduler, Worker
from tests.simulation.stage import START, Stage, virtual
from tests.simulation.virtual_time import VirtualClock, VirtualLoop

LIFE = timedelta(days=30)
GUARD = EndpointGuard(POLICY, KeyRing([b"k" * 32]))
#: S sells to D, D to R and to Q; each of them has an endpoint, R two.
OWNERS = ("S", "D", "R", "Q", "R")
PATTERNS: tuple[tuple[str, ...], ...] = (
    ("*",),
    ("chain_order.*", "remittance.*"),
    ("chain_order.*", "webhook.test"),
    ("wallet.*", "product.*", "endpoint.*"),
)
#: No price is a part of another: what a receiver may not know is searched in what it was sent.
BASE_COSTS_MINOR = (7301, 9407)


@dataclass(frozen=True)
class Names:
    """What is in the world at the beginning."""

    tenants: dict[str, str]
    products: tuple[str, ...]
    receivers: tuple[tuple[str, Receiver], ...]


@dataclass
class Standing:
    """What the simulation knows of an endpoint: what it heard when, and whether it is there."""

    id: str
    owner: str
    receiver: str
    #: From when on it heard which patterns; none at all once it is deleted.
    heard: list[tuple[datetime, tuple[str, ...]]]
    #: When it was held back, disabled, changed: what ended otherwise then is explained.
    touched: list[datetime] = field(default_factory=list)
    alive: bool = True


class World:
    """One simulation's parts, put together from a seed."""

    def __init__(self, stage: Stage, names: Names, seed: int, *, aloud: bool = False) -> None:
        """Set the stage back and place everything on it; nothing moves yet."""
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311  # a history, not secrets
        self.loop = VirtualLoop()
        self.clock = VirtualClock(START, self.loop)
        self.trace = Trace(self.clock, aloud=aloud)
        self.faults = Faults(self.chance, Odds.drawn(self.chance), self.trace)
        self.database: FaultyDatabase = stage.database
        self.guard = GUARD
        self.names = names
        self.broker = Broker(self)
        self.units = UnitsOfWork(self.database, self.clock, hint=self.broker.relay)
        self.fleet = Fleet(self.faults, self.clock.now)
        self.endpoints: list[Standing] = []
        for endpoint_id, receiver in names.receivers:
            self._admit(endpoint_id, receiver)
        self.began_at = self.clock.now()
        self.relays: list[datetime] = []
        self.orders: list[str] = []
        #: Of each key under which money was put in: whether the answer came.
        self.top_ups: list[bool] = []
        #: Set by each commit, and when it is time to look whether all is settled.
        self.changed, self.quiet = asyncio.Event(), asyncio.Event()
        self.workers: list[Worker] = []
        self.schedulers: list[Scheduler] = []

    def _admit(self, endpoint_id: str, receiver: Receiver) -> None:
        own = replace(receiver, moods=[], secrets=list(receiver.secrets), calls=[], refused=[])
        self.fleet.add(own)
        owner = next(name for name, each in self.names.tenants.items() if each == own.tenant_id)
        self.endpoints.append(Standing(endpoint_id, owner, own.url, [(START, ("*",))]))

    def relayed(self) -> None:
        """Note that the outbox was emptied now."""
        self.relays.append(self.clock.now())

    async def start_processes(self) -> None:
        """Start two workers and two schedulers."""
        self.workers = [Worker(self, number) for number in (1, 2)]
        for worker in self.workers:
            await worker.start()
        self.schedulers = [Scheduler(self, number) for number in (1, 2)]


def furnish(stage: Stage) -> Names:
    """Fill an empty database with the world every simulation begins with."""
    loop = VirtualLoop()
    clock = VirtualClock(START - timedelta(days=1), loop)
    units = UnitsOfWork(stage.database, clock)
    with virtual(clock, loop, random.Random(0)):  # noqa: S311  # the same world each time
        ids = _chain(units)
        goods = tuple(_goods(units, ids, cost) for cost in BASE_COSTS_MINOR)
        loop.pass_by(3600)  # what was raised so far was raised before anybody listened
        receivers = tuple(
            open_endpoint(units, ids[owner], f"http://127.0.0.1:{9000 + number}/hooks")
            for number, owner in enumerate(OWNERS)
        )
    loop.close()
    # What the furnishing told is not a part of any history.
    with stage.database.write() as connection:
        connection.execute(delete(outbox))
    return Names(ids, goods, receivers)


def open_endpoint(
    units: UnitsOfWork, tenant_id: str, url: str, **options: Any
) -> tuple[str, Receiver]:
    """Create an endpoint; return its id and a receiver that knows its secret."""
    with units.begin(actor="owner") as work:
        made = endpoints.create(work, GUARD, tenant_id=tenant_id, url=url, **options)
    receiver = Receiver(tenant_id, url)
    receiver.learn(made["secret"])
    return made["id"], receiver


def _chain(units: UnitsOfWork) -> dict[str, str]:
    ids: dict[str, str] = {}
    with units.begin(actor="platform") as work:
        for name, parent in (("S", None), ("D", "S"), ("R", "D"), ("Q", "D")):
            made = tenants.create(work, name=name, parent_id=ids.get(parent or ""))
            ids[name] = str(made["id"])
            wallets.set_credit_limit(work, ids[name], 10_000)
            wallets.set_threshold(work, ids[name], 5_000)
            wallets.top_up(work, ids[name], 20_000)
    return ids


def _goods(units: UnitsOfWork, ids: dict[str, str], cost_minor: int) -> str:
    with units.begin(actor="platform") as work:
        fields = {
            "sku": f"SKU-{cost_minor}",
            "name": "Goods",
            "base_cost": f"{cost_minor / 100:.2f}",
            "stock_quantity": 30,
        }
        product_id = str(products.create(work, ids["S"], fields)["id"])
        for name, margin in (("D", 20), ("R", 15), ("Q", 10)):
            pricing.set_margin(work, product_id, ids[name], margin)
    return product_id


def new_stage() -> tuple[Stage, Names]:
    """Return a stage in memory, furnished."""
    stage = Stage()
    names = furnish(stage)
    stage.keep()
    return stage, names
