"""Keys that were taken and did nothing: whoever asks again under them would be told it was done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from engine import idempotency_healing
from engine.ids import first_id
from engine.ledger_tables import holds, ledger_entries, ledger_transactions
from engine.order_tables import chain_hops, chain_orders
from engine.unit_of_work import UnitOfWork
from engine.wallet_tables import idempotency_keys
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity

#: A sweep looks this far back.
TAKEN_WITHIN = timedelta(days=30)
#: Identifiers come from several clocks.
CLOCKS_APART = timedelta(minutes=5)


def _find(connection: Connection, scope: Scope) -> Found:
    """Find keys whose subject does not exist, and transactions that moved nothing."""
    since = scope.since or scope.now - TAKEN_WITHIN
    keys = connection.execute(_keys(scope, since)).all()
    moved = connection.execute(_transactions(scope, since)).all()
    findings = [
        Finding(
            f"key {row.key!r} of {row.tenant_id}"[:200],
            expected=f"something with the id {row.subject_id}",
            actual="nothing",
            key=[row.tenant_id, row.key],
            tenant_id=row.tenant_id,
        )
        for row in keys
    ]
    findings += [
        Finding(
            f"transaction {row.id}",
            expected="entries or holds",
            actual="none",
            key=row.id,
            policy=Policy.NEVER,
            severity=Severity.CRITICAL,
            currency=row.currency,
        )
        for row in moved
        if not _of_nothing(connection, row)
    ]
    return Found(_count(connection, since), findings)


def _keys(scope: Scope, since: Any) -> Select[Any]:
    again = [each[1] for each in scope.again if isinstance(each, list)]
    recent = (idempotency_keys.c.created_at >= since) | idempotency_keys.c.key.in_(again)
    return (
        select(idempotency_keys)
        .where(recent, idempotency_healing.without_effect())
        .limit(SLICE_ROWS)
    )


def _transactions(scope: Scope, since: Any) -> Select[Any]:
    table = ledger_transactions.c
    again = [each for each in scope.again if isinstance(each, str)]
    return (
        select(ledger_transactions)
        .where((table.id >= first_id(since - CLOCKS_APART)) | table.id.in_(again))
        .where(~exists().where(ledger_entries.c.transaction_id == table.id))
        .where(~exists().where(holds.c.opened_by_id == table.id))
        .where(~exists().where(holds.c.closed_by_id == table.id))
        .limit(SLICE_ROWS)
    )


def _of_nothing(connection: Connection, row: Any) -> bool:
    """Tell whether a transaction rightly moves nothing: an order of goods that cost nothing."""
    if row.reference_type != "chain_order":
        return False
    order = select(chain_orders.c.cod_amount_minor).where(chain_orders.c.id == row.reference_id)
    costs = select(func.max(chain_hops.c.cost_minor)).where(
        chain_hops.c.chain_order_id == row.reference_id
    )
    cash = connection.execute(order).scalar()
    return cash == 0 and not connection.execute(costs).scalar()


def _count(connection: Connection, since: Any) -> int:
    recent = select(func.count()).select_from(idempotency_keys)
    keys = connection.execute(recent.where(idempotency_keys.c.created_at >= since)).scalar_one()
    behind = ledger_transactions.c.id >= first_id(since - CLOCKS_APART)
    moved = select(func.count()).select_from(ledger_transactions).where(behind)
    return keys + connection.execute(moved).scalar_one()


def _free(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Give the keys back, so that asking again does what was asked."""
    keys = [each for each in findings if isinstance(each.key, list)]
    return [each for each in keys if idempotency_healing.free(work, *each.key)]


KEYS_EFFECTIVE = Check(
    id="K22",
    title="Idempotency keys without an effect",
    compares="every key with the hold, payout, adjustment or transaction that it names, and every"
    " ledger transaction with its entries and holds",
    remedy="the key is given back; a transaction that moved nothing, people only",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=600,
    find=_find,
    heal=_free,
    incremental=True,
)
