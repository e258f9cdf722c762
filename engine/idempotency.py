"""Keys of requests that move money: under one key there is one effect, for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import select, update

from engine.errors import IdempotencyKeyReused
from engine.inputs import check_text
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing
from engine.wallet_tables import idempotency_keys

KEY_LENGTH_MAX = 200


def claim(
    work: UnitOfWork,
    tenant_id: str,
    key: str | None,
    request: Mapping[str, Any],
    *,
    subject_id: str,
) -> str:
    """Return what the tenant's key names: ``subject_id``, or that of the first such request.

    A repetition waits for the first to commit or to be refused, which leaves the key free. Without
    a key every request is its own. Raises InvalidInput, or IdempotencyKeyReused when the key came
    with another request.
    """
    if key is None:
        return subject_id
    key = check_text(key, field="idempotency_key", length_max=KEY_LENGTH_MAX)
    content = orjson.dumps(dict(request), option=orjson.OPT_SORT_KEYS)
    row = {
        "tenant_id": tenant_id,
        "key": key,
        "fingerprint": hashlib.sha256(content).hexdigest(),
        "subject_id": subject_id,
        "created_at": work.now,
    }
    if insert_missing(work.connection, idempotency_keys, [row], ["tenant_id", "key"]):
        return subject_id
    query = select(idempotency_keys).where(
        idempotency_keys.c.tenant_id == tenant_id, idempotency_keys.c.key == key
    )
    standing = work.connection.execute(query).one()
    if standing.fingerprint != row["fingerprint"]:
        raise IdempotencyKeyReused(
            f"idempotency key {key!r} came with another request before", idempotency_key=key
        )
    return str(standing.subject_id)


def name(work: UnitOfWork, tenant_id: str, key: str | None, subject_id: str) -> None:
    """Let a key that was just claimed name what came of it, where that has an id of its own."""
    mine = (idempotency_keys.c.tenant_id == tenant_id) & (idempotency_keys.c.key == key)
    if key is not None:
        work.connection.execute(update(idempotency_keys).where(mine).values(subject_id=subject_id))
