"""Wallets: what a tenant has, may spend and is warned about (document 001, finance)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select, update

from engine import accounts, idempotency, ledger, tenants, wallet_levels
from engine.errors import Forbidden, InvalidAmount, InvalidInput, NotFound
from engine.ids import new_id
from engine.inputs import check_choice, check_text
from engine.ledger_tables import wallets
from engine.money import check_amount, money_fields
from engine.postings import WALLET, Posting
from engine.postings import top_up as top_up_entries
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

REFERENCE_LENGTH_MAX = 200


def show(connection: Connection, tenant_id: str) -> dict[str, Any]:
    """Return the wallet with document 001's fields, ``spendable`` and its threshold.

    ``effective_balance`` is balance + credit limit as that document shows it; what may be spent is
    ``spendable``, available + credit limit. Raises NotFound.
    """
    tenant = tenants.get(connection, tenant_id)
    account = accounts.find(connection, [(tenant["id"], WALLET)], tenant["currency"])
    found = account.get((tenant["id"], WALLET))
    wallet = _limits(connection, tenant["id"])
    figures = wallet_levels.figures_of(found, wallet)
    return {
        "id": tenant["id"],
        "tenant_id": tenant["id"],
        "currency": tenant["currency"],
        **money_fields(
            tenant["currency"],
            balance=figures.balance,
            available_balance=figures.available,
            effective_balance=figures.effective,
            spendable=figures.spendable,
            pending_credits=figures.pending_credits,
            pending_debits=figures.pending_debits,
            total_earned=found["posted_debits"] if found else 0,
            total_paid_out=found["posted_credits"] if found else 0,
            credit_limit=figures.credit_limit,
            low_threshold=wallet["low_threshold_minor"] if wallet else None,
            rearm_level=wallet_levels.rearm_of(wallet) if wallet else None,
            min_payout=wallet["min_payout_minor"] if wallet else 0,
        ),
        "low_watch": wallet["low_watch"] if wallet else wallet_levels.AVAILABLE,
        "low_state": wallet["low_state"] if wallet else wallet_levels.OK,
        "low_episode": wallet["low_episode"] if wallet else 0,
        "last_settlement_at": _last_settlement(connection, tenant["id"]),
    }


def top_up(
    work: UnitOfWork,
    tenant_id: str,
    amount_minor: int,
    *,
    reference: str | None = None,
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Add money to a wallet and return the wallet.

    ``reference`` names the payment, ``idempotency_key`` the call: under either money is added once.
    Raises InvalidAmount for nothing or less, InvalidInput, NotFound, or IdempotencyKeyReused when
    the one or the other came with another amount.
    """
    tenant = tenants.get(work.connection, tenant_id)
    if check_amount(amount_minor) == 0:
        raise InvalidAmount("a top-up needs an amount above zero", field="amount", value=0)
    if reference is not None:
        reference = check_text(reference, field="reference", length_max=REFERENCE_LENGTH_MAX)
    asked = {"operation": "top_up", "amount_minor": amount_minor, "reference": reference}
    made = new_id()
    first = idempotency.claim(work, tenant["id"], idempotency_key, asked, subject_id=made)
    if first == made:
        posted = ledger.post(work, _top_up(tenant, amount_minor, reference or made))
        idempotency.name(work, tenant["id"], idempotency_key, posted["id"])
    return show(work.connection, tenant["id"])


def set_threshold(
    work: UnitOfWork,
    tenant_id: str,
    threshold_minor: int | None,
    *,
    rearm_minor: int | None = None,
    watch: str | None = None,
) -> dict[str, Any]:
    """Set (None: remove) the low threshold, judge the balance at once, return the wallet.

    The wallet has recovered at ``rearm_minor``, 10 % above the threshold where none is given.
    ``watch`` names the figure that is compared, ``available`` unless it was set. Raises
    InvalidAmount, InvalidInput or NotFound.
    """
    if threshold_minor is not None:
        check_amount(threshold_minor, field="threshold")
    if rearm_minor is not None:
        check_amount(rearm_minor, field="rearm_level")
        if threshold_minor is None or rearm_minor <= threshold_minor:
            raise InvalidInput("the re-arm level must be above a threshold", field="rearm_level")
    values: dict[str, Any] = {
        "low_threshold_minor": threshold_minor,
        "rearm_level_minor": rearm_minor,
    }
    if watch is not None:
        values["low_watch"] = check_choice(watch, wallet_levels.WATCHES, field="watch")
    return _set(work, tenants.get(work.connection, tenant_id), values)


