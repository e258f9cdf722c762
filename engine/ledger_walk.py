"""Read the entries of accounts in the order of their chains, a bounded batch at a time; compare."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from sqlalchemy import BigInteger, Connection, String, cast, column, select, values

from engine import ledger_chain
from engine.ledger_chain import Break, Link
from engine.ledger_findings import (
    Account,
    Finding,
    balance_of,
    compare,
    missing,
    name_of,
    of_account,
)
from engine.ledger_plan import Span
from engine.ledger_tables import ledger_accounts, ledger_entries, ledger_transactions
from engine.types import Id

#: Read in one short transaction.
BATCH_ENTRIES = 10_000
BATCH_ACCOUNTS = 1_000
_ACCOUNT, _ENTRY = ledger_accounts.c, ledger_entries.c
#: Identifiers as text: to make objects of them and text of these is a third of a walk.
_IDS = ("id", "transaction_id", "account_id")
_COLUMNS = (
    *(cast(_ENTRY[name], String(36)).label(name) for name in _IDS),
    *(each for each in _ENTRY if each.name not in _IDS),
    ledger_transactions.c.digest.label("transaction_digest"),
)


@dataclass(slots=True)
class Walked:
    """What was read: findings, the transactions met, and where each chain that was read stands."""

    entries: int = 0
    findings: list[Finding] = field(default_factory=list)
    transaction_ids: set[str] = field(default_factory=set)
    links: dict[str, Link] = field(default_factory=dict)


def step(connection: Connection, spans: deque[Span]) -> Walked:
    """Read the next batch off ``spans`` and follow each chain; what is left of one is put back."""
    batch = _take(spans)
    walked = Walked()
    rows = {key: list(group) for key, group in groupby(_rows(connection, batch), _account_id)}
    for span in batch:
        mine = rows.get(span.account.id, [])
        whole = span.end == span.account.version
        breaks: list[Break] = []
        end = balance_of(span.account) if whole else None
        link = ledger_chain.walk(span.start, mine, breaks, end)
        if link.version < span.end:
            breaks.append(Break("account_version", link.version + 1, "an entry", "missing"))
            link = replace(link, version=span.end)
        walked.findings += (_named(span.account, each) for each in breaks)
        walked.findings += compare(span.account, link) if whole else ()
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


def _named(account: Account, found: Break) -> Finding:
    if found.entry is None:
        return missing(account, found.version)
    return of_account(
        account,
        f"entry {found.entry['id']}, version {found.version} of {name_of(account)}",
        field=found.field,
        expected=found.expected,
        actual=found.actual,
        account_version=found.version,
        entry_id=found.entry["id"],
        transaction_id=found.entry["transaction_id"],
    )
