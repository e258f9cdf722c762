"""Payouts: money a tenant takes from its wallet to its bank (document 002).

A payout sets its amount aside until it is decided. The platform, whose bank pays, approves,
rejects and completes; either side may cancel before it is paid.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine import (
    accounts,
    idempotency,
    ledger,
    payout_events,
    postings,
    tenants,
    wallet_levels,
)
from engine.errors import (
    Forbidden,
    InsufficientBalance,
    InvalidAmount,
    InvalidStatus,
    NotFound,
    PayoutTooSmall,
)
from engine.ids import check_id, is_id, new_id
from engine.inputs import check_choice, check_integer, check_text
from engine.money import check_amount, format_amount, money_fields
from engine.payout_states import REQUESTED, STATUSES, TRANSITIONS, allowed
from engine.postings import WALLET, Close, Hold, Posting
from engine.unit_of_work import UnitOfWork
from engine.wallet_tables import payouts

LIMIT_MAX = 1000

Row = dict[str, Any]


def request(
    work: UnitOfWork,
    tenant_id: str,
    amount_minor: int,
    *,
    method: str = "bank_transfer",
    idempotency_key: str | None = None,
) -> Row:
    """Ask for money of a tenant's own wallet and set it aside; the same key returns the first.

    Raises InvalidAmount, PayoutTooSmall below the wallet's minimum, InsufficientBalance beyond the
    available balance (credit is for goods, not for cash), IdempotencyKeyReused or NotFound.
    """
    tenant = tenants.get(work.connection, tenant_id)
    if check_amount(amount_minor) == 0:
        raise InvalidAmount("a payout needs an amount above zero", field="amount", value=0)
    row = _new_row(work, tenant, amount_minor, check_text(method, field="method", length_max=40))
    asked = {"operation": "payout", "amount_minor": amount_minor, "method": row["method"]}
    first = idempotency.claim(work, tenant["id"], idempotency_key, asked, subject_id=row["id"])
    if first != row["id"]:
        return get(work.connection, first)
    _require_own_money(work, tenant, amount_minor)
    ledger.post(work, _hold(row))
    work.connection.execute(insert(payouts).values(row))
    payout_events.announce(work, row)
    return row


def approve(work: UnitOfWork, payout_id: str, *, by: str | None = None) -> Row:
    """Promise the payout; ``by`` is the platform, None the operator."""
    return _decide(work, payout_id, "approve", by, {"approved_at": work.now})


def reject(work: UnitOfWork, payout_id: str, *, reason: str, by: str | None = None) -> Row:
    """Refuse the payout and free its money."""
    return _release(work, payout_id, "reject", by, reason)


def cancel(work: UnitOfWork, payout_id: str, *, reason: str, by: str | None = None) -> Row:
    """Call the payout off before it is paid and free its money."""
    return _release(work, payout_id, "cancel", by, reason)


def complete(work: UnitOfWork, payout_id: str, *, reference: str, by: str | None = None) -> Row:
    """Record that the bank paid under ``reference``: the money leaves wallet and platform."""
    reference = check_text(reference, field="reference", length_max=200)
    values = {"reference": reference, "completed_at": work.now, "closed_at": work.now}
    row = _decide(work, payout_id, "complete", by, values)
    # A payout is a top-up turned around.
    paid = postings.reversal(postings.top_up(row["tenant_id"], row["amount_minor"]))
    transaction = ledger.post(work, _closing(row, "payout", "captured", None, paid))
    paid_by = {"transaction_id": transaction["id"]}
    work.connection.execute(update(payouts).where(payouts.c.id == row["id"]).values(paid_by))
    return row | paid_by


def get(connection: Connection, payout_id: str, *, tenant_id: str | None = None) -> Row:
    """Return one payout's row, or raise NotFound when it is not the tenant's to see."""
    row = None
    if is_id(payout_id):
        query = select(payouts).where(payouts.c.id == payout_id.lower())
        row = connection.execute(query).mappings().first()
    if row is None or tenant_id not in {None, row["tenant_id"], row["platform_id"]}:
        raise NotFound(f"no payout {payout_id!r}", field="payout_id", value=payout_id)
    return dict(row)


def listing(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    status: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """Return ``data``, newest first, and ``next_cursor``; a platform sees those of its whole tree.

    Raises InvalidInput for an unknown status, limit or cursor, or NotFound (tenant).
    """
    check_integer(limit, field="limit", minimum=1, maximum=LIMIT_MAX)
    query = select(payouts).order_by(payouts.c.id.desc()).limit(limit + 1)
    if tenant_id is not None:
        tenant = tenants.get(connection, tenant_id)
        side = payouts.c.platform_id if tenant["depth"] == 0 else payouts.c.tenant_id
        query = query.where(side == tenant["id"])
    if status is not None:
        query = query.where(payouts.c.status == check_choice(status, STATUSES, field="status"))
    if after is not None:
        query = query.where(payouts.c.id < check_id(after, field="after"))
    rows = [dict(row) for row in connection.execute(query).mappings()]
    more = len(rows) > limit
    return {"data": rows[:limit], "next_cursor": rows[limit - 1]["id"] if more else None}


def _new_row(work: UnitOfWork, tenant: Row, amount_minor: int, method: str) -> Row:
    row = dict.fromkeys(column.name for column in payouts.columns)
    return row | {
        "id": new_id(),
        "tenant_id": tenant["id"],
        "platform_id": tenant["path"].split("/")[0],
        "amount_minor": amount_minor,
        "currency": tenant["currency"],
        "method": method,
        "status": REQUESTED,
        "version": 1,
        "requested_by": work.actor,
        "created_at": work.now,
        "updated_at": work.now,
    }


def _require_own_money(work: UnitOfWork, tenant: Row, amount_minor: int) -> None:
    """Refuse, under the wallet's lock, what is too small or not the tenant's own."""
    key = (tenant["id"], WALLET)
    account = accounts.lock(work.connection, [key], tenant["currency"])[key]
    limits = wallet_levels.limits_of(work, {tenant["id"]}).get(tenant["id"])
    # A merchant's own minimum holds for what it pays into the wallet: commission_payments.
    minimum_minor = limits["min_payout_minor"] if limits else 0
    currency = tenant["currency"]
    if amount_minor < minimum_minor:
        raise PayoutTooSmall(
            f"a payout is at least {format_amount(minimum_minor, currency)} {currency} here",
            field="amount",
            **money_fields(currency, minimum=minimum_minor),
        )
    available_minor = wallet_levels.figures_of(account, limits).available
    if amount_minor > available_minor:
        raise InsufficientBalance(
            "Insufficient balance",
            **money_fields(currency, required=amount_minor, available=available_minor),
        )


def _hold(row: Row) -> Posting:
    hold = Hold(
        payer_id=row["tenant_id"],
        amount_minor=row["amount_minor"],
        kind="discretionary",
        reason="payout",
        reference_id=row["id"],
    )
    return Posting(
        kind="payout_hold",
        reference_type="payout",
        reference_id=row["id"],
        idempotency_key=f"payout:{row['id']}:hold",
        currency=row["currency"],
        opens=(hold,),
    )


def _release(work: UnitOfWork, payout_id: str, action: str, by: str | None, reason: str) -> Row:
    reason = check_text(reason, field="reason", length_max=500)
    row = _decide(work, payout_id, action, by, {"reason": reason, "closed_at": work.now})
    ledger.post(work, _closing(row, "payout_release", "released", reason))
    return row


def _closing(
    row: Row,
    kind: str,
    status: str,
    note: str | None,
    entries: tuple[postings.Entry, ...] = (),
) -> Posting:
    return Posting(
        kind=kind,
        reference_type="payout",
        reference_id=row["id"],
        idempotency_key=f"payout:{row['id']}:{row['status']}",
        currency=row["currency"],
        entries=entries,
        closes=(Close(reason="payout", reference_id=row["id"], status=status, note=note),),
    )


def _decide(
    work: UnitOfWork, payout_id: str, action: str, by: str | None, values: dict[str, Any]
) -> Row:
    """Make one guarded transition, tell both sides, and return the payout: of two racers one wins.

    Raises NotFound, Forbidden, or InvalidStatus with ``current_status`` and ``allowed``.
    """
    row, transition = get(work.connection, payout_id, tenant_id=by), TRANSITIONS[action]
    if transition.platform_only and by not in {None, row["platform_id"]}:
        raise Forbidden(f"only the platform may {action} a payout", payout_id=row["id"])
    taken = work.connection.execute(
        update(payouts)
        .where(payouts.c.id == row["id"], payouts.c.status.in_(transition.sources))
        .values(
            **values,
            status=transition.target,
            version=payouts.c.version + 1,
            decided_by=work.actor,
            updated_at=work.now,
        )
        .returning(*payouts.columns)
    )
    found = taken.mappings().first()
    if found is None:
        current = get(work.connection, row["id"])["status"]
        raise InvalidStatus(
            f"payout is {current}; {action} is not allowed",
            current_status=current,
            allowed=allowed(current),
        )
    decided = dict(found)
    payout_events.announce(work, decided)
    return decided
