"""Defects of due dates, wallets and the ledger."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import delete, insert, select, update

from dispatcher.tables import deliveries
from engine import wallet_holds, wallets
from engine.ids import new_id
from engine.ledger_tables import holds, ledger_accounts, ledger_entries, ledger_transactions
from engine.ledger_tables import wallets as wallet_rows
from engine.settlement_tables import milestones, remittances
from engine.tables import events
from tests.chains import top_up
from tests.planting.defect import Defect
from tests.planting.world import World
from tests.tampering import tampering


def _owe(world: World) -> list[str]:
    """Let something be owed, and return the ids of all that is."""
    world.place("cod", advance=5)
    world.settle()
    owed = select(remittances.c.id).where(remittances.c.status == "pending")
    return [row.id for row in world.rows(owed.order_by(remittances.c.id))]


def came_due(world: World) -> int:
    """Let due dates come and pass."""
    _owe(world)
    world.scene.clock.advance(timedelta(days=world.random.randint(5, 12)))
    due = milestones.c.fire_at <= world.scene.clock.now()
    query = select(milestones.c.id).where(milestones.c.outcome == "pending", due)
    return len(world.rows(query))


def no_schedule(world: World) -> int:
    """Remove the milestones of some remittances, and let their due dates come near or pass."""
    chosen = world.some(_owe(world))
    gone = milestones.c.subject_id.in_(chosen)
    others = remittances.c.id.not_in(chosen)
    world.change(
        delete(milestones).where(gone),
        update(remittances).where(others).values(due_at=remittances.c.due_at),
    )
    world.scene.clock.advance(timedelta(days=world.random.randint(6, 30)))
    _emit(world)
    return len(chosen)


def not_marked(world: World) -> int:
    """Let the flag of late remittances be lost after they were told of."""
    _owe(world)
    world.scene.clock.advance(timedelta(days=30))
    _emit(world)
    late = select(remittances.c.id).where(remittances.c.overdue_since.is_not(None))
    chosen = [row.id for row in world.some(world.rows(late.order_by(remittances.c.id)))]
    lost = update(remittances).where(remittances.c.id.in_(chosen))
    world.change(lost.values(overdue_since=None))
    return len(chosen)


def older_rules(world: World) -> int:
    """Let some due dates have been resolved under older time zone rules."""
    chosen = world.some(_owe(world))
    mine = update(remittances).where(remittances.c.id.in_(chosen))
    world.change(mine.values(due_rules="1999a"))
    return len(chosen)


def _emit(world: World) -> None:
    """Give every milestone that is due its outcome, as the engine does."""
    from engine import milestones as service

    now = world.scene.clock.now()
    with world.scene.dispatch.units.begin(actor="history") as work:
        ids = [row["id"] for row in service.due(work.connection, now, 10_000)]
        service.emit_many(work, ids, now)
    world.settle()


def _told(world: World) -> list[str]:
    """Let milestones be emitted, and return some."""
    _owe(world)
    world.scene.clock.advance(timedelta(days=9))
    _emit(world)
    world.scene.clock.advance(timedelta(minutes=2))
    emitted = select(milestones.c.id).where(milestones.c.outcome == "emitted")
    return [row.id for row in world.some(world.rows(emitted.order_by(milestones.c.id)))]


def milestone_event_lost(world: World) -> int:
    """Remove the events of emitted milestones, or only their names."""
    chosen = _told(world)
    mine = milestones.c.id.in_(chosen)
    event_ids = [row.event_id for row in world.rows(select(milestones.c.event_id).where(mine))]
    if world.random.random() < 0.5:
        world.change(update(milestones).where(mine).values(event_id=None))
    else:
        world.change(
            delete(deliveries).where(deliveries.c.event_id.in_(event_ids)),
            delete(events).where(events.c.id.in_(event_ids)),
        )
    return len(chosen)


def milestone_unsent(world: World) -> int:
    """Remove the deliveries of emitted milestones' events."""
    mine = milestones.c.id.in_(_told(world))
    event_ids = [row.event_id for row in world.rows(select(milestones.c.event_id).where(mine))]
    wanted = deliveries.c.event_id.in_(event_ids)
    count = len(world.rows(select(deliveries.c.id).where(wanted)))
    world.change(delete(deliveries).where(wanted))
    return count


def wrong_level(world: World) -> int:
    """Turn the level of some wallets around, far from where either would do."""
    chosen = world.some([world.chain.s, world.chain.d, world.chain.r])
    for tenant_id in chosen:
        low = world.random.random() < 0.5
        threshold = 10**9 if low else 0
        world.act(partial(wallets.set_threshold, tenant_id=tenant_id, threshold_minor=threshold))
        mine = update(wallet_rows).where(wallet_rows.c.tenant_id == tenant_id)
        world.change(mine.values(low_state="ok" if low else "low"))
    world.settle()
    return len(chosen)


def entry_changed(world: World) -> int:
    """Change the amount of one entry."""
    [entry] = world.some(world.rows(select(ledger_entries.c.id)), most=1)
    with tampering(world.scene.database) as connection:
        mine = update(ledger_entries).where(ledger_entries.c.id == entry.id)
        connection.execute(mine.values(amount_minor=ledger_entries.c.amount_minor + 1))
    return 1


