"""Endpoints: where a tenant's events are sent, and whether they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from dispatcher import endpoint_secrets
from dispatcher.egress import EgressPolicy, check_url
from dispatcher.mailboxes import make_due
from dispatcher.profiles import PROFILES
from dispatcher.secrets import KeyRing
from dispatcher.states import EndpointState
from dispatcher.subscriptions import EVERYTHING, subscribe, unsubscribe
from dispatcher.tables import endpoints, mailboxes
from engine import tenants
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.unit_of_work import UnitOfWork

IN_FLIGHT_DEFAULT = 10
IN_FLIGHT_MAX = 1000


@dataclass(frozen=True, slots=True)
class EndpointGuard:
    """What a new endpoint is checked against: which addresses may be called, which key seals."""

    policy: EgressPolicy
    keyring: KeyRing


def create(
    work: UnitOfWork,
    guard: EndpointGuard,
    *,
    tenant_id: str,
    url: str,
    events: Sequence[str] = (EVERYTHING,),
    profile: str = "envelope",
    max_in_flight: int = IN_FLIGHT_DEFAULT,
) -> dict[str, Any]:
    """Add an endpoint and return it with its ``secret``, which is never shown again.

    Raises NotFound (tenant), EndpointUrlRefused or InvalidInput naming the field.
    """
    tenant = tenants.get(work.connection, tenant_id)
    check_url(url, guard.policy)
    row = {
        "id": new_id(),
        "tenant_id": tenant["id"],
        "url": url,
        "events": list(events),
        "profile": _check_profile(profile),
        "state": EndpointState.ACTIVE,
        "max_in_flight": _check_in_flight(max_in_flight),
        "ordering": "none",
        "created_at": work.now,
        "updated_at": work.now,
    }
    work.connection.execute(insert(endpoints).values(row))
    work.connection.execute(insert(mailboxes).values(endpoint_id=row["id"]))
    subscribe(work.connection, row["id"], tenant["id"], events)
    secret = endpoint_secrets.issue(work, guard.keyring, row["id"], tenant["id"])
    return {**get(work.connection, row["id"]), "secret": secret}


def get(connection: Connection, endpoint_id: str) -> dict[str, Any]:
    """Return one endpoint's row, or raise NotFound."""
    row = None
    if is_id(endpoint_id):
        wanted = (endpoints.c.id == endpoint_id.lower()) & endpoints.c.deleted_at.is_(None)
        row = connection.execute(select(endpoints).where(wanted)).mappings().first()
    if row is None:
        raise NotFound(f"no endpoint {endpoint_id!r}", field="endpoint_id", value=endpoint_id)
    return dict(row)


def listing(
    connection: Connection, *, tenant_id: str | None = None, state: str | None = None
) -> list[dict[str, Any]]:
    """Return the endpoints of one tenant or of all, oldest first."""
    query = select(endpoints).where(endpoints.c.deleted_at.is_(None)).order_by(endpoints.c.id)
    if tenant_id is not None:
        query = query.where(endpoints.c.tenant_id == tenants.get(connection, tenant_id)["id"])
    if state is not None:
        if state not in list(EndpointState):
            raise InvalidInput(
                f"state {state!r} is none of {', '.join(EndpointState)}", field="state", value=state
            )
        query = query.where(endpoints.c.state == state)
    return [dict(row) for row in connection.execute(query).mappings()]


def change(
    work: UnitOfWork,
    guard: EndpointGuard,
    endpoint_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    profile: str | None = None,
    max_in_flight: int | None = None,
) -> dict[str, Any]:
    """Change what is given and return the endpoint; waiting retries go to the new URL."""
    row = get(work.connection, endpoint_id)
    values: dict[str, Any] = {"updated_at": work.now}
    if url is not None:
        check_url(url, guard.policy)
        values["url"] = url
    if events is not None:
        values["events"] = list(events)
    if profile is not None:
        values["profile"] = _check_profile(profile)
    if max_in_flight is not None:
        values["max_in_flight"] = _check_in_flight(max_in_flight)
    # The row first: of two changes at once the later waits here and replaces what the other wrote.
    work.connection.execute(update(endpoints).where(endpoints.c.id == row["id"]).values(values))
    if events is not None:
        subscribe(work.connection, row["id"], row["tenant_id"], events)
    return get(work.connection, endpoint_id)


def delete(work: UnitOfWork, endpoint_id: str) -> None:
    """Remove an endpoint; nothing more is sent to it, its history stays."""
    row = get(work.connection, endpoint_id)
    unsubscribe(work.connection, row["id"])
    work.connection.execute(
        update(endpoints)
        .where(endpoints.c.id == row["id"])
        .values(state=EndpointState.DISABLED, state_reason="deleted", deleted_at=work.now)
    )
    make_due(work.connection, row["id"], work.now)


def _check_profile(profile: str) -> str:
    if profile not in PROFILES:
        raise InvalidInput(
            f"profile {profile!r} is none of {', '.join(PROFILES)}", field="profile", value=profile
        )
    return profile


def _check_in_flight(number: int) -> int:
    if not 1 <= number <= IN_FLIGHT_MAX:
        raise InvalidInput(
            f"max_in_flight {number} is not between 1 and {IN_FLIGHT_MAX}",
            field="max_in_flight",
            value=number,
        )
    return number
