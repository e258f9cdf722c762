"""A random history of orders, money and callbacks that ends with nothing out of order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from sqlalchemy import Executable, Select, select

from config.errors import TillbellError
from engine import order_rows, orders, remittances, wallets
from engine.order_tables import chain_orders
from engine.settlement_tables import remittances as remittance_rows
from engine.unit_of_work import UnitOfWork
from tests.chains import Chain, build_chain, order_of, top_up
from tests.reconciling import Reconciling

#: So long a history lasts at most: nothing in it comes due or stands still for too long.
STEP_MINUTES_MAX = 40
WAY = {"accepted": "ship", "processing": "ship", "shipped": "deliver"}
OPTIONS: dict[str, dict[str, Any]] = {
    "ship": {"tracking_number": "T1", "carrier": "delhivery"},
    "cancel": {"reason": "changed their mind"},
}


@dataclass
class World:
    """A reconciler's scene with a chain of tenants, some orders, and the dice of this history."""

    scene: Reconciling
    random: Random
    url: str
    chain: Chain
    orders: list[str] = field(default_factory=list)
    endpoints: dict[str, str] = field(default_factory=dict)

    def act(self, action: Callable[[UnitOfWork], Any]) -> Any:
        """Do something in a unit of work; what the engine refuses changes nothing."""
        try:
            with self.scene.dispatch.units.begin(actor="history") as work:
                return action(work)
        except TillbellError:
            return None

    def place(self, method: str, *, advance: int = 0) -> str:
        """Place an order of R and let it make some of its way."""
        number = f"H{len(self.orders)}"
        price = self.random.randrange(14_000, 20_000) / 100
        items = [{"sku": "PROD-001", "quantity": self.random.randint(1, 3), "unit_price": price}]
        payment = {"method": method}
        if method == "cod":
            payment["collector"] = self.random.choice(["origin", "fulfiller"])
        asked = order_of(number, items=items, payment=payment)
        order_id = str(self.act(lambda work: orders.place(work, self.chain.r, asked))["id"])
        self.orders.append(order_id)
        for _ in range(advance):
            self.advance(order_id)
        return order_id

    def advance(self, order_id: str) -> None:
        """Take the usual next action of an order."""
        with self.scene.database.read() as connection:
            order = order_rows.get(connection, order_id)
        status = order["chain_status"]
        at_top = order["holder_tenant_id"] == self.chain.s
        action = WAY.get(status, "accept" if at_top else "forward")
        self.order(order_id, action)

    def order(self, order_id: str, action: str) -> None:
        """Take an action on an order, allowed or not."""
        call = getattr(orders, {"return": "return_"}.get(action, action))
        self.act(lambda work: call(work, order_id, **OPTIONS.get(action, {})))

    def pay(self, limit: int = 1) -> None:
        """Pay some of what is owed, money for it first."""
        owed = self.rows(select(remittance_rows).where(remittance_rows.c.status == "pending"))
        for row in self.random.sample(owed, min(limit, len(owed))):
            top_up(self.scene.dispatch.units, row.payer_id, row.amount_minor)
            self.act(partial(remittances.process, remittance_id=row.id))

    def settle(self) -> None:
        """Fan out and deliver everything."""
        dispatch = self.scene.dispatch
        while dispatch.run_once():
            pass

    def rows(self, query: Select[Any]) -> Sequence[Any]:
        """Read rows."""
        with self.scene.database.read() as connection:
            return connection.execute(query).all()

    def change(self, *statements: Executable) -> None:
        """Change rows behind the engine's back."""
        with self.scene.database.write() as connection:
            for statement in statements:
                connection.execute(statement)

    def some(self, items: Iterable[Any], most: int = 3) -> list[Any]:
        """Choose one to ``most`` of several, at random."""
        found = list(items)
        return self.random.sample(found, min(len(found), self.random.randint(1, most)))

    def in_status(self, *statuses: str) -> list[str]:
        """Return the orders in one of these states."""
        wanted = chain_orders.c.chain_status.in_(statuses)
        query = select(chain_orders.c.id).where(wanted).order_by(chain_orders.c.id)
        return [row.id for row in self.rows(query)]


def build(scene: Reconciling, url: str, seed: int, steps: int = 12) -> World:
    """Live through a random history; orders of every kind are in it, and all of it is told."""
    random = Random(seed)  # noqa: S311  # dice of a test
    world = World(scene, random, url, build_chain(scene.dispatch.units))
    for tenant_id in (world.chain.s, world.chain.d, world.chain.r):
        world.endpoints[tenant_id] = scene.dispatch.endpoint(tenant_id, url)["id"]
        top_up(scene.dispatch.units, tenant_id, 10**6)
        world.act(partial(wallets.set_threshold, tenant_id=tenant_id, threshold_minor=5000))
    # Subscribed for a while, so that what they miss is missed.
    scene.clock.advance(timedelta(minutes=5))
    for method, advance in (("cod", 1), ("cod", 4), ("prepaid", 1), ("cod", 5), ("prepaid", 5)):
        world.place(method, advance=advance)
    world.place("cod", advance=5)
    world.pay()
    for _ in range(steps):
        _step(world)
    # A return whose remittances were paid makes one due at once: the schedule tells of it.
    scene.run("K10")
    world.settle()
    return world


def _step(world: World) -> None:
    """Let something happen, then some time pass."""
    random = world.random
    order_id = random.choice(world.orders)
    happening = random.choice(["place", "advance", "advance", "undo", "pay", "money", "settle"])
    if happening == "place":
        world.place(random.choice(["cod", "prepaid"]), advance=random.randint(0, 5))
    elif happening == "advance":
        world.advance(order_id)
    elif happening == "undo":
        world.order(order_id, random.choice(["cancel", "return", "process", "unprocess"]))
    elif happening == "pay":
        world.pay(2)
    elif happening == "money":
        tenant_id = random.choice([world.chain.s, world.chain.d, world.chain.r])
        world.act(lambda work: wallets.set_threshold(work, tenant_id, random.randrange(10**6)))
    else:
        world.settle()
    world.scene.clock.advance(timedelta(minutes=random.randrange(STEP_MINUTES_MAX)))
