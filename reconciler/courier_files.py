"""A courier's file, held against the orders whose cash it took: once, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from engine.ids import new_id
from engine.inputs import check_text
from engine.money import check_currency, parse_amount
from engine.order_tables import chain_orders
from engine.settlement_tables import cod_collections
from engine.settlement_views import KEPT
from engine.unit_of_work import UnitOfWork
from engine.upserts import bulk_insert, insert_missing
from reconciler import courier_match, courier_reading
from reconciler.courier_match import Difference, Kind, Line, Matched, Order
from reconciler.leadership import take_turns
from reconciler.tables import courier_differences, courier_files, courier_lines

#: Values in one query: below what SQLite and PostgreSQL allow.
VALUES_MAX = 500
DUTY = "courier files"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CourierFile:
    """A file as it came; ``banked`` is what the bank paid for each of its batches, as decimals."""

    courier: str
    content: bytes
    currency: str
    banked: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What tells this file from every other: its bytes, and what was said with them."""
        said = [self.courier.lower(), self.currency, sorted(self.banked.items())]
        return hashlib.sha256(orjson.dumps(said) + b"\n" + self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a file: its lines, the days it had to cover, and what matched."""

    lines: Sequence[Line]
    from_at: datetime | None
    until_at: datetime | None
    matched: Matched


def compare(connection: Connection, file: CourierFile) -> Compared:
    """Match a file's lines with orders, and its batches with the bank; nothing is written.

    The days it had to cover are those of its ``paid_at``, or else of the orders it names. Raises
    InvalidInput with the line and column that are wrong.
    """
    check_text(file.courier, field="courier", length_max=100)
    check_currency(file.currency)
    banked = {
        check_text(batch, field="bank", length_max=100): parse_amount(
            amount, file.currency, field=f"bank {batch}"
        )
        for batch, amount in file.banked.items()
    }
    lines = courier_reading.read(file.content, file.currency)
    named = _named(connection, file, {line.reference for line in lines})
    from_at, until_at = _days(lines, named)
    due = _collected(connection, file, from_at, until_at)
    orders = [_order(row) for row in {row["id"]: row for row in (*named, *due)}.values()]
    before = _matched_before(connection, [order.id for order in orders])
    matched = courier_match.match(
        lines, orders, required={row["id"] for row in due}, matched_before=before
    )
    matched.differences += courier_match.match_bank(lines, banked)
    return Compared(lines, from_at, until_at, matched)


def show(connection: Connection, file: CourierFile) -> Row | None:
    """Return what came of a file that was read before, or None."""
    query = select(courier_files).where(courier_files.c.digest == file.digest)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    mine = courier_differences.c.file_id == row["id"]
    found = select(courier_differences).where(mine).order_by(courier_differences.c.id)
    return {**row, "differences": [dict(each) for each in connection.execute(found).mappings()]}


def take(work: UnitOfWork, file: CourierFile) -> bool:
    """Write a file down, line by line, with what does not match; False if it was read before.

    An order that an earlier file lacked, and this one has, is no longer missing.
    """
    # Two files may name one order: the second must see what the first wrote.
    take_turns(work.connection, DUTY, work.now)
    compared = compare(work.connection, file)
    row: Row = {
        "id": new_id(),
        "courier": file.courier,
        "currency": file.currency,
        "digest": file.digest,
        "lines": len(compared.lines),
        "from_at": compared.from_at,
        "until_at": compared.until_at,
        "actor": work.actor,
        "imported_at": work.now,
    }
    if not insert_missing(work.connection, courier_files, [row], ["digest"]):
        return False
    of_line = compared.matched.orders
    lines = [_line_row(row["id"], line, of_line.get(line.number)) for line in compared.lines]
    bulk_insert(work.connection, courier_lines, lines)
    differences = [_difference_row(row, each) for each in compared.matched.differences]
    if differences:
        work.connection.execute(insert(courier_differences), differences)
    _resolve(work, list(of_line.values()))
    return True


def _named(connection: Connection, file: CourierFile, references: Collection[str]) -> list[Row]:
    """Return the collected orders of this courier that go by one of these references."""
    wanted = sorted(references)
    found: list[Row] = []
    for column in (chain_orders.c.tracking_number, chain_orders.c.origin_order_number):
        for part in _parts(wanted):
            found += _rows(connection, file, column.in_(part))
    return found


def _collected(
    connection: Connection, file: CourierFile, from_at: datetime | None, until_at: datetime | None
) -> list[Row]:
    if from_at is None or until_at is None:
        return []
    at = cod_collections.c.collected_at
    # What was given back with its order is not the courier's to pay.
    kept = cod_collections.c.status.in_(KEPT)
    return _rows(connection, file, (at >= from_at) & (at < until_at) & kept)


def _rows(connection: Connection, file: CourierFile, wanted: ColumnElement[bool]) -> list[Row]:
    query = (
        select(
            chain_orders.c.id,
            chain_orders.c.origin_order_number,
            chain_orders.c.tracking_number,
            cod_collections.c.collected_minor,
            cod_collections.c.collected_at,
        )
        .join(cod_collections, cod_collections.c.chain_order_id == chain_orders.c.id)
        .where(
            wanted,
            chain_orders.c.carrier.is_not(None),
            func.lower(chain_orders.c.carrier) == file.courier.lower(),
            cod_collections.c.currency == file.currency,
        )
        .order_by(cod_collections.c.collected_at, chain_orders.c.id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _days(lines: Iterable[Line], named: Iterable[Row]) -> tuple[datetime | None, datetime | None]:
    """Return the whole days, in UTC, between the first and the last payment."""
    known = [line.paid_at for line in lines if line.paid_at is not None]
    known = known or [row["collected_at"] for row in named]
    if not known:
        return None, None
    return _midnight(min(known)), _midnight(max(known)) + timedelta(days=1)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _matched_before(connection: Connection, order_ids: Sequence[str]) -> set[str]:
    taken = courier_lines.c.chain_order_id
    return {
        order_id
        for part in _parts(order_ids)
        for order_id in connection.execute(select(taken).where(taken.in_(part))).scalars()
    }


def _resolve(work: UnitOfWork, order_ids: Sequence[str]) -> None:
    table = courier_differences.c
    for part in _parts(order_ids):
        mine = table.chain_order_id.in_(part) & (table.kind == Kind.MISSING)
        work.connection.execute(
            update(courier_differences)
            .where(mine, table.resolved_at.is_(None))
            .values(resolved_at=work.now)
        )


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[at : at + VALUES_MAX] for at in range(0, len(values), VALUES_MAX))


def _order(row: Row) -> Order:
    return Order(
        row["id"], row["origin_order_number"], row["tracking_number"], row["collected_minor"]
    )


def _line_row(file_id: str, line: Line, order_id: str | None) -> Row:
    values = asdict(line)
    values["line"] = values.pop("number")
    return {"file_id": file_id, **values, "chain_order_id": order_id}


def columns(difference: Difference) -> Row:
    """Return a difference by the names of its columns."""
    values = asdict(difference)
    order_id = values.pop("order_id")
    return {**values, "chain_order_id": order_id}


def _difference_row(file_row: Row, difference: Difference) -> Row:
    ours = {"id": new_id(), "file_id": file_row["id"], "found_at": file_row["imported_at"]}
    return {**ours, **columns(difference), "resolved_at": None}
