"""What each business action does to the books, as data: pure builders of balanced postings.

A book is a tenant's id or ``platform``. Debits are positive. Every wallet is mirrored by a
liability of the platform. Rules and the worked example: domain.md 2.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

PLATFORM = "platform"
WALLET = "wallet"
#: The reason of a hold that people set.
MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Entry:
    """One signed amount on one account: ``+`` is a debit."""

    book: str
    code: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money to set aside in the payer's wallet, expected by the payee where there is one.

    ``discretionary`` holds need the money; ``obligation`` holds state what is owed and never fail.
    """

    payer_id: str
    amount_minor: int
    kind: str
    reason: str
    reference_id: str
    payee_id: str | None = None
    expires_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """An open hold to end: ``captured`` when its money moves in this posting, else ``released``."""

    reason: str
    reference_id: str
    status: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One ledger transaction: entries and holds that stand or fall together.

    ``paid_by`` names the tenant whose wallet must be able to bear the entries; ``spent_by`` one
    that buys by choice, and must keep what it owes others too. Of a wallet's credit limit at most
    ``credit_max_minor`` counts for them and for discretionary holds. ``event_at`` is when it
    happened in the world, None for now. ``metadata`` is kept with it: JSON values only.
    """

    kind: str
    reference_type: str
    reference_id: str
    idempotency_key: str
    currency: str
    entries: tuple[Entry, ...] = ()
    opens: tuple[Hold, ...] = ()
    closes: tuple[Close, ...] = ()
    paid_by: str | None = None
    spent_by: str | None = None
    credit_max_minor: int | None = None
    reverses_id: str | None = None
    event_at: datetime | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One tenant of a chain and what the goods cost it; the first level supplies them."""

    tenant_id: str
    cost_minor: int


@dataclass(frozen=True, slots=True)
class Obligation:
    """What one neighbour owes another after cash was collected; ``hop`` counts from the cash."""

    payer_id: str
    payee_id: str
    amount_minor: int
    hop: int


def payable(payee_id: str) -> str:
    """Return the code of what a book owes ``payee_id``."""
    return f"pay>{payee_id}"


def receivable(payer_id: str) -> str:
    """Return the code of what ``payer_id`` owes a book."""
    return f"recv<{payer_id}"


def liability(tenant_id: str) -> str:
    """Return the code of what the platform owes a tenant: the mirror of its wallet."""
    return f"wallet_liab:{tenant_id}"


def wallet_change(tenant_id: str, amount_minor: int) -> tuple[Entry, Entry]:
    """Return a wallet's change and its mirror in the platform's book; a counterpart must follow."""
    return (
        Entry(tenant_id, WALLET, amount_minor),
        Entry(PLATFORM, liability(tenant_id), -amount_minor),
    )


