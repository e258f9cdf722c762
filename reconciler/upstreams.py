"""Upstream platforms: where a tenant's orders are fulfilled elsewhere, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from dispatcher.egress import check_url
from dispatcher.endpoints import EndpointGuard
from dispatcher.signing import decode_secret
from engine import order_rows, tenants
from engine.errors import AlreadyExists, InvalidInput, InvalidStatus, NotFound
from engine.ids import is_id, new_id
from engine.inputs import check_choice, check_integer, check_text
from engine.sealing import KeyRing, bound_to
from engine.unit_of_work import UnitOfWork
from engine.upstream_tables import CALLBACK, TOKEN, upstream_orders, upstreams
from reconciler.upstream_reading import PATHS, Kind

Row = dict[str, Any]

ACTIVE, PAUSED = "active", "paused"
#: How an upstream proves that a callback is its own; ``apikey`` is document 000's, and weak.
SIGNATURES = ("standard", "shoppex", "apikey")
REQUESTS_PER_MINUTE = 100
HIDDEN = ("token_key_id", "token_sealed", "callback_key_id", "callback_sealed")


def create(
    work: UnitOfWork,
    guard: EndpointGuard,
    *,
    tenant_id: str,
    name: str,
    kind: str,
    base_url: str,
    path: str | None = None,
    token: str | None = None,
    x_tenant: str | None = None,
    callback_signature: str | None = None,
    callback_secret: str | None = None,
    requests_per_minute: int = REQUESTS_PER_MINUTE,
) -> Row:
    """Add a platform that ``tenant_id`` buys from and return it without its secrets.

    ``token`` is shown to it when it is asked; ``callback_secret`` verifies what it sends us.
    Document 001 allows 100 reads a minute. Raises NotFound, EndpointUrlRefused or InvalidInput.
    """
    tenant = tenants.get(work.connection, tenant_id)
    kind = check_choice(kind, list(Kind), field="kind")
    base_url = base_url.rstrip("/")
    path = _path(path or PATHS[Kind(kind)])
    check_url(base_url + path.replace("{reference}", "1"), guard.policy)
    row: Row = {
        "id": new_id(),
        "tenant_id": tenant["id"],
        "name": check_text(name, field="name", length_max=100),
        "kind": kind,
        "base_url": base_url,
        "path": path,
        "x_tenant": None if x_tenant is None else _line(x_tenant, "x_tenant", 200),
        "state": ACTIVE,
        "requests_per_minute": check_integer(
            requests_per_minute, field="requests_per_minute", minimum=1, maximum=100_000
        ),
        "created_at": work.now,
        "updated_at": work.now,
    }
    row |= _sealed_token(guard.keyring, row, token)
    row |= _sealed_callback(guard.keyring, row, callback_signature, callback_secret)
    work.connection.execute(insert(upstreams).values(row))
    return get(work.connection, row["id"])


def get(connection: Connection, upstream_id: str) -> Row:
    """Return one upstream without its secrets, or raise NotFound."""
    return _shown(raw(connection, upstream_id))


def raw(connection: Connection, upstream_id: str) -> Row:
    """Return one upstream as it is stored, or raise NotFound."""
    found = None
    if is_id(upstream_id):
        query = select(upstreams).where(upstreams.c.id == upstream_id.lower())
        found = connection.execute(query).mappings().first()
    if found is None:
        raise NotFound(f"no upstream {upstream_id!r}", field="upstream_id", value=upstream_id)
    return dict(found)


def listing(connection: Connection) -> list[Row]:
    """Return every upstream, oldest first."""
    rows = connection.execute(select(upstreams).order_by(upstreams.c.id)).mappings()
    return [_shown(dict(row)) for row in rows]


def pause(work: UnitOfWork, upstream_id: str) -> Row:
    """Ask an upstream nothing until it is resumed; its callbacks still count."""
    return _move(work, upstream_id, source=ACTIVE, target=PAUSED)


def resume(work: UnitOfWork, upstream_id: str) -> Row:
    """Ask an upstream again, and forget its failures."""
    return _move(work, upstream_id, source=PAUSED, target=ACTIVE)


def link(work: UnitOfWork, upstream_id: str, order_id: str, reference: str) -> Row:
    """Say that an order is fulfilled by an upstream, which calls it ``reference``.

    Raises NotFound, AlreadyExists for an order or reference that is linked, or InvalidInput for an
    order of another chain, or of several lines where the upstream knows lines only (document 000).
    """
    upstream = raw(work.connection, upstream_id)
    order = order_rows.get(work.connection, order_id)
    reference = check_text(reference, field="reference", length_max=200)
    if reference in {".", ".."}:
        raise InvalidInput("a reference is no step in a path", field="reference")
    lines = order_rows.lines_of(work.connection, order["id"])
    if upstream["kind"] == Kind.ORDER_DETAIL and len(lines) != 1:
        raise InvalidInput("an order detail is one line; this order has more", field="order_id")
    hops = order_rows.hops_of(work.connection, order["id"])
    if order_rows.hop_of(hops, upstream["tenant_id"]) is None:
        raise InvalidInput("the upstream's tenant is not in the order's chain", field="order_id")
    if _linked(work.connection, upstream["id"], order["id"], reference):
        raise AlreadyExists("the order or the reference is linked already", field="reference")
    row = {
        "upstream_id": upstream["id"],
        "reference": reference,
        "chain_order_id": order["id"],
        "changed_at": work.now,
        "next_check_at": work.now,
    }
    work.connection.execute(insert(upstream_orders).values(row))
    return order_of(work.connection, order["id"])


def order_of(connection: Connection, order_id: str) -> Row:
    """Return what is known of an order upstream, or raise NotFound."""
    query = select(upstream_orders).where(upstream_orders.c.chain_order_id == order_id)
    found = connection.execute(query).mappings().first()
    if found is None:
        raise NotFound(f"order {order_id!r} is linked to no upstream", field="order_id")
    return dict(found)


def opened_token(keyring: KeyRing, upstream: Mapping[str, Any]) -> str | None:
    """Return the token an upstream wants to see; raises SecretUnreadable."""
    if upstream["token_sealed"] is None:
        return None
    owner = bound_to(upstream["tenant_id"], upstream["id"], TOKEN)
    return keyring.open(upstream["token_key_id"], upstream["token_sealed"], bound_to=owner).decode()


def opened_callback_secret(keyring: KeyRing, upstream: Mapping[str, Any]) -> str:
    """Return what an upstream's callbacks are verified with; raises SecretUnreadable."""
    owner = bound_to(upstream["tenant_id"], upstream["id"], CALLBACK)
    return keyring.open(
        upstream["callback_key_id"], upstream["callback_sealed"], bound_to=owner
    ).decode()