def set_credit_limit(
    work: UnitOfWork, tenant_id: str, limit_minor: int, *, by: str | None = None
) -> dict[str, Any]:
    """Set how far below zero discretionary debits may go, and return the wallet.

    A limit below what is used takes nothing back: it refuses new debits only. Credit is
    the platform's cash: only it sets limits, or the operator (``by`` None). Raises InvalidAmount,
    Forbidden or NotFound.
    """
    tenant = tenants.get(work.connection, tenant_id)
    require_platform(tenant, by)
    limit_minor = check_amount(limit_minor, field="credit_limit")
    return _set(work, tenant, {"credit_limit_minor": limit_minor})


def set_min_payout(
    work: UnitOfWork, tenant_id: str, minimum_minor: int, *, by: str | None = None
) -> dict[str, Any]:
    """Set below which no payout is made, and return the wallet; refusals as for a credit limit."""
    tenant = tenants.get(work.connection, tenant_id)
    require_above(tenant, by)
    minimum_minor = check_amount(minimum_minor, field="min_payout")
    return _set(work, tenant, {"min_payout_minor": minimum_minor})


def require_platform(tenant: Mapping[str, Any], by: str | None) -> None:
    """Raise Forbidden unless the platform itself, or the operator, acts: its cash is at stake."""
    require_above(tenant, by)
    if by is not None and by != tenant["path"].split("/")[0]:
        raise Forbidden("only the platform may do this", tenant_id=tenant["id"])


def require_above(tenant: Mapping[str, Any], by: str | None) -> None:
    """Raise Forbidden when a tenant acts on its own wallet, NotFound when it has no part in it.

    Whoever stands above the owner may act, and so may the operator, ``by`` None.
    """
    if by == tenant["id"]:
        raise Forbidden("only a tenant above may do this", tenant_id=tenant["id"])
    if by is not None and by not in tenant["path"].split("/"):
        raise NotFound(f"no tenant {tenant['id']!r}", field="tenant_id", value=tenant["id"])


def reevaluate(work: UnitOfWork, tenant_id: str) -> bool:
    """Bring a wallet's level in line with its balance; tell whether it was not (check K12)."""
    tenant = tenants.get(work.connection, tenant_id)
    key = (tenant["id"], WALLET)
    account = accounts.lock(work.connection, [key], tenant["currency"])[key]
    wallet = _limits(work.connection, tenant["id"])
    if wallet is None:
        return False
    return wallet_levels.watch(work, wallet, wallet_levels.figures_of(account, wallet))


def _top_up(tenant: Mapping[str, Any], amount_minor: int, reference: str) -> Posting:
    return Posting(
        kind="top_up",
        reference_type="top_up",
        reference_id=reference,
        idempotency_key=f"top_up:{tenant['id']}:{reference}",
        currency=tenant["currency"],
        entries=top_up_entries(tenant["id"], amount_minor),
    )


def _set(work: UnitOfWork, tenant: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    # The account's lock is the wallet's: a posting cannot judge the old threshold beside us.
    accounts.lock(work.connection, [(tenant["id"], WALLET)], tenant["currency"])
    row = {
        "tenant_id": tenant["id"],
        "currency": tenant["currency"],
        "credit_limit_minor": 0,
        "low_state": wallet_levels.OK,
        "low_episode": 0,
        "created_at": work.now,
        "updated_at": work.now,
    }
    insert_missing(work.connection, wallets, [row], ["tenant_id"])
    work.connection.execute(
        update(wallets)
        .where(wallets.c.tenant_id == tenant["id"])
        .values(updated_at=work.now, **values)
    )
    reevaluate(work, tenant["id"])
    return show(work.connection, tenant["id"])


def _limits(connection: Connection, tenant_id: str) -> dict[str, Any] | None:
    row = connection.execute(select(wallets).where(wallets.c.tenant_id == tenant_id))
    found = row.mappings().first()
    return dict(found) if found else None


def _last_settlement(connection: Connection, tenant_id: str) -> Any:
    """Return when a remittance of the tenant was last paid, by it or to it: two index probes."""
    completed_at = remittances.c.completed_at
    newest = (
        select(func.max(completed_at))
        .where(side == tenant_id, completed_at.is_not(None))
        .scalar_subquery()
        for side in (remittances.c.payer_id, remittances.c.payee_id)
    )
    found = connection.execute(select(*newest)).one()
    return max((at for at in found if at is not None), default=None)
