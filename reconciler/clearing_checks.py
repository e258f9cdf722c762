"""Accounts that must return to zero and do not, and debts that grow old: a report for finance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select
from sqlalchemy import text as sql

from engine import ageing
from engine.chart import PAYABLE, split
from engine.ledger_tables import ledger_accounts, ledger_entries
from engine.postings import PLATFORM
from engine.settlement_tables import remittances
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

#: An account that must clear may stand so long; a debt may be so long past due.
CLEARS_WITHIN = timedelta(days=30)
#: What finance has to decide about: cash that was short or too much.
UNDECIDED = ("shortage", "overage")
_OWED = sql("remittances.status = 'pending'")


def _find(connection: Connection, scope: Scope) -> Found:
    """Find debts long past due, and clearing accounts that nothing owed explains.

    Once a day, and O(what is owed): the server adds it up.
    """
    debts = ageing.obligations(connection, scope.as_of)
    standing = _standing(connection, scope)
    findings = [*_old(debts, scope), *(_uncleared(row) for row in standing)]
    return Found(len(debts) + len(standing), findings)


def _old(debts: list[dict[str, Any]], scope: Scope) -> Iterator[Finding]:
    for row in debts:
        late = {name: row[name] for name in ageing.PAST_DUE[1:] if row[name]}
        if late:
            yield Finding(
                f"debt of {row['payer_id']} to {row['payee_id']} in {row['currency']}",
                expected={"days_past_due_at_most": CLEARS_WITHIN.days},
                actual={"minor_by_days_past_due": late},
                key=[row["payer_id"], row["payee_id"], row["currency"]],
                tenant_id=row["payer_id"],
                amount_minor=sum(late.values()),
                currency=row["currency"],
                owner=row["payee_id"],
                due_at=min(row["oldest_due_at"], scope.as_of),
            )


def _standing(connection: Connection, scope: Scope) -> list[Any]:
    """Return clearing accounts that were not touched for long, with what is not explained."""
    account, entry = ledger_accounts.c, ledger_entries.c
    balance = account.posted_debits - account.posted_credits
    clearing = or_(account.code.startswith(PAYABLE, autoescape=True), account.code.in_(UNDECIDED))
    query = (
        select(ledger_accounts, balance.label("balance"), entry.created_at.label("touched_at"))
        .join(
            ledger_entries,
            (entry.account_id == account.id) & (entry.account_version == account.version),
        )
        .where(clearing, balance != 0, entry.created_at < scope.as_of - CLEARS_WITHIN)
        .order_by(account.book, account.code)
    )
    owed = _owed(connection)
    found = []
    for row in connection.execute(query):
        stem, payee_id = split(row.code)
        explained = -owed.get((row.book, payee_id, row.currency), 0) if stem == PAYABLE else 0
        if row.balance != explained:
            found.append((row, row.balance - explained))
    return found


def _owed(connection: Connection) -> dict[tuple[str, str | None, str], int]:
    """Return what each payer owes each payee by open remittances."""
    pair = (remittances.c.payer_id, remittances.c.payee_id, remittances.c.currency)
    query = select(*pair, func.sum(remittances.c.amount_minor)).where(_OWED).group_by(*pair)
    return {
        (payer_id, payee_id, currency): int(amount)
        for payer_id, payee_id, currency, amount in connection.execute(query)
    }


def _uncleared(found: tuple[Any, int]) -> Finding:
    row, left = found
    return Finding(
        f"account {row.book}/{row.code}/{row.currency}",
        expected={"cleared_within_days": CLEARS_WITHIN.days},
        actual={"left_minor": left, "since": f"{row.touched_at:%Y-%m-%d}"},
        key=row.id,
        tenant_id=None if row.book == PLATFORM else row.book,
        amount_minor=abs(left),
        currency=row.currency,
        owner=None if row.book == PLATFORM else row.book,
    )


ACCOUNTS_CLEAR = Check(
    id="K17",
    title="Accounts that do not clear, and old debts",
    compares="what is owed with its due date, by days past due, and clearing accounts with zero"
    " thirty days after they were last touched",
    remedy="finance pays, writes off (tillbell ledger write-off) or decides the difference",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=86_400,
    find=_find,
)
