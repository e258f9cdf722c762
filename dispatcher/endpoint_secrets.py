"""What an endpoint's calls are signed with: issued, rotated with an overlap, sealed at rest.

A signing secret (``v1``) and an API key (profile ``flat``) are shown once, when they are made; of a
key pair (``v1a``) only the public half is ever shown.
"""

from __future__ import annotations

import re
import secrets as random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, or_, select, update

from config.crash_points import C22_ROTATED, at
from config.log import get_logger
from dispatcher.errors import TooManySecrets
from dispatcher.key_pairs import new_key_pair, public_key_text
from dispatcher.signing import decode_secret, new_secret
from dispatcher.tables import endpoint_secrets, endpoints
from engine.errors import InvalidInput, NotFound, SecretUnreadable
from engine.events import iso_seconds
from engine.ids import new_id
from engine.sealing import KeyRing, bound_to
from engine.unit_of_work import UnitOfWork

log = get_logger("secrets")

#: How long an old secret still signs beside the new one (design §3), and how long at most.
OVERLAP = timedelta(hours=24)
OVERLAP_MAX = timedelta(days=7)
#: How far ahead a rotation may be arranged.
SCHEDULE_MAX = timedelta(days=30)
ALIVE_MAX = 5
#: How long the signing secrets of a removed endpoint are kept: its last day is proved with them, an
#: hour after midnight, or a day later if nobody was there to do it. They sign no call any more.
LAST_PROOF = timedelta(days=2)

_APIKEY = re.compile(r"[\x21-\x7e]{8,256}")


class Kind(StrEnum):
    """What a secret is for; the value is stored."""

    SIGNING = "signing"  #: HMAC-SHA256, ``v1``
    ED25519 = "ed25519"  #: key pair, ``v1a``
    APIKEY = "apikey"  #: the ``Apikey`` header of profile ``flat``: it signs nothing


@dataclass(frozen=True, slots=True)
class Held:
    """One secret opened, and while it counts; None is without end."""

    plain: bytes = field(repr=False)
    starts_at: datetime | None = None
    expires_at: datetime | None = None

    def counts_at(self, now: datetime) -> bool:
        """Tell whether calls made at ``now`` carry it."""
        begun = self.starts_at is None or self.starts_at <= now
        return begun and (self.expires_at is None or now < self.expires_at)


def issue(
    work: UnitOfWork,
    keyring: KeyRing,
    endpoint_id: str,
    tenant_id: str,
    *,
    kind: Kind = Kind.SIGNING,
    given: str | None = None,
    starts_at: datetime | None = None,
) -> str:
    """Store a secret, the owner's own or a fresh one, and return what is shown of it this once.

    Raises InvalidInput for a given one that cannot be used, without its text.
    """
    plain, shown = _material(kind, given)
    key_id, ciphertext = keyring.seal(plain, bound_to=bound_to(tenant_id, endpoint_id, kind))
    work.connection.execute(
        insert(endpoint_secrets).values(
            id=new_id(),
            endpoint_id=endpoint_id,
            kind=kind,
            key_id=key_id,
            ciphertext=ciphertext,
            public_key=shown if kind is Kind.ED25519 else None,
            created_at=work.now,
            starts_at=starts_at,
        )
    )
    return shown


def rotate(
    work: UnitOfWork,
    keyring: KeyRing,
    endpoint_id: str,
    tenant_id: str,
    *,
    overlap: timedelta = OVERLAP,
    starts_at: datetime | None = None,
    secret: str | None = None,
    kind: Kind = Kind.SIGNING,
) -> str:
    """Issue a new secret; the old ones sign beside it for ``overlap`` and then no more.

    With ``starts_at`` the new one signs from then on only. An overlap of zero ends every old one
    at the switch, those of earlier rotations too. Raises InvalidInput naming the field, NotFound,
    or TooManySecrets.
    """
    _check_times(kind, overlap, starts_at, work.now)
    _hold(work, endpoint_id)
    ends_at = (starts_at or work.now) + overlap
    own = (endpoint_secrets.c.endpoint_id == endpoint_id) & (endpoint_secrets.c.kind == kind)
    expires_at = endpoint_secrets.c.expires_at
    work.connection.execute(delete(endpoint_secrets).where(own, expires_at <= work.now))
    work.connection.execute(
        update(endpoint_secrets)
        .where(own, or_(expires_at.is_(None), expires_at > ends_at))
        .values(expires_at=ends_at)
    )
    shown = issue(
        work, keyring, endpoint_id, tenant_id, kind=kind, given=secret, starts_at=starts_at
    )
    at(C22_ROTATED)
    alive = or_(expires_at.is_(None), expires_at > work.now)
    counted = select(func.count(), func.min(expires_at)).where(own, alive)
    number, next_end = work.connection.execute(counted).one()
    if number > ALIVE_MAX:
        raise TooManySecrets(
            f"an endpoint has at most {ALIVE_MAX} secrets alive: wait until"
            f" {iso_seconds(next_end)}, or rotate without overlap, which ends the old ones",
            alive_max=ALIVE_MAX,
            next_end_at=iso_seconds(next_end),
        )
    return shown


