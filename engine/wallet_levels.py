"""What a wallet can bear, and when it falls below its threshold or recovers (domain.md 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from engine.events import EventDraft
from engine.ledger_tables import wallets
from engine.money import money_fields
from engine.unit_of_work import UnitOfWork

OK = "ok"
LOW = "low"
AVAILABLE = "available"
SPENDABLE = "spendable"
#: The figures a threshold can watch.
WATCHES = (AVAILABLE, SPENDABLE)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a wallet in minor units; pending debits will leave it, credits will come."""

    balance: int
    pending_debits: int
    pending_credits: int
    credit_limit: int

    @property
    def available(self) -> int:
        """What is not set aside: never counts money that has not come."""
        return self.balance - self.pending_debits

    @property
    def effective(self) -> int:
        """Balance and credit limit, as document 001 shows it; not what may be spent."""
        return self.balance + self.credit_limit

    @property
    def spendable(self) -> int:
        """What a discretionary debit may take."""
        return self.available + self.credit_limit


def figures_of(account: Mapping[str, Any] | None, wallet: Mapping[str, Any] | None) -> Figures:
    """Return the figures of a wallet; its account or its limits may not exist yet."""
    credit_limit = wallet["credit_limit_minor"] if wallet else 0
    if account is None:
        return Figures(0, 0, 0, credit_limit)
    return Figures(
        balance=account["posted_debits"] - account["posted_credits"],
        # What will leave an asset is a pending credit of it; the owner calls it a debit.
        pending_debits=account["pending_credits"],
        pending_credits=account["pending_debits"],
        credit_limit=credit_limit,
    )


def rearm_level(threshold_minor: int) -> int:
    """Return where a low wallet has recovered: 10 % above its threshold, at least one unit."""
    return threshold_minor + max((threshold_minor + 9) // 10, 1)


def next_level(
    level: str, watched_minor: int, threshold_minor: int | None, rearm_minor: int | None = None
) -> str:
    """Return ``low`` below the threshold, ``ok`` from the re-arm level, ``level`` between."""
    if threshold_minor is None:
        return OK
    if watched_minor < threshold_minor:
        return LOW
    rearm_minor = rearm_level(threshold_minor) if rearm_minor is None else rearm_minor
    return OK if watched_minor >= rearm_minor else level


def level_of(wallet: Mapping[str, Any], figures: Figures) -> str:
    """Return the level a wallet's figures put it on, as its owner wants to be warned."""
    watched = figures.spendable if wallet["low_watch"] == SPENDABLE else figures.available
    return next_level(
        wallet["low_state"], watched, wallet["low_threshold_minor"], wallet["rearm_level_minor"]
    )


def rearm_of(wallet: Mapping[str, Any]) -> int | None:
    """Return where a wallet has recovered: as it was set, or 10 % above; None: never warned."""
    threshold_minor: int | None = wallet["low_threshold_minor"]
    set_minor: int | None = wallet["rearm_level_minor"]
    if set_minor is not None or threshold_minor is None:
        return set_minor
    return rearm_level(threshold_minor)


def watch(work: UnitOfWork, wallet: Mapping[str, Any], figures: Figures) -> bool:
    """Move a wallet's level to what its balance says, raise the event, and tell whether it moved.

    The caller holds the lock of the wallet's account, so a crossing is seen once.
    """
    level = level_of(wallet, figures)
    if level == wallet["low_state"]:
        return False
    episode = wallet["low_episode"] + (level == LOW)
    unmoved = (wallets.c.tenant_id == wallet["tenant_id"]) & (
        wallets.c.low_state == wallet["low_state"]
    )
    moved = work.connection.execute(
        update(wallets)
        .where(unmoved)
        .values(low_state=level, low_episode=episode, updated_at=work.now)
    )
    # Without a threshold there is nothing to have recovered from.
    if moved.rowcount == 1 and wallet["low_threshold_minor"] is not None:
        work.raise_event(_draft(work, {**wallet, "low_episode": episode}, figures, level))
    return moved.rowcount == 1


def limits_of(work: UnitOfWork, tenant_ids: set[str]) -> dict[str, dict[str, Any]]:
    """Return the limits of those tenants that have set any."""
    query = select(wallets).where(wallets.c.tenant_id.in_(tenant_ids))
    rows = work.connection.execute(query).mappings()
    return {row["tenant_id"]: dict(row) for row in rows}


def _draft(work: UnitOfWork, wallet: Mapping[str, Any], figures: Figures, level: str) -> EventDraft:
    episode, low = wallet["low_episode"], level == LOW
    step = "low:0" if low else "recovered"
    return EventDraft(
        tenant_id=wallet["tenant_id"],
        type="wallet.low_balance" if low else "wallet.balance_recovered",
        subject_type="wallet",
        subject_id=wallet["tenant_id"],
        sequence=2 * episode + (not low),
        dedupe_key=f"wallet:{wallet['tenant_id']}:{episode}:{step}",
        raised_by=work.actor,
        data={
            "wallet_id": wallet["tenant_id"],
            "currency": wallet["currency"],
            "episode": episode,
            **money_fields(
                wallet["currency"],
                balance=figures.balance,
                available_balance=figures.available,
                spendable=figures.spendable,
                credit_limit=figures.credit_limit,
                threshold=wallet["low_threshold_minor"],
                rearm_level=rearm_of(wallet),
            ),
            "watched": wallet["low_watch"],
        },
    )
