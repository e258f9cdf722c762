"""Write a wallet's statement: what a posting did to it, line by line, under the wallet's lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from engine import accounts
from engine.accounts import Key
from engine.ids import new_id
from engine.postings import WALLET, Hold, Posting
from engine.types import Id, UtcTime
from engine.unit_of_work import UnitOfWork
from engine.wallet_tables import wallet_transactions

CREDIT = "credit"
DEBIT = "debit"
HOLD = "hold"
RELEASE = "release"
DESCRIPTION_LENGTH_MAX = 500
TYPES = (CREDIT, DEBIT, HOLD, RELEASE)
#: What a hold is for, in the words of document 001.
REFERENCE_TYPES = {"order": "chain_order"}

Row = Mapping[str, Any]


def write(
    work: UnitOfWork,
    posting: Posting,
    transaction: Row,
    *,
    before: Mapping[Key, Row],
    entries: Mapping[Key, int],
    closing: Sequence[Row],
) -> None:
    """Append the lines of one posting; the caller holds the locks of the wallets' accounts."""
    rows = [
        {
            "id": new_id(),
            "for_tenant": line["tenant_id"],
            "for_type": line["type"],
            "for_reference_type": line["reference_type"],
            "for_amount": line["amount_minor"],
            "moment": work.now,
            "transaction_id": transaction["id"],
            "kind": posting.kind,
            "currency": posting.currency,
            **{name: line[name] for name in _GIVEN},
        }
        for line in lines(posting, before=before, entries=entries, closing=closing)
    ]
    if rows:
        work.connection.execute(_APPEND, rows)


def lines(
    posting: Posting,
    *,
    before: Mapping[Key, Row],
    entries: Mapping[Key, int],
    closing: Sequence[Row],
) -> Iterator[dict[str, Any]]:
    """Yield what a posting does to each wallet: first what it frees, last what it sets aside."""
    balances = {
        book: (accounts.balance(row), accounts.balance(row) - row["pending_credits"])
        for (book, code), row in before.items()
        if code == WALLET
    }
    for tenant_id, type_, amount_minor, facts in _moves(posting, entries, closing):
        balance_minor, available_minor = balances[tenant_id]
        if type_ in {CREDIT, DEBIT}:
            balance_minor += amount_minor
        balances[tenant_id] = balance_minor, available_minor + amount_minor
        yield {
            "tenant_id": tenant_id,
            "type": type_,
            "amount_minor": abs(amount_minor),
            "balance_minor": balance_minor,
            "available_minor": available_minor + amount_minor,
            **facts,
        }


def _moves(
    posting: Posting, entries: Mapping[Key, int], closing: Sequence[Row]
) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Yield tenant, type, what it does to the available balance, and what it is for."""
    for row, close in zip(closing, posting.closes, strict=True):
        facts = _reference(row["reason"], row["reference_id"], close.note or row["note"])
        yield row["payer_id"], RELEASE, row["amount_minor"], facts
    note = (posting.metadata or {}).get("reason")
    for (book, code), amount_minor in sorted(entries.items()):
        if code == WALLET:
            facts = _reference(posting.reference_type, posting.reference_id, note)
            yield book, CREDIT if amount_minor > 0 else DEBIT, amount_minor, facts
    for hold in posting.opens:
        yield hold.payer_id, HOLD, -hold.amount_minor, _of_hold(hold)


def _of_hold(hold: Hold) -> dict[str, Any]:
    return _reference(hold.reason, hold.reference_id, hold.note)


def _reference(reference_type: str, reference_id: str, note: str | None) -> dict[str, Any]:
    return {
        "reference_type": REFERENCE_TYPES.get(reference_type, reference_type),
        "reference_id": reference_id,
        "description": note and note[:DESCRIPTION_LENGTH_MAX],
    }


_LINE = wallet_transactions.c
_GIVEN = ("balance_minor", "available_minor", "reference_id", "description")
_TENANT = bindparam("for_tenant", type_=Id)
_TYPE = bindparam("for_type", type_=_LINE.type.type)
_REFERENCE_TYPE = bindparam("for_reference_type", type_=_LINE.reference_type.type)
_AMOUNT = bindparam("for_amount", type_=_LINE.amount_minor.type)
_MOMENT = bindparam("moment", type_=UtcTime())


def _last(column: Any, *same: Any) -> Any:
    """Return a column of the newest line so far that has the ``same``, read within the insert."""
    query = select(column).where(_LINE.tenant_id == _TENANT, *same)
    return query.order_by(_LINE.seq.desc()).limit(1).scalar_subquery()


_SAME = (_LINE.type == _TYPE, _LINE.reference_type == _REFERENCE_TYPE)
#: One statement a line: each reads what the one before it left.
_APPEND = insert(wallet_transactions).values(
    tenant_id=_TENANT,
    type=_TYPE,
    reference_type=_REFERENCE_TYPE,
    amount_minor=_AMOUNT,
    seq=func.coalesce(_last(_LINE.seq), 0) + 1,
    number=func.coalesce(_last(_LINE.number, *_SAME), 0) + 1,
    total_minor=func.coalesce(_last(_LINE.total_minor, *_SAME), 0) + _AMOUNT,
    # A transaction that began earlier may get the wallet later.
    created_at=func.greatest(_MOMENT, func.coalesce(_last(_LINE.created_at), _MOMENT)),
)
