"""Endpoints: where a tenant's events are sent, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Unpack

from sqlalchemy import Connection, Select, insert, select, update

from dispatcher import custom_headers, endpoint_secrets
from dispatcher.egress import EgressPolicy, check_url
from dispatcher.endpoint_options import DEFAULTS, Options, checked
from dispatcher.endpoint_secrets import Kind
from dispatcher.mailboxes import make_due
from dispatcher.signing import V1, V1A
from dispatcher.states import EndpointState
from dispatcher.subscriptions import EVERYTHING, subscribe, unsubscribe
from dispatcher.tables import endpoints, mailboxes
from engine import tenants
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.sealing import KeyRing
from engine.unit_of_work import UnitOfWork

#: An API key: the owner's own, True for a fresh one, False for none (any more).
ApiKey = str | bool | None


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
    secret: str | None = None,
    apikey: ApiKey = None,
    headers: Mapping[str, str] | None = None,
    **options: Unpack[Options],
) -> dict[str, Any]:
    """Add an endpoint and return it with its ``secret`` and ``apikey``, never shown again.

    ``secret`` is the owner's own, or a fresh one is made; ``headers`` are sent with every attempt.
    Raises NotFound (tenant), EndpointUrlRefused or InvalidInput naming the field.
    """
    tenant = tenants.get(work.connection, tenant_id)
    check_url(url, guard.policy)
    row = {
        "id": new_id(),
        "tenant_id": tenant["id"],
        "url": url,
        "events": list(events),
        "state": EndpointState.ACTIVE,
        "created_at": work.now,
        "updated_at": work.now,
        **checked({**DEFAULTS, **options}),
    }
    row |= custom_headers.sealed(guard.keyring, tenant["id"], row["id"], headers or {})
    work.connection.execute(insert(endpoints).values(row))
    work.connection.execute(insert(mailboxes).values(endpoint_id=row["id"]))
    subscribe(work.connection, row["id"], tenant["id"], events, work.now)
    shown = {
        "secret": endpoint_secrets.issue(work, guard.keyring, row["id"], tenant["id"], given=secret)
    }
    shown |= _set_credentials(work, guard.keyring, row, apikey)
    return {**get(work.connection, row["id"]), **shown}


def get(connection: Connection, endpoint_id: str) -> dict[str, Any]:
    """Return one endpoint, or raise NotFound."""
    query = select(endpoints).where(
        endpoints.c.id == endpoint_id.lower(), endpoints.c.deleted_at.is_(None)
    )
    found = _shown(connection, query) if is_id(endpoint_id) else []
    if not found:
        raise NotFound(f"no endpoint {endpoint_id!r}", field="endpoint_id", value=endpoint_id)
    return found[0]


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
    return _shown(connection, query)


def change(
    work: UnitOfWork,
    guard: EndpointGuard,
    endpoint_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    apikey: ApiKey = None,
    headers: Mapping[str, str] | None = None,
    **options: Unpack[Options],
) -> dict[str, Any]:
    """Change what is given and return the endpoint; waiting retries go to the new URL.

    ``headers`` replace those there are. A new ``apikey`` is in the answer, this once.
    """
    row = get(work.connection, endpoint_id)
    values: dict[str, Any] = {"updated_at": work.now, **checked(options)}
    if url is not None:
        check_url(url, guard.policy)
        values["url"] = url
    if events is not None:
        values["events"] = list(events)
    if headers is not None:
        values |= custom_headers.sealed(guard.keyring, row["tenant_id"], row["id"], headers)
    # The row first: of two changes at once the later waits here and replaces what the other wrote.
    work.connection.execute(update(endpoints).where(endpoints.c.id == row["id"]).values(values))
    if events is not None:
        subscribe(work.connection, row["id"], row["tenant_id"], events, work.now)
    shown = _set_credentials(work, guard.keyring, get(work.connection, row["id"]), apikey)
    return {**get(work.connection, endpoint_id), **shown}


def rotate(
    work: UnitOfWork,
    guard: EndpointGuard,
    endpoint_id: str,
    *,
    overlap: timedelta = endpoint_secrets.OVERLAP,
    starts_at: datetime | None = None,
    secret: str | None = None,
    kind: Kind = Kind.SIGNING,
) -> dict[str, Any]:
    """Renew an endpoint's signing secret or key pair and return it with its new ``secret``.

    Of a key pair only ``public_key`` is in the answer. Raises as ``endpoint_secrets.rotate`` does,
    and InvalidInput for a key pair of an endpoint that has none.
    """
    row = get(work.connection, endpoint_id)
    if kind is Kind.ED25519 and (V1A not in row["signatures"] or secret is not None):
        raise InvalidInput(
            f"a key pair is made here, for an endpoint whose signatures hold {V1A}",
            field="key_pair",
        )
    shown = endpoint_secrets.rotate(
        work,
        guard.keyring,
        row["id"],
        row["tenant_id"],
        overlap=overlap,
        starts_at=starts_at,
        secret=secret,
        kind=kind,
    )
    once = {"secret": shown} if kind is Kind.SIGNING else {}
    return {**get(work.connection, endpoint_id), **once}


def delete(work: UnitOfWork, endpoint_id: str) -> None:
    """Remove an endpoint: nothing more is sent to it, and its credentials are destroyed.

    Its history stays; its signing secrets do until its last day is proved (``LAST_PROOF``).
    """
    row = get(work.connection, endpoint_id)
    unsubscribe(work.connection, row["id"])
    work.connection.execute(
        update(endpoints)
        .where(endpoints.c.id == row["id"])
        .values(
            state=EndpointState.DISABLED,
            state_reason="deleted",
            deleted_at=work.now,
            **custom_headers.CLEARED,
        )
    )
    endpoint_secrets.retire(work.connection, row["id"], work.now)
    make_due(work.connection, row["id"], work.now)


def _set_credentials(
    work: UnitOfWork, keyring: KeyRing, row: Mapping[str, Any], apikey: ApiKey
) -> dict[str, str]:
    """Let key pair and API key be what the endpoint's options ask for; return what is shown."""
    held = {
        each["kind"] for each in endpoint_secrets.described(work.connection, [row["id"]])[row["id"]]
    }
    owner = (row["id"], row["tenant_id"])
    if V1A not in row["signatures"]:
        endpoint_secrets.discard(work.connection, row["id"], Kind.ED25519)
    elif Kind.ED25519 not in held:
        endpoint_secrets.issue(work, keyring, *owner, kind=Kind.ED25519)
    if apikey and row["profile"] != "flat":
        raise InvalidInput("an API key is sent by profile flat only", field="apikey")
    if apikey is not None or row["profile"] != "flat":
        endpoint_secrets.discard(work.connection, row["id"], Kind.APIKEY)
    if not apikey:
        return {}
    given = None if apikey is True else apikey
    return {"apikey": endpoint_secrets.issue(work, keyring, *owner, kind=Kind.APIKEY, given=given)}


def _shown(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    """Return rows as they may be shown: names of headers, public keys, nothing sealed."""
    rows = [dict(row) for row in connection.execute(query).mappings()]
    ids = query.with_only_columns(endpoints.c.id).order_by(None)
    secrets = endpoint_secrets.described(connection, ids)
    for row in rows:
        del row["headers_key_id"], row["headers_sealed"]
        row["signatures"] = row["signatures"] or [V1]
        row["header_names"] = row["header_names"] or []
        row["credentials"] = secrets[row["id"]]
        public_keys = [each["public_key"] for each in row["credentials"] if each["public_key"]]
        row["public_key"] = public_keys[0] if public_keys else None
    return rows
