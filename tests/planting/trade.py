"""Defects of what stands between tenants: debts, keys, purchases, upstream platforms."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import delete, insert, select, update

from engine.ids import new_id
from engine.ledger_tables import ledger_transactions
from engine.money import format_amount
from engine.order_tables import chain_orders
from engine.settlement_tables import cod_collections, milestones, remittances
from engine.upstream_tables import upstream_orders
from engine.wallet_tables import idempotency_keys
from reconciler import courier_files, upstreams
from reconciler.checks import CHECKS
from reconciler.courier_files import CourierFile
from tests.planting.defect import Defect
from tests.planting.world import World
from tests.reselling import build_shop, purchase


def old_debts(world: World) -> int:
    """Let debts be more than 30 days past due."""
    world.place("cod", advance=5)
    world.settle()
    world.scene.clock.advance(timedelta(days=world.random.randint(60, 200)))
    long_ago = world.scene.clock.now() - timedelta(days=30)
    pair = (remittances.c.payer_id, remittances.c.payee_id)
    old = (remittances.c.status == "pending") & (remittances.c.due_at < long_ago)
    return len(world.rows(select(*pair).where(old).distinct()))


def not_cleared(world: World) -> int:
    """Let the books keep debts that nobody owes by name any more."""
    world.place("cod", advance=5)
    world.settle()
    owed = remittances.c.status == "pending"
    query = select(remittances.c.id, remittances.c.payer_id, remittances.c.payee_id).where(owed)
    rows = world.rows(query)
    payer_id, payee_id = world.random.choice(sorted({(row[1], row[2]) for row in rows}))
    gone = [row.id for row in rows if (row.payer_id, row.payee_id) == (payer_id, payee_id)]
    others = [row.id for row in rows if row.id not in gone]
    world.change(
        delete(milestones).where(milestones.c.subject_id.in_(gone)),
        delete(remittances).where(remittances.c.id.in_(gone)),
        # The others are not due, so that only what does not clear is found.
        update(remittances)
        .where(remittances.c.id.in_(others))
        .values(due_at=world.scene.clock.now() + timedelta(days=400)),
    )
    world.scene.clock.advance(timedelta(days=world.random.randint(31, 90)))
    return 1


def key_of_nothing(world: World) -> int:
    """Let keys have been taken by requests that did nothing."""
    count = world.random.randint(1, 3)
    for number in range(count):
        row = {
            "tenant_id": world.chain.r,
            "key": f"lost-{number}",
            "fingerprint": "0" * 64,
            "subject_id": new_id(),
            "created_at": world.scene.clock.now(),
        }
        world.change(insert(idempotency_keys).values(row))
    return count


def transaction_of_nothing(world: World) -> int:
    """Let transactions have been written without what they move."""
    [row] = world.some(
        world.rows(select(ledger_transactions).where(ledger_transactions.c.kind == "top_up")),
        most=1,
    )
    lost = {"id": new_id(), "idempotency_key": f"lost:{row.id}", "reverses_id": None}
    world.change(insert(ledger_transactions).values({**row._mapping, **lost}))
    return 1


def purchase_ended(world: World) -> int:
    """Let purchases of stock stand unpaid past their days."""
    units = world.scene.dispatch.units
    shop, count = build_shop(units), world.random.randint(1, 3)
    for _ in range(count):
        purchase(units, shop, 1)
    world.settle()
    world.scene.clock.advance(timedelta(days=world.random.randint(8, 40)))
    return count


def _linked(world: World) -> list[str]:
    """Let an upstream platform know some orders."""
    guard = world.scene.dispatch.guard
    made = world.act(
        partial(
            upstreams.create,
            guard=guard,
            tenant_id=world.chain.s,
            name="Above",
            kind="chain_order",
            base_url=world.url,
        )
    )
    chosen = world.some(world.orders)
    for order_id in chosen:
        world.act(
            partial(upstreams.link, upstream_id=made["id"], order_id=order_id, reference=order_id)
        )
    return chosen


def refused_here(world: World) -> int:
    """Let an upstream be ahead with a step that was refused here."""
    return _problem(world, "refused")


def contradicted(world: World) -> int:
    """Let an upstream have gone back, or know nothing of an order."""
    return _problem(world, world.random.choice(["behind", "unknown", "unreadable"]))


def _problem(world: World, problem: str) -> int:
    chosen = _linked(world)
    mine = upstream_orders.c.chain_order_id.in_(chosen)
    seen = {"problem": problem, "problem_detail": "planted", "seen_status": "shipped"}
    world.change(update(upstream_orders).where(mine).values(seen))
    return len(chosen)


def short_cash(world: World) -> int:
    """Let less cash have been taken than the orders said."""
    placed = [world.place("cod", advance=5) for _ in range(2)]
    world.settle()
    mine = cod_collections.c.chain_order_id.in_(placed)
    short = {"status": "short", "collected_minor": cod_collections.c.collected_minor - 100}
    chosen = [row.id for row in world.some(world.rows(select(cod_collections.c.id).where(mine)))]
    world.change(update(cod_collections).where(cod_collections.c.id.in_(chosen)).values(short))
    return len(chosen)


def courier_differs(world: World) -> int:
    """Let a courier's file lack orders, name strangers, pay otherwise, and pay twice."""
    placed = [world.place("cod", advance=5) for _ in range(4)]
    world.settle()
    query = select(chain_orders.c.origin_order_number, cod_collections.c.collected_minor).join(
        cod_collections, cod_collections.c.chain_order_id == chain_orders.c.id
    )
    planted, lines = 0, []
    for number, collected_minor in world.rows(query.where(chain_orders.c.id.in_(placed))):
        kinds = world.random.choice([["lost"], ["wrong"], ["twice"], ["stranger", "wrong"]])
        amount = format_amount(collected_minor + ("wrong" in kinds), "INR")
        lines += [] if "lost" in kinds else [f"{number},{amount},B1"]
        lines += [f"{number},{amount},B1"] if "twice" in kinds else []
        lines += [f"?{number},{amount},B1"] if "stranger" in kinds else []
        planted += len(kinds)
    others = world.rows(query.where(chain_orders.c.id.not_in(placed)))
    lines += [f"{row[0]},{format_amount(row[1], 'INR')},B1" for row in others]
    content = "reference,amount,batch\n" + "\n".join(lines)
    world.act(partial(courier_files.take, file=CourierFile("Delhivery", content.encode(), "INR")))
    return planted


def checks_stopped(world: World) -> int:
    """Let nobody have run some checks for long."""
    world.scene.run()
    world.settle()
    world.scene.clock.advance(timedelta(days=4))
    names = [name for name in CHECKS if name != "K24"]
    stopped = world.some(names)
    world.scene.run(*(name for name in names if name not in stopped))
    world.settle()
    return len(stopped)


DEFECTS = (
    Defect("K01.upstream", "refused here", refused_here, heals=False),
    Defect("K02", "contradicted", contradicted, heals=False),
    Defect("K17", "old debts", old_debts, heals=False),
    Defect("K17", "not cleared", not_cleared, heals=False),
    Defect("K18", "short cash", short_cash, heals=False),
    Defect("K18.courier", "courier differs", courier_differs, heals=False),
    Defect("K24", "checks stopped", checks_stopped, heals=False),
    Defect("K22", "key of nothing", key_of_nothing, heals=True),
    Defect("K22", "transaction of nothing", transaction_of_nothing, heals=False),
    Defect("K25", "purchase ended", purchase_ended, heals=True),
)
