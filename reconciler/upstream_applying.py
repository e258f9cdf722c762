"""Bring an order to the state its upstream reports: transition by transition, events and all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from config.errors import TillbellError
from engine import order_rows, orders
from engine.errors import InvalidStatus
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from engine.upstream_tables import upstream_orders, upstreams
from reconciler import upstream_turns
from reconciler.upstream_reading import Reading, UnreadableAnswer
from reconciler.upstream_steps import next_check_at, steps

ACTOR = "upstream"
SOURCE = "upstream"
#: Problems: the upstream is behind or contradicts us; a step was refused here; it knows no such
#: order; its answer cannot be read; its answer is about another order.
BEHIND, REFUSED, UNKNOWN = "behind", "refused", "unknown"
UNREADABLE, OTHER_ORDER, SHRUNK = "unreadable", "other_order", "shrunk"
DETAIL_MAX = 300
#: The longest way through the table is shorter; others may move the order meanwhile.
STEPS_MAX = 20
Row = Mapping[str, Any]


def apply(units: UnitsOfWork, linked: Row, reading: Reading) -> int | None:
    """Make every transition that is missing and note what was seen; return how many were made.

    None when something newer was applied before: then it is counted, and nothing else.
    Each is a transaction of its own: after a crash the next look goes on where this one stopped.
    What does not fit is a problem on the row, for K01 and K02 to show; nothing goes backwards, and
    an upstream moves nothing but what the tenant that buys from it fulfils.
    """
    for made in range(STEPS_MAX):
        with units.begin(actor=ACTOR, source=SOURCE) as work:
            if not upstream_turns.take(work, linked, reading):
                upstream_turns.count_late(work, linked)
                return None
            order = order_rows.get(work.connection, linked["chain_order_id"])
            step = _next(work.connection, linked, order, reading)
            if step.action is None:
                note(work, linked, status=reading.status, problem=step.problem, detail=step.detail)
                return made
        refusal = _make(units, linked, reading, step.action, order["version"])
        if refusal is not None:
            with units.begin(actor=ACTOR, source=SOURCE) as work:
                note(work, linked, status=reading.status, problem=REFUSED, detail=refusal)
            return made
    return STEPS_MAX


class Step(NamedTuple):
    """What to do next: an action; or none, for there is nothing to do or a problem."""

    action: str | None = None
    problem: str | None = None
    detail: str | None = None


def _next(connection: Connection, linked: Row, order: Row, reading: Reading) -> Step:
    """Decide the next transition: by the way to the upstream's state, and by whose the order is."""
    ours = order["chain_status"]
    way = steps(ours, reading.status, digital=order_rows.is_digital(order))
    if way is None:
        detail = f"the upstream says {reading.status}, here it is {ours}"
        return Step(problem=BEHIND, detail=detail)
    if not way:
        return Step()
    owner = _owner(connection, linked)
    if order["fulfiller_tenant_id"] is not None:
        mine = order["fulfiller_tenant_id"] == owner
        return Step(way[0]) if mine else Step(problem=REFUSED, detail="another tenant fulfils it")
    positions = [hop["tenant_id"] for hop in order_rows.hops_of(connection, order["id"])]
    above = positions.index(owner) - positions.index(order["holder_tenant_id"])
    if above > 0:
        return Step(problem=REFUSED, detail="it was forwarded past the tenant of this upstream")
    # Whose upstream it is, accepts: the order goes up to it first.
    return Step("forward" if way[0] == "accept" and above else way[0])


def _make(
    units: UnitsOfWork, linked: Row, reading: Reading, action: str, version: int
) -> str | None:
    """Make one transition; return why the engine refused it, if it did."""
    try:
        units.run(lambda work: _act(work, linked, reading, action), actor=ACTOR, source=SOURCE)
    except TillbellError as error:
        with units.database.read() as connection:
            order = order_rows.get(connection, linked["chain_order_id"])
        # Moved meanwhile by somebody else: the next round looks again.
        if isinstance(error, InvalidStatus) and order["version"] != version:
            return None
        return f"{action}: {error.code}: {error.message}"
    return None


