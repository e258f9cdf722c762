"""Pages of a history, newest first, by index: the cost is the page, however long the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    literal,
    select,
    tuple_,
    union_all,
)

from engine.errors import InvalidInput
from engine.ids import is_id
from engine.inputs import check_integer
from engine.periods import start_of_day

LIMIT_MAX = 1000
#: Days that every zone can read as an instant.
YEARS = range(1970, 3000)

Branch = Sequence[ColumnElement[bool]]


def newest(
    connection: Connection,
    table: Table,
    branches: Iterable[Branch],
    *,
    at: Column[Any],
    limit: int,
    after: str | None = None,
) -> dict[str, Any]:
    """Return ``data``, newest by ``at`` first, and the ``next_cursor`` to pass back as ``after``.

    A row is in one branch at most. A branch is read by its own index, which begins with the
    columns it compares and ends with ``at`` and the id; one index for all of them would have to
    be sorted. Raises InvalidInput for a limit out of range or a cursor of something else.
    """
    check_integer(limit, field="limit", minimum=1, maximum=LIMIT_MAX)
    beyond = [] if after is None else [_older(connection, table, at, after)]
    parts = [
        _newest_first(select(table).where(*branch, *beyond), at, table.c.id, limit).subquery()
        for branch in branches
    ]
    merged = union_all(*(select(part) for part in parts)).subquery()
    query = _newest_first(select(merged), merged.c[at.name], merged.c.id, limit)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    data = rows[:limit]
    return {"data": data, "next_cursor": data[-1]["id"] if len(rows) > limit else None}


def between(
    at: Column[Any],
    from_date: date | None,
    to_date: date | None,
    tenant: Mapping[str, Any] | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions for ``at`` lying on the given days, of the tenant's zone or UTC.

    Both days are included. Raises InvalidInput for a day before 1970 or after 2999.
    """
    timezone = "UTC" if tenant is None else tenant["timezone"]
    for field, day in (("from_date", from_date), ("to_date", to_date)):
        if day is not None and day.year not in YEARS:
            raise InvalidInput(f"{field} {day} is not of our time", field=field, value=str(day))
    found: list[ColumnElement[bool]] = []
    if from_date is not None:
        found.append(at >= start_of_day(from_date, timezone))
    if to_date is not None:
        found.append(at < start_of_day(to_date + timedelta(days=1), timezone))
    return found


def _newest_first(
    query: Select[Any], at: ColumnElement[Any], row_id: ColumnElement[Any], limit: int
) -> Select[Any]:
    return query.order_by(at.desc(), row_id.desc()).limit(limit + 1)


def _older(
    connection: Connection, table: Table, at: Column[Any], after: str
) -> ColumnElement[bool]:
    found = None
    if is_id(after):
        found = connection.execute(select(at).where(table.c.id == after.lower())).scalar()
    if found is None:
        raise InvalidInput(
            "this is not a cursor of this list; pass next_cursor back as it came", field="after"
        )
    place = tuple_(literal(found, at.type), literal(after.lower(), table.c.id.type))
    return tuple_(at, table.c.id) < place
