"""Raise what an order's current version should have raised, where a row moved without it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, tuple_, update

from engine import order_events, order_rows
from engine.errors import InvalidStatus
from engine.events import EventDraft
from engine.order_rows import Row
from engine.order_tables import chain_orders, order_log
from engine.settlement_tables import cod_collections, remittances
from engine.tables import events
from engine.unit_of_work import UnitOfWork


def raise_missing(work: UnitOfWork, order_id: str) -> int:
    """Write what the order's current version lacks, its step and events; return how many rows.

    The dedupe keys are those of the transition itself, so a heal beside it changes nothing. A row
    that moved without its timeline gets its missing step, source of this unit of work.
    """
    order = order_rows.get(work.connection, order_id, locked=True)
    step = _last_step(work.connection, order)
    lacking = step["seq"] != order["version"] or step["to_status"] != order["chain_status"]
    if lacking:
        order, step = _add_step(work, order, step)
    drafts = _expected(work, order, step)
    missing = _not_raised(work, drafts)
    for draft in missing:
        work.raise_event(draft)
    return len(missing) + int(lacking)


def current(
    connection: Connection, order_id: str, tenant_id: str, type_name: str
) -> EventDraft | None:
    """Return what an event of this type would say now to a tenant that sees the order, or None."""
    order = order_rows.get(connection, order_id)
    hops = order_rows.hops_of(connection, order_id)
    hop = order_rows.hop_of(hops, tenant_id)
    if hop is None or hop["visible_at"] is None:
        return None
    if type_name == "chain_order.created":
        return order_events.created(order, order_rows.lines_of(connection, order_id), hop)
    if type_name == "chain_order.delivered" and order["delivered_at"] is not None:
        return order_events.delivered(order, hop, *_settled(connection, order))
    return order_events.status_changed(order, hop, _last_step(connection, order))


def _last_step(connection: Connection, order: Row) -> Row:
    query = select(order_log).where(order_log.c.chain_order_id == order["id"])
    newest = query.order_by(order_log.c.seq.desc()).limit(1)
    return dict(connection.execute(newest).mappings().one())


def _add_step(work: UnitOfWork, order: Row, last: Row) -> tuple[Row, Row]:
    """Write the step that is missing; a status that changed under an old version takes the next."""
    version = max(order["version"], last["seq"] + 1)
    moved = work.connection.execute(
        update(chain_orders)
        .where(chain_orders.c.id == order["id"], chain_orders.c.version == order["version"])
        .values(version=version)
    )
    if moved.rowcount != 1:
        raise InvalidStatus("the order moved meanwhile", current_status=order["chain_status"])
    step = {
        "chain_order_id": order["id"],
        "seq": version,
        "from_status": last["to_status"],
        "to_status": order["chain_status"],
        "action": "unknown",
        "actor": work.actor,
        "source": work.source,
        "reason": None,
        "at": order["updated_at"],
    }
    work.connection.execute(insert(order_log).values(step))
    return order | {"version": version}, step


def _expected(work: UnitOfWork, order: Row, step: Row) -> list[EventDraft]:
    hops = order_rows.hops_of(work.connection, order["id"])
    lines = order_rows.lines_of(work.connection, order["id"])
    visible = [hop for hop in hops if hop["visible_at"] is not None]
    drafts = [order_events.created(order, lines, hop) for hop in visible]
    drafts += [
        order_events.status_changed(order, hop, step)
        for hop in visible
        if hop["visible_version"] < order["version"]
    ]
    drafts += [
        draft for line in lines if (draft := order_events.line_updated(order, line)) is not None
    ]
    if order["delivered_at"] is not None:
        flow_type, owed = _settled(work.connection, order)
        drafts += [order_events.delivered(order, hop, flow_type, owed) for hop in visible]
    return drafts


def _settled(connection: Connection, order: Row) -> tuple[str | None, Sequence[Row]]:
    mine = cod_collections.c.chain_order_id == order["id"]
    flow_type = connection.execute(select(cod_collections.c.flow_type).where(mine)).scalar()
    owed = select(remittances).where(remittances.c.chain_order_id == order["id"])
    rows = connection.execute(owed.order_by(remittances.c.id)).mappings()
    return flow_type, [dict(row) for row in rows]


def _not_raised(work: UnitOfWork, drafts: Sequence[EventDraft]) -> list[EventDraft]:
    keys = [(draft.tenant_id, draft.dedupe_key) for draft in drafts]
    query = select(events.c.tenant_id, events.c.dedupe_key).where(
        tuple_(events.c.tenant_id, events.c.dedupe_key).in_(keys)
    )
    raised = {(row.tenant_id, row.dedupe_key) for row in work.connection.execute(query)}
    return [draft for draft in drafts if (draft.tenant_id, draft.dedupe_key) not in raised]
