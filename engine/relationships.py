"""Relationships: one merchant, one reseller and what they agreed on (document 002).

A relationship's id is a tenant boundary: whoever is on neither side of it does not find it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select
from sqlalchemy import update as update_rows

from engine import reseller_events, tenants
from engine.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, ProgramUnavailable
from engine.ids import is_id, new_id
from engine.inputs import check_choice, check_keys
from engine.program_tables import reseller_product_access, reseller_relationships
from engine.programs import BOTH
from engine.reseller_terms import RELATIONSHIP_FIELDS, read_terms
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

Row = dict[str, Any]
ACTIVE, SUSPENDED = "active", "suspended"
STATUSES = (ACTIVE, SUSPENDED)
MERCHANT, RESELLER = "parent_id", "child_id"
_TABLE = reseller_relationships.c


@dataclass(frozen=True, slots=True)
class Terms:
    """What two tenants agreed on for what one owes the other; None where they did not."""

    credit_limit_minor: int | None = None
    terms_days: int | None = None


def terms_between(
    connection: Connection, pairs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Terms]:
    """Return the terms of each pair of tenants, in whichever order merchant and reseller stand.

    Pairs without a relationship have empty terms. One query for all of them.
    """
    sides = [(_TABLE.parent_id == one) & (_TABLE.child_id == other) for one, other in pairs]
    sides += [(_TABLE.parent_id == other) & (_TABLE.child_id == one) for one, other in pairs]
    found: dict[tuple[str, str], Terms] = {}
    if sides:
        query = select(reseller_relationships).where(or_(*sides))
        for row in connection.execute(query):
            terms = Terms(row.credit_limit_minor, row.terms_days)
            found[row.parent_id, row.child_id] = found[row.child_id, row.parent_id] = terms
    return {pair: found.get(pair, Terms()) for pair in pairs}


def credit_between(connection: Connection, one: str, other: str) -> int | None:
    """Return how far one may owe the other by choice, in minor units; None: as its wallet may.

    A limit that is lowered takes nothing back: it counts for what is bought from then on.
    """
    return terms_between(connection, [(one, other)])[one, other].credit_limit_minor


def create(work: UnitOfWork, parent_id: str, child_id: str, terms: Mapping[str, Any]) -> Row:
    """Bind a reseller to a merchant by checked terms and return the row; its events are raised.

    Raises NotFound, InvalidInput for a tenant with itself or with another currency, or
    AlreadyExists.
    """
    merchant = tenants.get(work.connection, parent_id)
    reseller = tenants.get(work.connection, child_id)
    if merchant["id"] == reseller["id"] or merchant["currency"] != reseller["currency"]:
        raise InvalidInput(
            "a reseller is another tenant than its merchant, with the same currency",
            field="tenant_id",
            value=child_id,
        )
    row: Row = dict.fromkeys(column.name for column in _TABLE)
    columns = {name: value for name, value in terms.items() if name != "product_access"}
    row |= {
        "id": new_id(),
        "parent_id": merchant["id"],
        "child_id": reseller["id"],
        "status": ACTIVE,
        "currency": merchant["currency"],
        "purchased_quantity": 0,
        "version": 1,
        "created_at": work.now,
        "updated_at": work.now,
        **columns,
    }
    if not insert_missing(work.connection, reseller_relationships, [row], [MERCHANT, RESELLER]):
        raise AlreadyExists("this tenant is a reseller of the merchant already", field="tenant_id")
    _set_access(work, row["id"], terms.get("product_access") or [])
    return row


def update(
    work: UnitOfWork,
    relationship_id: str,
    changes: Mapping[str, Any],
    *,
    tenant_id: str | None = None,
) -> Row:
    """Change what the merchant grants, or the ``status``; both sides are told. Returns the row.

    Raises NotFound, Forbidden for the reseller, InvalidInput or InvalidAmount naming the field.
    """
    before = lock(work, relationship_id, tenant_id=tenant_id, side=MERCHANT)
    given = check_keys(changes, (*RELATIONSHIP_FIELDS, "status"), field="relationship")
    status = check_choice(given.pop("status", before["status"]), STATUSES, field="status")
    merchant = tenants.get(work.connection, before["parent_id"])
    columns = read_terms(work.connection, given, merchant)
    access = columns.pop("product_access", None)
    columns["status"] = status
    if access is None and all(before[name] == value for name, value in columns.items()):
        return before
    columns |= {"version": before["version"] + 1, "updated_at": work.now}
    mine = _TABLE.id == before["id"]
    work.connection.execute(update_rows(reseller_relationships).where(mine).values(columns))
    if access is not None:
        _set_access(work, before["id"], access)
    row = before | columns
    for draft in reseller_events.updated(row):
        work.raise_event(draft)
    return row


def get(
    connection: Connection,
    relationship_id: str,
    *,
    tenant_id: str | None = None,
    side: str | None = None,
) -> Row:
    """Return one relationship's row.

    Raises NotFound when ``tenant_id`` (None: the operator) is on neither side of it, Forbidden when
    it is not on the ``side`` asked for, MERCHANT or RESELLER.
    """
    return _get(connection, relationship_id, tenant_id, side, locked=False)


def lock(
    work: UnitOfWork,
    relationship_id: str,
    *,
    tenant_id: str | None = None,
    side: str | None = None,
) -> Row:
    """Return a relationship's row as ``get`` does, locked until the transaction ends."""
    return _get(work.connection, relationship_id, tenant_id, side, locked=True)


