"""Read the entries of accounts in the order of their chains, a bounded batch at a time; compare."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from sqlalchemy import BigInteger, Connection, String, cast, column, select, values

from engine import ledger_chain
from engine.ledger_chain import Break, Link
from engine.ledger_tables import ledger_accounts, ledger_entries, ledger_transactions
from engine.types import Id

Finding = dict[str, Any]
#: A row of ``ledger_accounts``, without what a walk does not need.
Account = Any
#: Read in one short transaction.
BATCH_ENTRIES = 10_000
BATCH_ACCOUNTS = 1_000
#: Forged entries that are named one by one, of one account.
FORGED_MAX = 10
_ACCOUNT, _ENTRY = ledger_accounts.c, ledger_entries.c
#: Identifiers as text: to make objects of them and text of these is a third of a walk.
_IDS = ("id", "transaction_id", "account_id")
_COLUMNS = (
    *(cast(_ENTRY[name], String(36)).label(name) for name in _IDS),
    *(each for each in _ENTRY if each.name not in _IDS),
    ledger_transactions.c.digest.label("transaction_digest"),
)


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
    """What is to be read, of how many accounts, and what is wrong at their ends."""

    spans: deque[Span] = field(default_factory=deque)
    accounts: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Walked:
    """What was read: findings, the transactions met, and where each chain that was read stands."""

    entries: int = 0
    findings: list[Finding] = field(default_factory=list)
    transaction_ids: set[str] = field(default_factory=set)
    links: dict[str, Link] = field(default_factory=dict)


def plan(connection: Connection, starts: Mapping[str, Link]) -> Plan:
    """Return what is to be read of every account behind ``starts``, and what is wrong at the ends.

    One statement, so accounts and their newest entries are of one moment; what is posted later is
    not looked at. Costs a look at each account, not at its entries.
    """
    newest = (
        select(_ENTRY.account_version)
        .where(_ENTRY.account_id == _ACCOUNT.id)
        .order_by(_ENTRY.account_version.desc())
        .limit(1)
        .scalar_subquery()
    )
    names = ("id", "book", "code", "currency", "version", "digest")
    columns = [_ACCOUNT[name] for name in (*names, "posted_debits", "posted_credits")]
    query = select(*columns, newest.label("newest")).order_by(_ACCOUNT.id)
    made = Plan()
    for account in connection.execute(query):
        made.accounts += 1
        start, last = starts.get(account.id, Link()), account.newest or 0
        if last < account.version:
            made.findings.append(_missing(account, last + 1))
        if last > account.version:
            made.findings += _forged(connection, account)
        if start.version < min(last, account.version):
            made.spans.append(Span(account, start, min(last, account.version)))
        elif last >= account.version:
            made.findings += _compare(account, start)
    return made


def step(connection: Connection, spans: deque[Span]) -> Walked:
    """Read the next batch off ``spans`` and follow each chain; what is left of one is put back."""
    batch = _take(spans)
    walked = Walked()
    rows = {key: list(group) for key, group in groupby(_rows(connection, batch), _account_id)}
    for span in batch:
        mine = rows.get(span.account.id, [])
        whole = span.end == span.account.version
        breaks: list[Break] = []
        end = _balance(span.account) if whole else None
        link = ledger_chain.walk(span.start, mine, breaks, end)
        if link.version < span.end:
            breaks.append(Break("account_version", link.version + 1, "an entry", "missing"))
            link = replace(link, version=span.end)
        walked.findings += (_named(span.account, each) for each in breaks)
        walked.findings += _compare(span.account, link) if whole else ()
        walked.transaction_ids.update(row["transaction_id"] for row in mine)
        walked.links[span.account.id] = link
        walked.entries += len(mine)
    if spans and spans[0].account is batch[-1].account:
        spans[0] = replace(spans[0], start=link)
    return walked


def _take(spans: deque[Span]) -> list[Span]:
    batch: list[Span] = []
    room = BATCH_ENTRIES
    while spans and room > 0 and len(batch) < BATCH_ACCOUNTS:
        span = spans.popleft()
        cut = min(span.end, span.start.version + room)
        batch.append(replace(span, end=cut))
        room -= cut - span.start.version
        if cut < span.end:
            spans.appendleft(span)
    return batch


def _rows(connection: Connection, batch: Sequence[Span]) -> Sequence[Any]:
    """Return the entries of the stretches with their transactions' digests, in order."""
    wanted = (
        values(
            column("account_id", Id),
            column("start", BigInteger),
            column("end", BigInteger),
            name="spans",
        )
        .data([(span.account.id, span.start.version, span.end) for span in batch])
        .cte("spans")
    )
    query = (
        select(*_COLUMNS)
        .join_from(
            wanted,
            ledger_entries,
            (_ENTRY.account_id == wanted.c.account_id)
            & (_ENTRY.account_version > wanted.c.start)
            & (_ENTRY.account_version <= wanted.c.end),
        )
        .outerjoin(ledger_transactions, ledger_transactions.c.id == _ENTRY.transaction_id)
        .order_by(_ENTRY.account_id, _ENTRY.account_version)
    )
    return connection.execute(query).mappings().all()


def _account_id(row: Any) -> str:
    return str(row["account_id"])


def _balance(account: Account) -> int:
    return int(account.posted_debits - account.posted_credits)


def _compare(account: Account, link: Link) -> list[Finding]:
    """Compare what an account says with what its chain came to."""
    pairs: dict[str, tuple[Any, Any]] = {
        "version": (link.version, account.version),
        "balance": (link.balance, _balance(account)),
        "digest": (link.digest.hex(), account.digest.hex()),
    }
    if link.debits is not None and link.credits is not None:
        pairs["posted_debits"] = link.debits, account.posted_debits
        pairs["posted_credits"] = link.credits, account.posted_credits
        del pairs["balance"]
    return [
        _finding(account, f"account {_name(account)}", field=name, expected=one, actual=other)
        for name, (one, other) in pairs.items()
        if one != other
    ]


def _named(account: Account, found: Break) -> Finding:
    if found.entry is None:
        return _missing(account, found.version)
    return _finding(
        account,
        f"entry {found.entry['id']}, version {found.version} of {_name(account)}",
        field=found.field,
        expected=found.expected,
        actual=found.actual,
        account_version=found.version,
        entry_id=found.entry["id"],
        transaction_id=found.entry["transaction_id"],
    )


def _missing(account: Account, version: int) -> Finding:
    return _finding(
        account,
        f"version {version} of {_name(account)}",
        field="entry",
        expected="an entry",
        actual="missing",
        account_version=version,
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
        _finding(
            account,
            f"entry {row['id']}, version {row['account_version']} of {_name(account)}",
            field="entry",
            expected="none",
            actual=row["amount_minor"],
            account_version=row["account_version"],
            entry_id=row["id"],
            transaction_id=row["transaction_id"],
        )
        for row in connection.execute(query).mappings()
    ]


def _finding(account: Account, what: str, *, field: str, **facts: Any) -> Finding:
    return {
        "check": "L2",
        "subject": f"{what}: {field}",
        "field": field,
        "account": _name(account),
        "account_id": account.id,
        **facts,
    }


def _name(account: Account) -> str:
    return f"{account.book}/{account.code}/{account.currency}"
