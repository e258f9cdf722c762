"""Stock transfers as rows: found within their relationship, moved by the one table of states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine import stock_transfer_states as states
from engine.errors import Forbidden, InvalidStatus, NotFound
from engine.ids import is_id
from engine.inputs import check_choice
from engine.relationships import MERCHANT, RESELLER
from engine.stock_transfer_tables import stock_transfer_log, stock_transfers
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]
_TABLE = stock_transfers.c
_SIDES = {states.MERCHANT: MERCHANT, states.RESELLER: RESELLER}


def get(
    connection: Connection,
    relationship: Mapping[str, Any],
    transfer_id: str,
    *,
    locked: bool = False,
) -> Row:
    """Return one transfer of a relationship, or raise NotFound: another's is not found either."""
    row = None
    if is_id(transfer_id):
        query = select(stock_transfers).where(
            _TABLE.id == transfer_id.lower(), _TABLE.relationship_id == relationship["id"]
        )
        query = query.with_for_update(key_share=True) if locked else query
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"no stock transfer {transfer_id!r}", field="transfer_id", value=transfer_id)
    return dict(row)


def listing(
    connection: Connection,
    relationship: Mapping[str, Any] | None = None,
    *,
    status: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Row]:
    """Return the transfers of a relationship (None: of all, for the operator), oldest first."""
    query = select(stock_transfers).order_by(_TABLE.id).limit(limit).offset(offset)
    if relationship is not None:
        query = query.where(_TABLE.relationship_id == relationship["id"])
    if status is not None:
        chosen = check_choice(status, states.STATUSES, field="status")
        query = query.where(_TABLE.status == chosen)
    return [dict(row) for row in connection.execute(query).mappings()]


def timeline(connection: Connection, transfer_id: str) -> list[Row]:
    """Return who changed a transfer's status, when and to what, oldest first."""
    query = select(stock_transfer_log).where(stock_transfer_log.c.transfer_id == transfer_id)
    rows = connection.execute(query.order_by(stock_transfer_log.c.seq)).mappings()
    return [dict(row) for row in rows]


def move(
    work: UnitOfWork,
    relationship: Mapping[str, Any],
    before: Row,
    action: str,
    tenant_id: str | None,
    **values: Any,
) -> Row:
    """Make the transition of ``action`` by ``tenant_id`` (None: the operator); return the new row.

    Raises InvalidStatus with ``current_status`` and ``allowed``, or Forbidden when the action is
    the other side's or the operator's.
    """
    transition = states.find(_status_at(before, action, work), action)
    if transition is None:
        raise _refusal(_status_at(before, action, work), action)
    _require(transition.who, relationship, tenant_id)
    changes = {
        **values,
        "status": transition.target,
        "version": before["version"] + 1,
        "updated_at": work.now,
    }
    moved = work.connection.execute(
        update(stock_transfers)
        .where(
            _TABLE.id == before["id"],
            _TABLE.status == transition.source,
            _TABLE.version == before["version"],
        )
        .values(changes)
    )
    if moved.rowcount != 1:
        current = get(work.connection, relationship, before["id"])
        raise _refusal(current["status"], action)
    after = before | changes
    log(work, after, action, transition.source)
    return after


def log(work: UnitOfWork, row: Row, action: str, from_status: str | None) -> None:
    """Write down who brought a transfer to its status."""
    work.connection.execute(
        insert(stock_transfer_log).values(
            transfer_id=row["id"],
            seq=row["version"],
            from_status=from_status,
            to_status=row["status"],
            action=action,
            actor=work.actor,
            source=work.source,
            at=work.now,
        )
    )


def _status_at(row: Row, action: str, work: UnitOfWork) -> str:
    """Return a transfer's status; one past its end is over, whether a sweep was there or not."""
    over = row["status"] in states.UNPAID and row["expires_at"] <= work.now
    return states.EXPIRED if over and action != "expire" else str(row["status"])


def _require(who: str, relationship: Mapping[str, Any], tenant_id: str | None) -> None:
    if tenant_id is None or who == states.EITHER:
        return
    if who == states.OPERATOR or tenant_id != relationship[_SIDES[who]]:
        raise Forbidden(f"only the {who} may do this")


def _refusal(status: str, action: str) -> InvalidStatus:
    return InvalidStatus(
        f"the stock transfer is {status}; {action} is not allowed",
        current_status=status,
        allowed=states.allowed(status),
    )
