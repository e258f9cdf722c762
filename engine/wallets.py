"""Wallets: what a tenant has, may spend and is warned about (document 001, finance)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, or_, select, update

from engine import accounts, ledger, tenants, wallet_levels
from engine.errors import InvalidAmount
from engine.ids import new_id
from engine.ledger_tables import wallets
from engine.money import check_amount, money_fields
from engine.postings import WALLET, Posting
from engine.postings import top_up as top_up_entries
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing


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
        ),
        "low_state": wallet["low_state"] if wallet else wallet_levels.OK,
        "low_episode": wallet["low_episode"] if wallet else 0,
        "last_settlement_at": _last_settlement(connection, tenant["id"]),
    }


def top_up(
    work: UnitOfWork, tenant_id: str, amount_minor: int, *, reference: str | None = None
) -> dict[str, Any]:
    """Add money to a wallet once per ``reference`` and return the wallet.

    Raises InvalidAmount for nothing or less, NotFound, or IdempotencyKeyReused when the reference
    named another amount.
    """
    tenant = tenants.get(work.connection, tenant_id)
    if check_amount(amount_minor) == 0:
        raise InvalidAmount("a top-up needs an amount above zero", field="amount", value=0)
    reference = reference or new_id()
    ledger.post(
        work,
        Posting(
            kind="top_up",
            reference_type="top_up",
            reference_id=reference,
            idempotency_key=f"top_up:{tenant['id']}:{reference}",
            currency=tenant["currency"],
            entries=top_up_entries(tenant["id"], amount_minor),
        ),
    )
    return show(work.connection, tenant["id"])


def set_threshold(work: UnitOfWork, tenant_id: str, threshold_minor: int | None) -> dict[str, Any]:
    """Set (None: remove) the low threshold, judge the balance at once, return the wallet."""
    if threshold_minor is not None:
        check_amount(threshold_minor, field="threshold")
    return _set(work, tenant_id, low_threshold_minor=threshold_minor)


def set_credit_limit(work: UnitOfWork, tenant_id: str, limit_minor: int) -> dict[str, Any]:
    """Set how far below zero discretionary debits may go, and return the wallet."""
    return _set(work, tenant_id, credit_limit_minor=check_amount(limit_minor, field="credit_limit"))


def reevaluate(work: UnitOfWork, tenant_id: str) -> bool:
    """Bring a wallet's level in line with its balance; tell whether it was not (check K12)."""
    tenant = tenants.get(work.connection, tenant_id)
    key = (tenant["id"], WALLET)
    account = accounts.lock(work.connection, [key], tenant["currency"])[key]
    wallet = _limits(work.connection, tenant["id"])
    if wallet is None:
        return False
    return wallet_levels.watch(work, wallet, wallet_levels.figures_of(account, wallet))


def _set(work: UnitOfWork, tenant_id: str, **values: int | None) -> dict[str, Any]:
    tenant = tenants.get(work.connection, tenant_id)
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
    part = or_(remittances.c.payer_id == tenant_id, remittances.c.payee_id == tenant_id)
    return connection.execute(select(func.max(remittances.c.completed_at)).where(part)).scalar()