def discard(connection: Connection, endpoint_id: str, kind: Kind) -> None:
    """Destroy an endpoint's secrets of a kind."""
    own = (endpoint_secrets.c.endpoint_id == endpoint_id) & (endpoint_secrets.c.kind == kind)
    connection.execute(delete(endpoint_secrets).where(own))


def retire(connection: Connection, endpoint_id: str, now: datetime) -> None:
    """Destroy what a removed endpoint has but for what signs its last manifest, which ends soon."""
    for kind in (Kind.ED25519, Kind.APIKEY):
        discard(connection, endpoint_id, kind)
    ends_at, expires_at = now + LAST_PROOF, endpoint_secrets.c.expires_at
    connection.execute(
        update(endpoint_secrets)
        .where(endpoint_secrets.c.endpoint_id == endpoint_id)
        .where(or_(expires_at.is_(None), expires_at > ends_at))
        .values(expires_at=ends_at)
    )


def opened(
    connection: Connection, keyring: KeyRing, tenant_of: Mapping[str, str], now: datetime
) -> dict[str, dict[Kind, list[Held]]]:
    """Return what counts now or later of each endpoint in ``tenant_of``, newest first.

    What cannot be opened is left out and logged; its kind is there all the same, if need be empty.
    """
    alive = or_(endpoint_secrets.c.expires_at.is_(None), endpoint_secrets.c.expires_at > now)
    rows = connection.execute(_newest_first(select(endpoint_secrets), list(tenant_of)).where(alive))
    found: dict[str, dict[Kind, list[Held]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        bound = bound_to(tenant_of[row.endpoint_id], row.endpoint_id, row.kind)
        held = found[row.endpoint_id][Kind(row.kind)]
        try:
            plain = keyring.open(row.key_id, row.ciphertext, bound_to=bound)
        except SecretUnreadable as error:
            log.warning("secret.unreadable", endpoint_id=row.endpoint_id, reason=error.message)
            continue
        held.append(Held(plain, row.starts_at, row.expires_at))
    return found


def described(
    connection: Connection, chosen: Select[tuple[str]] | Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return what may be shown of the secrets of endpoints, newest first: never one itself.

    Endpoints are chosen by their ids, or by a query for these where they may be very many.
    """
    shown = ("kind", "public_key", "created_at", "starts_at", "expires_at")
    columns = (endpoint_secrets.c[name] for name in ("endpoint_id", *shown))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(_newest_first(select(*columns), chosen)).mappings():
        found[row["endpoint_id"]].append({name: row[name] for name in shown})
    return found


def _newest_first(query: Select[Any], chosen: Select[tuple[str]] | Sequence[str]) -> Select[Any]:
    table = endpoint_secrets.c
    return query.where(table.endpoint_id.in_(chosen)).order_by(
        table.endpoint_id, table.created_at.desc(), table.id.desc()
    )


def _material(kind: Kind, given: str | None) -> tuple[bytes, str]:
    """Return what is sealed, and what is shown of it."""
    if kind is Kind.ED25519:
        key_pair = new_key_pair()
        return key_pair, public_key_text(key_pair)
    if kind is Kind.APIKEY:
        key = random.token_urlsafe(32) if given is None else _check_apikey(given)
        return key.encode(), key
    secret = new_secret() if given is None else given
    return decode_secret(secret), secret


def _check_apikey(key: str) -> str:
    if not _APIKEY.fullmatch(key) or key.startswith(("whsec_", "whsk_")):
        raise InvalidInput(
            "an API key is 8 to 256 printable ASCII characters without blanks, and never a"
            " signing secret",
            field="apikey",
        )
    return key


def _check_times(kind: Kind, overlap: timedelta, starts_at: datetime | None, now: datetime) -> None:
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise InvalidInput(f"overlap must be from 0 to {OVERLAP_MAX.days} days", field="overlap")
    if starts_at is None:
        return
    if kind is Kind.ED25519:
        raise InvalidInput(
            "a key pair is not switched at an instant: the old one signs beside the new for the"
            " overlap",
            field="starts_at",
        )
    if not now < starts_at <= now + SCHEDULE_MAX:
        raise InvalidInput(
            f"starts_at must lie ahead, by at most {SCHEDULE_MAX.days} days",
            field="starts_at",
            value=starts_at.isoformat(),
        )


def _hold(work: UnitOfWork, endpoint_id: str) -> None:
    """Lock the endpoint's row, so that of two rotations at once the later sees the first."""
    held = work.connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.deleted_at.is_(None))
        .values(updated_at=work.now)
    )
    if held.rowcount != 1:
        raise NotFound(f"no endpoint {endpoint_id!r}", field="endpoint_id", value=endpoint_id)
