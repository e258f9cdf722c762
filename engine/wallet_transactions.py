"""Read a wallet's statement: pages, single lines, and what a period came to (document 001).

Lines of one wallet are numbered without a gap in the order of its ledger, and their instants never
run against that order: a range of time is a range of numbers. A filter reads one ordered run of an
index for each kind of line that matches, so a page costs what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, literal_column, select, union_all

from engine import tenants
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id
from engine.inputs import check_choice, check_integer, check_text
from engine.money import money_fields
from engine.periods import start_of_day
from engine.wallet_statement import TYPES
from engine.wallet_tables import wallet_transactions

LIMIT_MAX = 1000
PER_PAGE_DEFAULT = 20
PAGE_MAX = 1_000_000
#: Above the number of any line.
SEQ_MAX = 2**62
DATE_MIN, DATE_MAX = date(1970, 1, 2), date(9000, 12, 31)

Row = dict[str, Any]
#: A type and a reference type that a wallet has lines of.
Kind = tuple[str, str]
_LINE = wallet_transactions.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which lines; dates are days of the tenant's own zone, both included."""

    type: str | None = None
    reference_type: str | None = None
    from_date: date | None = None
    to_date: date | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Lines of one wallet: numbers above ``after`` up to ``upto``, of some kinds (None: all)."""

    tenant_id: str
    after: int
    upto: int
    kinds: tuple[Kind, ...] | None

    def query(self, limit: int, *, offset: int = 0, descending: bool = True) -> Select[Any]:
        """Return the query of a page: each kind's run of its index, merged in order."""
        order = _LINE.seq.desc() if descending else _LINE.seq
        within = (
            _LINE.tenant_id == self.tenant_id,
            _LINE.seq > self.after,
            _LINE.seq <= self.upto,
        )
        if self.kinds is None:
            whole = select(wallet_transactions).where(*within)
            return whole.order_by(order).limit(limit).offset(offset)
        runs = [
            select(
                select(_LINE.id)
                .where(*within, _LINE.type == type_, _LINE.reference_type == reference_type)
                .order_by(order)
                .limit(limit + offset)
                .subquery()
            )
            for type_, reference_type in self.kinds
        ]
        # A wallet without lines of the kind asked for: nothing, in the shape of something.
        found = union_all(*runs) if runs else select(_LINE.id).where(_LINE.id.is_(None))
        chosen = select(wallet_transactions).where(_LINE.id.in_(found))
        return chosen.order_by(order).limit(limit).offset(offset)


def choose(connection: Connection, tenant_id: str, filters: Filters | None = None) -> Selection:
    """Return the lines that filters mean now; raise InvalidInput naming the field, or NotFound."""
    filters = filters or Filters()
    tenant = tenants.get(connection, tenant_id)
    if filters.type is not None:
        check_choice(filters.type, TYPES, field="type")
    if filters.reference_type is not None:
        check_text(filters.reference_type, field="reference_type", length_max=40)
    after, upto = _range(connection, tenant, filters)
    kinds = None
    if filters.type is not None or filters.reference_type is not None:
        kinds = tuple(
            (type_, reference_type)
            for type_, reference_type in kinds_of(connection, tenant["id"])
            if filters.type in {None, type_} and filters.reference_type in {None, reference_type}
        )
    return Selection(tenant["id"], after, upto, kinds)