def require_mode(relationship: Mapping[str, Any], mode: str) -> None:
    """Raise ProgramUnavailable unless the relationship is active and its mode includes ``mode``."""
    if relationship["status"] != ACTIVE:
        raise ProgramUnavailable("the relationship is suspended", reason="relationship_suspended")
    if relationship["mode"] not in {mode, BOTH}:
        raise ProgramUnavailable(
            f"the reseller's mode is {relationship['mode']}, this needs {mode}",
            reason="mode",
            mode=relationship["mode"],
        )


def access_of(connection: Connection, relationship_id: str) -> list[Row]:
    """Return the products granted; none means all of the merchant's."""
    query = select(reseller_product_access).where(
        reseller_product_access.c.relationship_id == relationship_id
    )
    rows = connection.execute(query.order_by(reseller_product_access.c.product_id)).mappings()
    return [{name: row[name] for name in row if name != "relationship_id"} for row in rows]


def listing(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    status: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Row]:
    """Return the relationships of a tenant, as merchant and as reseller, oldest first."""
    query = select(reseller_relationships).order_by(_TABLE.id).limit(limit).offset(offset)
    if tenant_id is not None:
        query = query.where(or_(_TABLE.parent_id == tenant_id, _TABLE.child_id == tenant_id))
    if status is not None:
        query = query.where(_TABLE.status == check_choice(status, STATUSES, field="status"))
    return [dict(row) for row in connection.execute(query).mappings()]


def _get(
    connection: Connection,
    relationship_id: str,
    tenant_id: str | None,
    side: str | None,
    *,
    locked: bool,
) -> Row:
    row = None
    if is_id(relationship_id):
        query = select(reseller_relationships).where(_TABLE.id == relationship_id.lower())
        query = query.with_for_update(key_share=True) if locked else query
        row = connection.execute(query).mappings().first()
    if row is None or tenant_id not in {None, row[MERCHANT], row[RESELLER]}:
        raise NotFound(
            f"no reseller relationship {relationship_id!r}",
            field="reseller_relationship_id",
            value=relationship_id,
        )
    if side is not None and tenant_id not in {None, row[side]}:
        who = "merchant" if side == MERCHANT else "reseller"
        raise Forbidden(f"only the {who} may do this", reseller_relationship_id=row["id"])
    return dict(row)


def _set_access(work: UnitOfWork, relationship_id: str, granted: Collection[Row]) -> None:
    table = reseller_product_access.c
    mine = table.relationship_id == relationship_id
    work.connection.execute(delete(reseller_product_access).where(mine))
    rows = [
        {
            "relationship_id": relationship_id,
            "product_id": each["product_id"],
            "commission_percent_override": _percent(each["commission_percent_override"]),
            "max_quantity": each["max_quantity"],
        }
        for each in granted
    ]
    if rows:
        work.connection.execute(insert(reseller_product_access), rows)


def _percent(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
