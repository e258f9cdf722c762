"""The chart of accounts: every code a book may have, its natural side and its mirror. Pure.

A book is a tenant's id or ``platform``. A code that names another tenant ends with its id.
"""

from __future__ import annotations

from engine.errors import UnknownAccount
from engine.postings import PLATFORM, WALLET, liability, payable, receivable

DEBIT, CREDIT = "debit", "credit"

#: Each code with the side its balance is naturally on.
CODES = {
    "bank": DEBIT,
    WALLET: DEBIT,
    "cod_cash": DEBIT,
    "goods": DEBIT,
    "inventory": DEBIT,
    "shortage": DEBIT,
    "cash_over_short": DEBIT,
    "commission_expense": DEBIT,
    "fees": DEBIT,
    "bad_debt": DEBIT,
    "refunds": DEBIT,
    "external_cash": CREDIT,
    "sales": CREDIT,
    "earnings": CREDIT,
    "overage": CREDIT,
    "fee_income": CREDIT,
    "forgiven": CREDIT,
    "adjustments": CREDIT,
}
RECEIVABLE, PAYABLE, LIABILITY = receivable(""), payable(""), liability("")
#: Codes that go on with a tenant's id.
PREFIXES = {RECEIVABLE: DEBIT, PAYABLE: CREDIT, LIABILITY: CREDIT}


def split(code: str) -> tuple[str, str | None]:
    """Return the code's prefix and the tenant it names, or the code and None."""
    for prefix in PREFIXES:
        if code.startswith(prefix):
            return prefix, code.removeprefix(prefix)
    return code, None


def normal_side(code: str) -> str:
    """Return ``debit`` or ``credit``, or raise UnknownAccount for a code that is not in the chart.

    A new kind of account is a line of this file.
    """
    stem, _ = split(code)
    side = PREFIXES.get(stem) or CODES.get(stem)
    if side is None:
        raise UnknownAccount(
            f"the chart of accounts has no {code!r}; known are"
            f" {', '.join(sorted(CODES | PREFIXES))}",
            field="code",
            value=code,
        )
    return side


def mirror(book: str, code: str) -> tuple[str, str] | None:
    """Return the pair of books an account stands between, the same for both of its sides.

    A wallet and the platform's liability, a receivable and its payable, always add up to nothing.
    """
    stem, tenant_id = split(code)
    if code == WALLET:
        return book, WALLET
    if tenant_id is None:
        return None
    if stem == LIABILITY:
        return tenant_id, WALLET
    return (book, payable(tenant_id)) if stem == PAYABLE else (tenant_id, payable(book))


def sides(book: str, code: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return both accounts of a pair that ``mirror`` names, as books and codes."""
    if code == WALLET:
        return (book, code), (PLATFORM, liability(book))
    creditor = code.removeprefix(PAYABLE)
    return (book, code), (creditor, receivable(book))