def listing(
    connection: Connection,
    tenant_id: str,
    filters: Filters | None = None,
    *,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """Return ``data``, newest first, and the ``next_cursor`` to pass back as ``after``.

    Raises InvalidInput for a wrong filter, limit or cursor, or NotFound (tenant).
    """
    check_integer(limit, field="limit", minimum=1, maximum=LIMIT_MAX)
    chosen = choose(connection, tenant_id, filters)
    if after is not None:
        chosen = Selection(
            chosen.tenant_id, chosen.after, min(chosen.upto, _place(after) - 1), chosen.kinds
        )
    rows = list(connection.execute(chosen.query(limit + 1)).mappings())
    more = len(rows) > limit
    return {
        "data": [view(dict(row)) for row in rows[:limit]],
        "next_cursor": str(rows[limit - 1]["seq"]) if more else None,
    }


def page(
    connection: Connection,
    tenant_id: str,
    filters: Filters | None = None,
    *,
    per_page: int = PER_PAGE_DEFAULT,
    number: int = 1,
) -> dict[str, Any]:
    """Return ``transactions`` and ``pagination`` as document 001 pages its lists, newest first.

    A page far behind costs what lies before it; who reads everything follows ``listing``.
    """
    check_integer(per_page, field="per_page", minimum=1, maximum=LIMIT_MAX)
    check_integer(number, field="page", minimum=1, maximum=PAGE_MAX)
    chosen = choose(connection, tenant_id, filters)
    total = sum(row["count"] for row in totals(connection, chosen))
    rows = connection.execute(chosen.query(per_page, offset=(number - 1) * per_page)).mappings()
    return {
        "transactions": [view(dict(row)) for row in rows],
        "pagination": {
            "current_page": number,
            "last_page": max(-(-total // per_page), 1),
            "per_page": per_page,
            "total": total,
        },
    }


def get(connection: Connection, line_id: str, *, tenant_id: str | None = None) -> Row:
    """Return one line as it is shown, or raise NotFound when it is not of the tenant's wallet."""
    row = None
    if is_id(line_id):
        query = select(wallet_transactions).where(_LINE.id == line_id.lower())
        row = connection.execute(query).mappings().first()
    if row is None or tenant_id not in {None, row["tenant_id"]}:
        raise NotFound(f"no wallet transaction {line_id!r}", field="transaction_id", value=line_id)
    return view(dict(row))


def view(row: Mapping[str, Any]) -> Row:
    """Return a line as it is shown: amounts twice, and the wallet after it."""
    currency = row["currency"]
    return {
        "id": row["id"],
        "tenant_id": row["tenant_id"],
        "type": row["type"],
        **money_fields(currency, amount=row["amount_minor"]),
        "currency": currency,
        "reference_type": row["reference_type"],
        "reference_id": row["reference_id"],
        "description": row["description"],
        "kind": row["kind"],
        **money_fields(
            currency,
            balance_after=row["balance_minor"],
            available_after=row["available_minor"],
        ),
        "seq": row["seq"],
        "ledger_transaction_id": row["transaction_id"],
        "created_at": row["created_at"],
    }


def kinds_of(connection: Connection, tenant_id: str) -> list[Kind]:
    """Return the types and reference types a wallet has lines of; costs what it returns."""
    firsts = select(_LINE.type, _LINE.reference_type).where(
        _LINE.tenant_id == tenant_id, _LINE.number == literal_column("1")
    )
    return [(row.type, row.reference_type) for row in connection.execute(firsts)]


def totals(connection: Connection, chosen: Selection) -> Sequence[Row]:
    """Return ``type``, ``reference_type``, ``count`` and ``amount_minor`` of each kind chosen.

    Each is the difference between two lines, so it costs the same however many lie between them.
    """
    found = []
    kinds = kinds_of(connection, chosen.tenant_id) if chosen.kinds is None else chosen.kinds
    for type_, reference_type in kinds:
        same = (_LINE.type == type_, _LINE.reference_type == reference_type)
        until, before = (
            _last(connection, chosen.tenant_id, *same, _LINE.seq <= seq)
            for seq in (chosen.upto, chosen.after)
        )
        found.append(
            {
                "type": type_,
                "reference_type": reference_type,
                "count": until["number"] - before["number"],
                "amount_minor": until["total_minor"] - before["total_minor"],
            }
        )
    return [row for row in found if row["count"] > 0]


def newest(connection: Connection, tenant_id: str) -> int:
    """Return the number of the wallet's last line; whoever sees it sees all before it."""
    return int(_last(connection, tenant_id)["seq"])


def balance_at(connection: Connection, tenant_id: str, seq: int) -> int:
    """Return the wallet's balance after the line ``seq``, in minor units; nothing before any."""
    return int(_last(connection, tenant_id, _LINE.seq <= seq)["balance_minor"])


def _range(connection: Connection, tenant: Row, filters: Filters) -> tuple[int, int]:
    """Return the numbers between which the days asked for lie."""
    for name in ("from_date", "to_date"):
        day = getattr(filters, name)
        if day is not None and not DATE_MIN <= day <= DATE_MAX:
            raise InvalidInput(f"{name} {day} is out of range", field=name, value=str(day))
    first, last = filters.from_date, filters.to_date
    if first is not None and last is not None and last < first:
        raise InvalidInput("to_date lies before from_date", field="to_date", value=str(last))
    after, upto = 0, SEQ_MAX
    if first is not None:
        after = last_before(connection, tenant["id"], start_of_day(first, tenant["timezone"]))
    if last is not None:
        end = start_of_day(last + timedelta(days=1), tenant["timezone"])
        upto = last_before(connection, tenant["id"], end)
    return after, upto


def last_before(connection: Connection, tenant_id: str, instant: datetime) -> int:
    """Return the number of the wallet's last line before an instant; 0 where there is none."""
    query = (
        select(_LINE.seq)
        .where(_LINE.tenant_id == tenant_id, _LINE.created_at < instant)
        .order_by(_LINE.created_at.desc(), _LINE.seq.desc())
        .limit(1)
    )
    return int(connection.execute(query).scalar() or 0)


def _last(connection: Connection, tenant_id: str, *same: Any) -> Mapping[str, Any]:
    query = (
        select(_LINE.seq, _LINE.number, _LINE.total_minor, _LINE.balance_minor)
        .where(_LINE.tenant_id == tenant_id, *same)
        .order_by(_LINE.seq.desc())
        .limit(1)
    )
    found = connection.execute(query).mappings().first()
    return dict(found) if found else _NOTHING


def _place(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise InvalidInput(f"{cursor!r} is no cursor of this list", field="after", value=cursor)
    return int(cursor)


_NOTHING = {"seq": 0, "number": 0, "total_minor": 0, "balance_minor": 0}