def top_up(tenant_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A1: money arrives at the platform's bank for a tenant's wallet."""
    return (
        *wallet_change(tenant_id, amount_minor),
        Entry(PLATFORM, "bank", amount_minor),
        Entry(tenant_id, "external_cash", -amount_minor),
    )


def fee(tenant_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A14: the platform charges a tenant's wallet."""
    return (
        *wallet_change(tenant_id, -amount_minor),
        Entry(PLATFORM, "fee_income", -amount_minor),
        Entry(tenant_id, "fees", amount_minor),
    )


def adjusted(tenant_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A14: the platform gives to a wallet, or takes what was too much (below zero)."""
    return (
        *wallet_change(tenant_id, amount_minor),
        Entry(PLATFORM, "adjustments", amount_minor),
        Entry(tenant_id, "adjustments", -amount_minor),
    )


def written_off(payer_id: str, payee_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A14: an obligation that nobody will pay; the payee loses it, the payer is forgiven."""
    return (
        Entry(payee_id, "bad_debt", amount_minor),
        Entry(payee_id, receivable(payer_id), -amount_minor),
        Entry(payer_id, payable(payee_id), amount_minor),
        Entry(payer_id, "forgiven", -amount_minor),
    )


def prepaid_shipped(levels: Sequence[Level]) -> tuple[Entry, ...]:
    """Return A5: every level buys from the one above by wallet, and the goods leave the stock."""
    entries = [
        Entry(levels[0].tenant_id, "inventory", -levels[0].cost_minor),
        *(Entry(level.tenant_id, "goods", level.cost_minor) for level in levels),
    ]
    for seller, buyer in pairwise(levels):
        price_minor = buyer.cost_minor
        entries += wallet_change(seller.tenant_id, price_minor)
        entries += wallet_change(buyer.tenant_id, -price_minor)
        entries.append(Entry(seller.tenant_id, "sales", -price_minor))
    return tuple(entries)


def cod_obligations(
    levels: Sequence[Level], retail_minor: int, collector: int
) -> tuple[Obligation, ...]:
    """Return who owes whom once the level at index ``collector`` holds the customer's cash.

    Cash at or below the child of an edge: the child pays its cost up. Cash above: the parent pays
    the rest down. A negative amount (retail below cost) turns the edge around.
    """
    found = []
    for index, (parent, child) in enumerate(pairwise(levels)):
        below = collector > index
        payer, payee = (child, parent) if below else (parent, child)
        amount_minor = child.cost_minor if below else retail_minor - child.cost_minor
        if amount_minor < 0:
            payer, payee, amount_minor = payee, payer, -amount_minor
        if amount_minor:
            hop = collector - index if below else index - collector + 1
            found.append(Obligation(payer.tenant_id, payee.tenant_id, amount_minor, hop))
    return tuple(sorted(found, key=lambda obligation: obligation.hop))


def cod_delivered(
    levels: Sequence[Level], retail_minor: int, collector: int, *, shortage_minor: int = 0
) -> tuple[Entry, ...]:
    """Return A6 and A9: cash at the collector, obligations between neighbours, each level's margin.

    A shortage (negative: cash too much) stays with the collector; the obligations do not change.
    """
    difference = "shortage" if shortage_minor >= 0 else "overage"
    holder = levels[collector].tenant_id
    entries = [
        Entry(holder, "cod_cash", retail_minor - shortage_minor),
        Entry(holder, difference, shortage_minor),
        Entry(levels[0].tenant_id, "inventory", -levels[0].cost_minor),
    ]
    for owed in cod_obligations(levels, retail_minor, collector):
        entries += obligation_arises(owed)
    prices = [level.cost_minor for level in levels[1:]] + [retail_minor]
    for level, price_minor in zip(levels, prices, strict=True):
        entries.append(Entry(level.tenant_id, "earnings", level.cost_minor - price_minor))
    return tuple(entries)


def obligation_arises(owed: Obligation) -> tuple[Entry, Entry]:
    """Return what an obligation is in the books of the two tenants it stands between."""
    return (
        Entry(owed.payer_id, payable(owed.payee_id), -owed.amount_minor),
        Entry(owed.payee_id, receivable(owed.payer_id), owed.amount_minor),
    )


def remittance_processed(payer_id: str, payee_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A7: an obligation is paid from wallet to wallet."""
    return (
        *wallet_change(payer_id, -amount_minor),
        *wallet_change(payee_id, amount_minor),
        Entry(payer_id, payable(payee_id), amount_minor),
        Entry(payee_id, receivable(payer_id), -amount_minor),
    )


def reversal(entries: Iterable[Entry], paid: Iterable[tuple[str, str]] = ()) -> tuple[Entry, ...]:
    """Return A10: the opposite of a transaction.

    ``paid`` are (payer, payee) of its obligations that were paid already: these are owed back, so
    the opposite lines go to the accounts of an obligation from payee to payer.
    """
    turned = {}
    for payer_id, payee_id in paid:
        turned[payer_id, payable(payee_id)] = receivable(payee_id)
        turned[payee_id, receivable(payer_id)] = payable(payer_id)
    return tuple(
        Entry(entry.book, turned.get((entry.book, entry.code), entry.code), -entry.amount_minor)
        for entry in entries
    )
