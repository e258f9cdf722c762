"""Signing secrets of endpoints: issued, rotated with an overlap, sealed at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, select, update

from config.log import get_logger
from dispatcher.secrets import KeyRing, SecretUnreadable
from dispatcher.signing import decode_secret, new_secret
from dispatcher.tables import endpoint_secrets
from engine.ids import new_id
from engine.unit_of_work import UnitOfWork

log = get_logger("secrets")

#: How long an old secret still signs beside the new one (design §3).
OVERLAP = timedelta(hours=24)


def bound_to(tenant_id: str, endpoint_id: str) -> str:
    """Name what a sealed secret belongs to: it cannot be opened as another endpoint's."""
    return f"{tenant_id}/{endpoint_id}"


def issue(work: UnitOfWork, keyring: KeyRing, endpoint_id: str, tenant_id: str) -> str:
    """Store a fresh secret and return its text: the only time it is shown."""
    secret = new_secret()
    key_id, ciphertext = keyring.seal(
        decode_secret(secret), bound_to=bound_to(tenant_id, endpoint_id)
    )
    work.connection.execute(
        insert(endpoint_secrets).values(
            id=new_id(),
            endpoint_id=endpoint_id,
            key_id=key_id,
            ciphertext=ciphertext,
            created_at=work.now,
        )
    )
    return secret


def rotate(
    work: UnitOfWork,
    keyring: KeyRing,
    endpoint_id: str,
    tenant_id: str,
    *,
    overlap: timedelta = OVERLAP,
) -> str:
    """Issue a new secret; the old ones sign beside it for ``overlap`` and then no more."""
    work.connection.execute(
        update(endpoint_secrets)
        .where(endpoint_secrets.c.endpoint_id == endpoint_id)
        .where(endpoint_secrets.c.expires_at.is_(None))
        .values(expires_at=work.now + overlap)
    )
    return issue(work, keyring, endpoint_id, tenant_id)


def opened(
    connection: Connection, keyring: KeyRing, tenant_of: Mapping[str, str], now: datetime
) -> dict[str, Sequence[bytes]]:
    """Return the secrets that sign now, newest first, of each endpoint in ``tenant_of``.

    An endpoint whose secrets cannot be opened is missing from the answer: nothing unsigned is sent.
    """
    valid = or_(endpoint_secrets.c.expires_at.is_(None), endpoint_secrets.c.expires_at > now)
    rows = connection.execute(
        select(endpoint_secrets)
        .where(endpoint_secrets.c.endpoint_id.in_(tenant_of), valid)
        .order_by(endpoint_secrets.c.endpoint_id, endpoint_secrets.c.created_at.desc())
    )
    found: dict[str, list[bytes]] = {}
    for row in rows:
        bound = bound_to(tenant_of[row.endpoint_id], row.endpoint_id)
        try:
            secret = keyring.open(row.key_id, row.ciphertext, bound_to=bound)
        except SecretUnreadable as error:
            log.warning("secret.unreadable", endpoint_id=row.endpoint_id, reason=error.message)
            continue
        found.setdefault(row.endpoint_id, []).append(secret)
    return {endpoint_id: tuple(secrets) for endpoint_id, secrets in found.items()}