def _sealed_token(keyring: KeyRing, row: Row, token: str | None) -> Row:
    if token is None:
        return {}
    token = _line(token, "token", 4000)
    owner = bound_to(row["tenant_id"], row["id"], TOKEN)
    key_id, sealed = keyring.seal(token.encode(), bound_to=owner)
    return {"token_key_id": key_id, "token_sealed": sealed}


def _sealed_callback(keyring: KeyRing, row: Row, signature: str | None, secret: str | None) -> Row:
    if (signature is None) != (secret is None):
        raise InvalidInput(
            "callback_signature and callback_secret are given together", field="callback_secret"
        )
    if signature is None or secret is None:
        return {}
    check_choice(signature, SIGNATURES, field="callback_signature")
    if signature == "standard":
        decode_secret(secret)
    elif len(secret) < 16:
        raise InvalidInput("a callback secret has at least 16 characters", field="callback_secret")
    owner = bound_to(row["tenant_id"], row["id"], CALLBACK)
    key_id, sealed = keyring.seal(secret.encode(), bound_to=owner)
    return {
        "callback_signature": signature,
        "callback_key_id": key_id,
        "callback_sealed": sealed,
    }


def _line(text: str, field: str, length_max: int) -> str:
    """Return what may stand in a header."""
    text = check_text(text, field=field, length_max=length_max)
    if not text.isascii() or not text.isprintable():
        raise InvalidInput(f"{field} is one line of printable ASCII", field=field)
    return text


def _path(path: str) -> str:
    good = path.startswith("/") and path.count("{reference}") == 1 and "?" not in path
    if not good or len(path) > 300 or not path.isascii() or not path.isprintable():
        raise InvalidInput("path begins with / and holds {reference} once", field="path")
    return path


def _linked(connection: Connection, upstream_id: str, order_id: str, reference: str) -> bool:
    table = upstream_orders.c
    mine = (table.upstream_id == upstream_id) & (table.reference == reference)
    query = select(table.reference).where((table.chain_order_id == order_id) | mine)
    return connection.execute(query).first() is not None


def _move(work: UnitOfWork, upstream_id: str, *, source: str, target: str) -> Row:
    row = raw(work.connection, upstream_id)
    values: Row = {"state": target, "updated_at": work.now}
    if target == ACTIVE:
        values |= {"failures_in_row": 0, "openings": 0, "blocked_until": None, "last_error": None}
    moved = work.connection.execute(
        update(upstreams)
        .where(upstreams.c.id == row["id"], upstreams.c.state == source)
        .values(values)
    )
    if moved.rowcount != 1:
        raise InvalidStatus(
            f"the upstream is {row['state']}, not {source}", current_status=row["state"]
        )
    return get(work.connection, row["id"])


def _shown(row: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if name not in HIDDEN}