def counter_changed(world: World) -> int:
    """Change the counters of some accounts."""
    chosen = [row.id for row in world.some(world.rows(select(ledger_accounts.c.id)))]
    more = {"posted_debits": ledger_accounts.c.posted_debits + 1}
    with tampering(world.scene.database) as connection:
        mine = ledger_accounts.c.id.in_(chosen)
        connection.execute(update(ledger_accounts).where(mine).values(more))
    return len(chosen)


def _pay_some(world: World) -> list[str]:
    """Let remittances be paid, and return the ids of all that are."""
    world.place("cod", advance=5)
    world.pay(3)
    world.settle()
    paid = select(remittances.c.id).where(remittances.c.status == "completed")
    return [row.id for row in world.rows(paid.order_by(remittances.c.id))]


def mirror_broken(world: World) -> int:
    """Let what one side says differ from what the other says."""
    mirrored = ledger_accounts.c.code.in_(["wallet", *_debts(world)])
    query = select(ledger_accounts.c.id, ledger_accounts.c.book).where(mirrored)
    chosen = world.some(world.rows(query.order_by(ledger_accounts.c.id)), most=1)
    more = {"posted_credits": ledger_accounts.c.posted_credits + world.random.randint(1, 99)}
    with tampering(world.scene.database) as connection:
        mine = ledger_accounts.c.id.in_([row.id for row in chosen])
        connection.execute(update(ledger_accounts).where(mine).values(more))
    return len(chosen)


def _debts(world: World) -> list[str]:
    chain = world.chain
    return [f"{side}{key}" for side in ("pay>", "recv<") for key in (chain.s, chain.d, chain.r)]


def hold_changed(world: World) -> int:
    """Change what an open hold sets aside: its payer's wallet, and its payee's if it has one."""
    _owe(world)
    opened = select(holds.c.id, holds.c.payee_id).where(holds.c.status == "open")
    [hold] = world.some(world.rows(opened.order_by(holds.c.id)), most=1)
    with tampering(world.scene.database) as connection:
        mine = update(holds).where(holds.c.id == hold.id)
        connection.execute(mine.values(amount_minor=holds.c.amount_minor + 1))
    return 1 + (hold.payee_id is not None)


def hold_orphaned(world: World) -> int:
    """Let what some money is set aside for be over, or never have been."""
    _owe(world)
    world.place("prepaid", advance=1)
    world.settle()
    opened = select(holds.c.id).where(holds.c.status == "open").order_by(holds.c.id)
    chosen = world.some(world.rows(opened))
    with tampering(world.scene.database) as connection:
        for row in chosen:
            mine = update(holds).where(holds.c.id == row.id)
            connection.execute(mine.values(reference_id=new_id()))
    return len(chosen)


def hold_expired(world: World) -> int:
    """Let money set aside by hand stand past its end."""
    until = world.scene.clock.now() + timedelta(hours=1)
    count = world.random.randint(1, 3)
    for number in range(count):
        top_up(world.scene.dispatch.units, world.chain.r, 1000)
        world.act(
            partial(
                wallet_holds.hold,
                tenant_id=world.chain.r,
                amount_minor=number + 1,
                reason="dispute",
                expires_at=until,
            )
        )
    world.settle()
    world.scene.clock.advance(timedelta(hours=world.random.randint(1, 9)))
    return count


def paid_twice(world: World) -> int:
    """Let a second transaction claim to have paid a remittance."""
    chosen = world.some(_pay_some(world))
    mine = ledger_transactions.c.reference_id.in_(chosen)
    paying = select(ledger_transactions).where(mine, ledger_transactions.c.kind == "remittance")
    with tampering(world.scene.database) as connection:
        for row in connection.execute(paying).mappings().all():
            twice = {"id": new_id(), "idempotency_key": f"again:{row['id']}"}
            connection.execute(insert(ledger_transactions).values({**row, **twice}))
    return len(chosen)


def paid_by_nothing(world: World) -> int:
    """Let remittances say that they were paid, with no transaction behind it."""
    chosen = world.some(_owe(world))
    paid = {"status": "completed", "completed_at": world.scene.clock.now()}
    world.change(update(remittances).where(remittances.c.id.in_(chosen)).values(paid))
    return len(chosen)


#: What a frozen account leaves behind.
FREEZING = ("ledger_accounts", "account_freezes")
DEFECTS = (
    Defect("K10", "came due", came_due, heals=True),
    Defect("K10", "no schedule", no_schedule, heals=True),
    Defect("K10", "late and not marked", not_marked, heals=True),
    Defect("K10.zones", "older rules", older_rules, heals=True),
    Defect("K11", "event lost", milestone_event_lost, heals=True),
    Defect("K11", "event not sent", milestone_unsent, heals=True),
    Defect("K12", "wrong level", wrong_level, heals=True),
    Defect("K13", "entry changed", entry_changed, heals=False, spreads=True, marks=FREEZING),
    Defect("K13", "counter changed", counter_changed, heals=False, spreads=True, marks=FREEZING),
    Defect("K14", "mirror broken", mirror_broken, heals=False),
    Defect("K15", "hold changed", hold_changed, heals=False),
    Defect("K15", "hold for nothing", hold_orphaned, heals=True),
    Defect("K15.expired", "hold expired", hold_expired, heals=True),
    Defect("K16", "paid twice", paid_twice, heals=False),
    Defect("K16", "paid by nothing", paid_by_nothing, heals=False),
)
