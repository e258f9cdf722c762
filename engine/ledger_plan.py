"""What of the ledger is to be read: accounts that are not as they were when last found whole."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Subquery,
    case,
    func,
    literal,
    or_,
    select,
)

from engine.ledger_chain import GENESIS, Link
from engine.ledger_findings import Account, Finding, compare, missing, name_of, of_account
from engine.ledger_tables import ledger_accounts, ledger_entries
from engine.types import Bytes

#: Accounts that a plan names.
PLAN_ACCOUNTS = 5_000
#: Smaller than any identifier.
FIRST = "00000000-0000-0000-0000-000000000000"
#: Forged entries that are named one by one, of one account.
FORGED_MAX = 10
_ACCOUNT, _ENTRY = ledger_accounts.c, ledger_entries.c


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one account's chain: the entries behind ``start`` up to version ``end``.

    ``account`` is the account's row at the moment of planning.
    """

    account: Account
    start: Link
    end: int


@dataclass(slots=True)
class Plan:
    """What is to be read, what is wrong at the ends, and the last account: None where no more."""

    spans: deque[Span] = field(default_factory=deque)
    last: str | None = None
    findings: list[Finding] = field(default_factory=list)


def plan(connection: Connection, starts: Subquery | None = None, after: str = FIRST) -> Plan:
    """Return what is to be read of the next accounts behind ``starts``, and what is wrong there.

    ``starts`` has the columns of a checkpoint, with sums that may be null; without it everything is
    read. An account that is as its checkpoint says costs a look of the server at it and its newest
    entry: O(accounts), compared in SQL, and none of them comes here. ``last`` of the plan is the
    ``after`` of the next one. One statement, so accounts and their newest entries are of one
    moment; what is posted later is not looked at.
    """
    found = connection.execute(_differing(starts).where(_ACCOUNT.id > after)).all()
    made = Plan(last=found[-1].id if len(found) == PLAN_ACCOUNTS else None)
    for account in found:
        start, last = _start(account), account.newest or 0
        if last < account.version:
            made.findings.append(missing(account, last + 1))
        if last > account.version:
            made.findings += _forged(connection, account)
        if start.version < min(last, account.version):
            made.spans.append(Span(account, start, min(last, account.version)))
        elif last >= account.version:
            made.findings += compare(account, start)
    return made


def _differing(starts: Subquery | None) -> Select[Any]:
    """Select accounts whose counters or newest entry are not what their start says."""
    newest = (
        select(_ENTRY.account_version)
        .where(_ENTRY.account_id == _ACCOUNT.id)
        .order_by(_ENTRY.account_version.desc())
        .limit(1)
        .scalar_subquery()
    )
    start, joined = _start_columns(starts), ledger_accounts
    balance = _ACCOUNT.posted_debits - _ACCOUNT.posted_credits
    sums_known = start["debits"].is_not(None)
    differs = or_(
        _ACCOUNT.version != start["version"],
        _ACCOUNT.digest != start["digest"],
        balance != start["balance"],
        sums_known & (_ACCOUNT.posted_debits != start["debits"]),
        # Last: the server need not look for an entry where the rest tells already.
        func.coalesce(newest, 0) != _ACCOUNT.version,
    )
    names = ("id", "book", "code", "currency", "version", "digest")
    columns = [_ACCOUNT[name] for name in (*names, "posted_debits", "posted_credits")]
    begun = [value.label(f"start_{name}") for name, value in start.items()]
    source: FromClause = joined
    if starts is not None:
        source = joined.outerjoin(starts, starts.c.account_id == _ACCOUNT.id)
    query = select(*columns, *begun, newest.label("newest")).select_from(source)
    return query.where(differs).order_by(_ACCOUNT.id).limit(PLAN_ACCOUNTS)


def _start_columns(starts: Subquery | None) -> dict[str, ColumnElement[Any]]:
    """Return the fields of a Link in SQL; an account without a start begins at nothing."""
    zero, genesis = literal(0), literal(GENESIS, Bytes)
    if starts is None:
        return {
            "version": zero,
            "balance": zero,
            "digest": genesis,
            "debits": zero,
            "credits": zero,
        }
    from_start, missing = starts.c, starts.c.account_id.is_(None)
    return {
        "version": func.coalesce(from_start.version, 0),
        "balance": func.coalesce(from_start.balance, 0),
        "digest": func.coalesce(from_start.digest, genesis, type_=Bytes),
        "debits": case((missing, 0), else_=from_start.posted_debits),
        "credits": case((missing, 0), else_=from_start.posted_credits),
    }


def _start(account: Account) -> Link:
    return Link(
        version=account.start_version,
        balance=int(account.start_balance),
        digest=account.start_digest,
        debits=account.start_debits,
        credits=account.start_credits,
    )


def _forged(connection: Connection, account: Account) -> list[Finding]:
    """Name the entries an account knows nothing of."""
    query = (
        select(ledger_entries)
        .where(_ENTRY.account_id == account.id, _ENTRY.account_version > account.version)
        .order_by(_ENTRY.account_version)
        .limit(FORGED_MAX)
    )
    return [
        of_account(
            account,
            f"entry {row['id']}, version {row['account_version']} of {name_of(account)}",
            field="entry",
            expected="none",
            actual=row["amount_minor"],
            account_version=row["account_version"],
            entry_id=row["id"],
            transaction_id=row["transaction_id"],
        )
        for row in connection.execute(query).mappings()
    ]