def _act(work: UnitOfWork, linked: Row, reading: Reading, action: str) -> None:
    # Where a newer message took the order meanwhile, the next round sees that.
    if upstream_turns.take(work, linked, reading):
        _ACTIONS[action](work, linked, reading)


def note(
    work: UnitOfWork,
    linked: Row,
    *,
    status: str | None = None,
    problem: str | None = None,
    detail: str | None = None,
    **seen: Any,
) -> None:
    """Write down what was seen of an order upstream, and when it is looked at again."""
    current = of_reference(work.connection, linked["upstream_id"], linked["reference"])
    if current is None:
        return
    status = status or current["seen_status"]
    changed_at = current["changed_at"] if status == current["seen_status"] else work.now
    order = order_rows.get(work.connection, current["chain_order_id"])
    due_at = next_check_at(order["chain_status"], changed_at, work.now)
    if problem is not None and due_at is None:
        due_at = next_check_at("", changed_at, work.now)
    work.connection.execute(
        update(upstream_orders)
        .where(upstream_orders.c.upstream_id == current["upstream_id"])
        .where(upstream_orders.c.reference == current["reference"])
        .values(
            seen_status=status,
            changed_at=changed_at,
            checked_at=work.now,
            next_check_at=due_at,
            checks=upstream_orders.c.checks + 1,
            problem=problem,
            problem_detail=None if detail is None else detail[:DETAIL_MAX],
            **seen,
        )
    )


def of_reference(connection: Connection, upstream_id: str, *references: str) -> Row | None:
    """Return the link of the order that an upstream calls by one of these names.

    Raises UnreadableAnswer where two of them are names of different orders.
    """
    query = select(upstream_orders).where(
        upstream_orders.c.upstream_id == upstream_id, upstream_orders.c.reference.in_(references)
    )
    found = connection.execute(query).mappings().all()
    if len(found) > 1:
        raise UnreadableAnswer("it names two orders", field="references")
    return dict(found[0]) if found else None


def _owner(connection: Connection, linked: Row) -> str:
    query = select(upstreams.c.tenant_id).where(upstreams.c.id == linked["upstream_id"])
    return str(connection.execute(query).scalar_one())


def _ship(work: UnitOfWork, linked: Row, reading: Reading) -> None:
    orders.ship(
        work,
        linked["chain_order_id"],
        # An upstream that keeps shipping to itself leaves us its own name of the order.
        tracking_number=reading.tracking_number or linked["reference"],
        carrier=reading.carrier or "upstream",
    )


def _deliver(work: UnitOfWork, linked: Row, reading: Reading) -> None:
    given: list[dict[str, Any]] = []
    if reading.delivery_data is not None:
        [line] = order_rows.lines_of(work.connection, linked["chain_order_id"])[:1]
        given = [
            {
                "line_id": line["id"],
                "delivery_data": reading.delivery_data,
                "delivery_note": reading.delivery_note,
            }
        ]
    orders.deliver(work, linked["chain_order_id"], deliveries=given)


def _cancel(work: UnitOfWork, linked: Row, reading: Reading) -> None:
    orders.cancel(work, linked["chain_order_id"], reason=reading.reason or "cancelled upstream")


def _return(work: UnitOfWork, linked: Row, reading: Reading) -> None:
    orders.return_(work, linked["chain_order_id"], reason=reading.reason or "returned upstream")


_ACTIONS: dict[str, Callable[[UnitOfWork, Row, Reading], object]] = {
    "forward": lambda work, linked, _: orders.forward(work, linked["chain_order_id"]),
    "accept": lambda work, linked, _: orders.accept(work, linked["chain_order_id"]),
    "process": lambda work, linked, _: orders.process(work, linked["chain_order_id"]),
    "unprocess": lambda work, linked, _: orders.unprocess(work, linked["chain_order_id"]),
    "ship": _ship,
    "deliver": _deliver,
    "cancel": _cancel,
    "return": _return,
}
