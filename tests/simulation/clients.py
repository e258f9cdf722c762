"""The traders: those who order, ship, pay, price and publish, as the API lets them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from engine import orders, placing, pricing, products, remittances, wallets
from engine.events import EventDraft
from engine.unit_of_work import UnitOfWork
from tests.simulation.asking import Asker

STEPS: tuple[tuple[str, int], ...] = (
    ("forward", 4),
    ("accept", 5),
    ("process", 2),
    ("unprocess", 1),
    ("ship", 5),
    ("deliver", 6),
    ("cancel", 1),
    ("return", 1),
)


class Traders(Asker):
    """Those who sell: orders, money and goods."""

    def doings(self) -> dict[Callable[[], None], int]:
        """Return what they do, and how often."""
        return {
            self.place: 6,
            self.move: 14,
            self.pay: 3,
            self.top_up: 2,
            self.watch: 1,
            self.reprice: 2,
            self.margin: 1,
            self.restock: 2,
            self.publish: 3,
        }

    # -- orders and money ------------------------------------------------------------------------

    def place(self) -> None:
        """Place an order; one that was placed already is found again."""
        world, chance = self.world, self.world.chance
        origin = chance.choice(("R", "Q"))
        payment = chance.choice(
            ({"method": "cod"}, {"method": "cod", "collector": "fulfiller"}, {"method": "prepaid"})
        )
        order = {
            "origin_order_number": f"N{len(world.orders)}-{chance.randrange(10**6)}",
            "customer": {"name": "Asha"},
            "shipping_address": {"city": "Pune"},
            "items": [
                {
                    "product_id": chance.choice(world.names.products),
                    "quantity": chance.randint(1, 3),
                    "unit_price": "222.00",
                }
            ],
            "payment": payment,
        }
        tenant_id = world.names.tenants[origin]
        placed = self.ask(
            f"{origin} orders", lambda work: placing.place(work, tenant_id, order)["id"]
        )
        if placed is not None and placed not in world.orders:
            world.orders.append(placed)

    def move(self) -> None:
        """Let an order go a step on, or some steps at once."""
        world, chance = self.world, self.world.chance
        if not world.orders:
            return
        order_id = chance.choice(world.orders[-4:])
        names, weights = zip(*STEPS, strict=True)
        wanted = (
            ("forward", "forward", "accept", "ship", "deliver")
            if chance.random() < 0.4
            else chance.choices(names, weights)
        )
        for name in wanted:
            self.ask(f"{name} {order_id}", partial(_step, order_id=order_id, name=name))

    def pay(self) -> None:
        """Pay a remittance that is owed."""
        world = self.world
        with world.database.read() as connection:
            owed = [row["id"] for row in remittances.listing(connection, status="pending")]
        if owed:
            remittance_id = world.chance.choice(owed)
            self.ask(f"pay {remittance_id}", lambda work: remittances.process(work, remittance_id))

    def top_up(self) -> None:
        """Put money into a wallet, under a key: asked for again, it is the same money."""
        world, chance = self.world, self.world.chance
        name, amount = chance.choice("SDRQ"), chance.randint(1, 30_000)
        key = f"key{self.asked}"
        done = self.ask(
            f"top up {name}",
            lambda work: wallets.top_up(
                work, world.names.tenants[name], amount, idempotency_key=key
            ),
        )
        world.top_ups.append(done is not None)

    def watch(self) -> None:
        """Set the level at which a wallet is low."""
        world, chance = self.world, self.world.chance
        name, level = chance.choice("SDRQ"), chance.randint(0, 40_000)
        self.ask(
            f"watch {name}",
            lambda work: wallets.set_threshold(work, world.names.tenants[name], level),
        )

    # -- goods -----------------------------------------------------------------------------------

    def reprice(self) -> None:
        """Change what goods cost at the top."""
        chance = self.world.chance
        product_id, cost = chance.choice(self.world.names.products), chance.randint(5000, 9999)
        changes = {"base_cost": f"{cost / 100:.2f}"}
        self.ask("reprice", lambda work: products.update(work, product_id, changes))

    def margin(self) -> None:
        """Change what a level earns."""
        world, chance = self.world, self.world.chance
        product_id, name = chance.choice(world.names.products), chance.choice("DRQ")
        percent = chance.randint(5, 40)
        self.ask(
            f"margin {name}",
            lambda work: pricing.set_margin(work, product_id, world.names.tenants[name], percent),
        )

    def restock(self) -> None:
        """Count the stock anew."""
        chance = self.world.chance
        product_id, quantity = chance.choice(self.world.names.products), chance.randint(10, 60)
        self.ask(
            "restock",
            lambda work: products.update(work, product_id, {"stock_quantity": quantity}),
        )

    def publish(self) -> None:
        """Raise some events of one's own, at once; repeated, they are the same."""
        world, chance = self.world, self.world.chance
        name, count = chance.choice("SDRQ"), chance.randint(1, 5)
        key = f"own{self.asked}"

        def raise_all(work: UnitOfWork) -> None:
            for number in range(count):
                work.raise_event(
                    EventDraft(
                        tenant_id=world.names.tenants[name],
                        type="webhook.test",
                        data={"number": number},
                        dedupe_key=f"{key}/{number}",
                    )
                )

        self.ask(f"{name} publishes {count}", raise_all)


def _step(work: UnitOfWork, order_id: str, name: str) -> Any:
    """Take one step of an order's life."""
    if name == "ship":
        return orders.ship(work, order_id, tracking_number="T1", carrier="delhivery")
    if name == "cancel":
        return orders.cancel(work, order_id, reason="changed their mind")
    step = orders.return_ if name == "return" else getattr(orders, name)
    return step(work, order_id)
