"""What reseller programs do to the books: pure builders of balanced postings (document 002)."""

from __future__ import annotations

from engine.postings import PLATFORM, Entry, payable, receivable, wallet_change


def wholesale_prepaid(merchant_id: str, reseller_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A11 and A12: a reseller buys stock from its wallet into the merchant's."""
    return (
        *wallet_change(reseller_id, -amount_minor),
        *wallet_change(merchant_id, amount_minor),
        Entry(reseller_id, "goods", amount_minor),
        Entry(merchant_id, "sales", -amount_minor),
    )


def wholesale_invoiced(merchant_id: str, reseller_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A12 by invoice: the money arrives at the platform's bank for the merchant's wallet."""
    return (
        *wallet_change(merchant_id, amount_minor),
        Entry(PLATFORM, "bank", amount_minor),
        Entry(merchant_id, "sales", -amount_minor),
        Entry(reseller_id, "goods", amount_minor),
        Entry(reseller_id, "external_cash", -amount_minor),
    )


def wholesale_direct(merchant_id: str, reseller_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return a purchase the merchant says it was paid for: no money passes through the platform."""
    return (
        Entry(merchant_id, "external_cash", amount_minor),
        Entry(merchant_id, "sales", -amount_minor),
        Entry(reseller_id, "goods", amount_minor),
        Entry(reseller_id, "external_cash", -amount_minor),
    )


def commission(merchant_id: str, reseller_id: str, amount_minor: int) -> tuple[Entry, ...]:
    """Return A13: a merchant owes a reseller for a sale that it brought."""
    return (
        Entry(merchant_id, "commission_expense", amount_minor),
        Entry(merchant_id, payable(reseller_id), -amount_minor),
        Entry(reseller_id, receivable(merchant_id), amount_minor),
        Entry(reseller_id, "earnings", -amount_minor),
    )


def commission_paid(
    merchant_id: str, reseller_id: str, due_minor: int, back_minor: int
) -> tuple[Entry, ...]:
    """Return the payment of commissions due, less what the reseller owes back of refunded sales."""
    return (
        *wallet_change(merchant_id, back_minor - due_minor),
        *wallet_change(reseller_id, due_minor - back_minor),
        Entry(merchant_id, payable(reseller_id), due_minor),
        Entry(reseller_id, receivable(merchant_id), -due_minor),
        Entry(reseller_id, payable(merchant_id), back_minor),
        Entry(merchant_id, receivable(reseller_id), -back_minor),
    )
