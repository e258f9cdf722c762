"""Which deliveries are meant: filters that people and programs write, checked, as one condition."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true

from dispatcher.endpoints import get as get_endpoint
from dispatcher.states import SETTLED_STATES, DeliveryState
from dispatcher.subscriptions import matches
from dispatcher.tables import deliveries, endpoints
from engine import tenants
from engine.catalogue import TYPE_LENGTH_MAX, TYPE_PATTERN, known_types
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id

IDS_MAX = 1000
EVERYTHING = "*"
#: Why a delivery was not sent: its endpoint was disabled.
HELD = "endpoint_disabled"
_INSTANTS = ("since", "until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which deliveries are meant; what is None or False does not narrow it.

    ``event`` is a type or a pattern such as ``remittance.*``; ``since`` and ``until`` bound when
    the delivery was made, the latter not included; ``held`` means kept back because the endpoint
    was disabled.
    """

    ids: tuple[str, ...] | None = None
    state: str | None = None
    endpoint_id: str | None = None
    tenant_id: str | None = None
    event: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    never_attempted: bool = False
    held: bool = False

    def condition(self) -> ColumnElement[bool]:
        """Return the SQL condition; raises InvalidInput naming the field that cannot be."""
        self._check()
        column = deliveries.c
        named = {
            column.state: self.state,
            column.endpoint_id: _lower(self.endpoint_id),
            column.tenant_id: _lower(self.tenant_id),
        }
        wanted = [key == value for key, value in named.items() if value is not None]
        if self.ids is not None:
            wanted.append(column.id.in_([each.lower() for each in self.ids]))
        if self.event is not None:
            wanted.append(_of_type(self.event))
        if self.since is not None:
            wanted.append(column.created_at >= self.since)
        if self.until is not None:
            wanted.append(column.created_at < self.until)
        if self.never_attempted:
            wanted.append(column.attempts == 0)
        if self.held:
            wanted += [column.state == DeliveryState.CANCELLED, column.last_error == HELD]
        return and_(true(), *wanted)

    def as_document(self) -> dict[str, Any]:
        """Return what was chosen, for the record; empty where nothing narrows it."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
            if value is not None and value is not False
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Selection:
        """Return the selection that ``as_document`` wrote down."""
        values = {field.name: document.get(field.name, field.default) for field in fields(cls)}
        for name in _INSTANTS:
            if values[name] is not None:
                values[name] = datetime.fromisoformat(values[name])
        if values["ids"] is not None:
            values["ids"] = tuple(values["ids"])
        return cls(**values)

    def _check(self) -> None:
        if self.state is not None and self.state not in list(DeliveryState):
            raise InvalidInput(
                f"state {self.state!r} is none of {', '.join(DeliveryState)}", field="state"
            )
        if self.ids is not None and not 1 <= len(self.ids) <= IDS_MAX:
            raise InvalidInput(f"name 1 to {IDS_MAX} deliveries, or use filters", field="ids")
        for each in self.ids or ():
            _check_id(each, "ids")
        _check_id(self.endpoint_id, "endpoint_id")
        _check_id(self.tenant_id, "tenant_id")
        _check_pattern(self.event)
        for name, instant in (("since", self.since), ("until", self.until)):
            if instant is not None and instant.tzinfo is None:
                raise InvalidInput(f"{name} names no time zone; append Z for UTC", field=name)
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidInput("until is not after since", field="until")


def chosen(selection: Selection, asked_at: datetime) -> ColumnElement[bool]:
    """Return the condition of a replay asked for at an instant.

    What was made later has no part in it, and what was settled since then is left alone: it was
    attempted after the replay was asked for.
    """
    return and_(
        selection.condition(),
        deliveries.c.created_at <= asked_at,
        or_(deliveries.c.settled_at.is_(None), deliveries.c.settled_at <= asked_at),
    )


def require(connection: Connection, selection: Selection) -> None:
    """Raise InvalidInput or NotFound for a selection that names nothing, or what is not there."""
    if not selection.as_document():
        raise InvalidInput(
            "say which deliveries: by id, state, endpoint, tenant, type or time", field="selection"
        )
    wanted = selection.condition()
    if selection.endpoint_id is not None:
        get_endpoint(connection, selection.endpoint_id)
    if selection.tenant_id is not None:
        tenants.get(connection, selection.tenant_id)
    pattern = selection.event
    if pattern is not None and not any(matches(pattern, each) for each in known_types(connection)):
        raise InvalidInput(
            f"no event type matches {pattern!r}; 'tillbell events types' lists them",
            field="event",
            value=pattern,
        )
    if selection.ids is not None:
        found = set(connection.execute(select(deliveries.c.id).where(wanted)).scalars())
        missing = [each for each in selection.ids if each.lower() not in found]
        if missing:
            raise NotFound(
                f"no delivery {missing[0]!r} is among those meant", field="ids", value=missing[0]
            )


def preview(connection: Connection, selection: Selection, now: datetime) -> dict[str, Any]:
    """Return what a replay would send, and change nothing: the dry run.

    ``matched`` deliveries of which ``left_alone`` belong to disabled endpoints; ``groups`` counts
    them by endpoint and state, the largest first. Raises as ``require`` does.
    """
    require(connection, selection)
    endpoint_state = case((endpoints.c.deleted_at.is_not(None), "deleted"), else_=endpoints.c.state)
    columns = (
        deliveries.c.endpoint_id,
        endpoints.c.url,
        endpoint_state.label("endpoint_state"),
        deliveries.c.state,
    )
    count = func.count().label("count")
    query = (
        select(*columns, count)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .where(chosen(selection, now))
        .group_by(*columns)
        .order_by(count.desc(), deliveries.c.endpoint_id, deliveries.c.state)
    )
    groups = [dict(row) for row in connection.execute(query).mappings()]
    idle = [row for row in groups if row["endpoint_state"] in {"disabled", "deleted"}]
    return {
        "matched": sum(row["count"] for row in groups),
        "left_alone": sum(row["count"] for row in idle),
        "groups": groups,
    }


def count_of(connection: Connection, selection: Selection, now: datetime) -> int:
    """Return how many deliveries a replay asked for now would look at."""
    query = select(func.count()).select_from(deliveries).where(chosen(selection, now))
    return connection.execute(query).scalar_one()


def is_settled() -> ColumnElement[bool]:
    """Return the condition that nothing is on its way any more."""
    return deliveries.c.state.in_(SETTLED_STATES)


def _of_type(pattern: str) -> ColumnElement[bool]:
    if pattern == EVERYTHING:
        return true()
    if pattern.endswith(".*"):
        return deliveries.c.event.startswith(pattern[:-1], autoescape=True)
    return deliveries.c.event == pattern


def _check_pattern(pattern: str | None) -> None:
    if pattern is None or pattern == EVERYTHING:
        return
    # A prefix such as "remittance" is one word; what it is tested with stands for the rest.
    name = f"{pattern[:-1]}x" if pattern.endswith(".*") else pattern
    if len(pattern) > TYPE_LENGTH_MAX or not TYPE_PATTERN.fullmatch(name):
        raise InvalidInput(
            f"{pattern!r} is no event type such as remittance.due, and no pattern such as"
            " remittance.*",
            field="event",
            value=pattern,
        )


def _check_id(given: str | None, field: str) -> None:
    if given is not None and not is_id(given):
        raise InvalidInput(f"{given!r} is not an id", field=field, value=given)


def _lower(given: str | None) -> str | None:
    return None if given is None else given.lower()
