"""Tokens of the HTTP interface: issued, shown once, checked without telling why they fail.

A token is ``tbk_<prefix>_<value>``: the prefix finds the row, the value is 256 random bits of which
only the SHA-256 is kept. ``shr_…`` is a reseller's key: it has no scopes and operates one
relationship, as long as that is active (document 002).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from engine import relationships, tenants
from engine.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound
from engine.ids import is_id, new_id
from engine.program_tables import reseller_relationships
from engine.tables import api_tokens
from engine.unit_of_work import UnitOfWork

#: What a token may be allowed. ``codes.read`` shows what was sold: e-pins, keys, serials.
SCOPES = ("events.read", "codes.read", "deliveries.read", "endpoints.read", "manifests.read")
SCOPES_DEFAULT = tuple(scope for scope in SCOPES if scope != "codes.read")
PREFIX_BYTES, VALUE_BYTES = 6, 32
LABEL_LENGTH_MAX = 200
#: ``last_used_at`` is only this fine: a read should not become a write each time.
LAST_USED_STEP = timedelta(minutes=1)

#: What a token begins with, by whether it is a reseller's key.
KINDS = {False: "tbk", True: "shr"}

_TOKEN = re.compile(r"(tbk|shr)_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_SHOWN = [column for column in api_tokens.c if column.name != "digest"]


@dataclass(frozen=True, slots=True)
class Access:
    """Who calls, and what they may do."""

    token_id: str
    tenant_id: str
    scopes: frozenset[str]
    last_used_at: datetime | None
    relationship_id: str | None = None

    def is_noted(self, now: datetime) -> bool:
        """Tell whether the last use on record is younger than a minute: enough to know."""
        return self.last_used_at is not None and self.last_used_at > now - LAST_USED_STEP

    def require(self, scope: str) -> None:
        """Raise Forbidden, naming the scope in its details, when the token lacks it."""
        if scope not in self.scopes:
            raise Forbidden(f"this token lacks the scope {scope}", scope=scope)

    def require_reseller(self) -> str:
        """Return the relationship a reseller's key operates; raise Forbidden for another token."""
        if self.relationship_id is None:
            raise Forbidden("this needs a reseller's key, shr_…")
        return self.relationship_id


def issue(
    work: UnitOfWork,
    *,
    tenant_id: str,
    scopes: Sequence[str] = SCOPES_DEFAULT,
    label: str | None = None,
    expires_at: datetime | None = None,
    relationship_id: str | None = None,
) -> dict[str, Any]:
    """Add a token and return its row with the ``token`` itself, which is never shown again.

    With ``relationship_id`` it is a key of that relationship's reseller, which has no scopes.
    Raises NotFound (tenant, relationship), Forbidden when the tenant is not the reseller, or
    InvalidInput for an unknown scope, no scope, a label that is too long or an end that is past.
    """
    tenant = tenants.get(work.connection, tenant_id)
    if relationship_id is not None:
        relationship_id = relationships.get(
            work.connection, relationship_id, tenant_id=tenant["id"], side=relationships.RESELLER
        )["id"]
        scopes = ()
    _check(scopes, label, expires_at, work.now, needs_scope=relationship_id is None)
    prefix, value = secrets.token_hex(PREFIX_BYTES), secrets.token_urlsafe(VALUE_BYTES)
    row = {
        "id": new_id(),
        "tenant_id": tenant["id"],
        "prefix": prefix,
        "digest": _digest(value),
        "scopes": sorted(set(scopes)),
        "relationship_id": relationship_id,
        "label": label,
        "created_by": work.actor,
        "created_at": work.now,
        "last_used_at": None,
        "expires_at": expires_at,
        "revoked_at": None,
    }
    work.connection.execute(insert(api_tokens).values(row))
    del row["digest"]
    kind = KINDS[relationship_id is not None]
    return {**row, "token": f"{kind}_{prefix}_{value}"}


def listing(connection: Connection, *, tenant_id: str | None = None) -> list[dict[str, Any]]:
    """Return the tokens of one tenant or of all, oldest first; never their values.

    Raises NotFound for an unknown tenant.
    """
    query = select(*_SHOWN).order_by(api_tokens.c.id)
    if tenant_id is not None:
        query = query.where(api_tokens.c.tenant_id == tenants.get(connection, tenant_id)["id"])
    return [dict(row) for row in connection.execute(query).mappings()]


def revoke(work: UnitOfWork, token: str) -> dict[str, Any]:
    """End a token, named by its id or prefix, at once; ending it twice keeps the first time.

    Returns the row, or raises NotFound.
    """
    column = api_tokens.c.id if is_id(token) else api_tokens.c.prefix
    named = column == token.lower()
    work.connection.execute(
        update(api_tokens)
        .where(named, api_tokens.c.revoked_at.is_(None))
        .values(revoked_at=work.now)
    )
    row = work.connection.execute(select(*_SHOWN).where(named)).mappings().first()
    if row is None:
        # What was given may be a whole token, so it is not said again.
        raise NotFound("no such token; name it by its id or its prefix", field="token")
    return dict(row)


def authenticate(connection: Connection, authorization: str | None, now: datetime) -> Access:
    """Return who the ``Authorization`` header names: ``Bearer …`` in any case, or a bare token.

    Raises NotAuthenticated, the same for a token that is missing, malformed, unknown, expired or
    revoked (domain.md 2.6: the three spellings of documents 000, 001 and 004).
    """
    found = _TOKEN.fullmatch(_bare(authorization or ""))
    kind, prefix, value = found.groups() if found else ("", "", "")
    query = select(api_tokens, reseller_relationships.c.status).outerjoin_from(
        api_tokens, reseller_relationships
    )
    row = connection.execute(query.where(api_tokens.c.prefix == prefix)).first()
    # Compared even where there is no row, so that time does not tell which prefixes exist.
    fits = hmac.compare_digest(row.digest if row else "-" * 64, _digest(value))
    if row is None or not fits or not _alive(row, kind, now):
        raise NotAuthenticated(
            "a valid token is needed in the Authorization header: 'Bearer tbk_…';"
            " 'tillbell tokens create' makes one"
        )
    scopes = frozenset(row.scopes)
    return Access(row.id, row.tenant_id, scopes, row.last_used_at, row.relationship_id)


def mark_used(connection: Connection, access: Access, now: datetime) -> bool:
    """Note that a token was used; of many at once one writes. Returns whether this one did."""
    stale = or_(
        api_tokens.c.last_used_at.is_(None), api_tokens.c.last_used_at <= now - LAST_USED_STEP
    )
    marked = connection.execute(
        update(api_tokens).where(api_tokens.c.id == access.token_id, stale).values(last_used_at=now)
    )
    return marked.rowcount == 1


def _bare(authorization: str) -> str:
    scheme, _, rest = authorization.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else authorization.strip()


def _alive(row: Any, kind: str, now: datetime) -> bool:
    """Tell whether a token's row may be used: a reseller's while its relationship is active."""
    is_reseller = row.relationship_id is not None
    active = not is_reseller or row.status == relationships.ACTIVE
    unspent = row.revoked_at is None and (row.expires_at is None or row.expires_at > now)
    return kind == KINDS[is_reseller] and active and unspent


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _check(
    scopes: Sequence[str],
    label: str | None,
    expires_at: datetime | None,
    now: datetime,
    *,
    needs_scope: bool,
) -> None:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or (needs_scope and not scopes):
        named = f"scope {unknown[0]!r} is none" if unknown else "a token needs one or more"
        raise InvalidInput(f"{named} of {', '.join(SCOPES)}", field="scopes")
    if label is not None and not 1 <= len(label) <= LABEL_LENGTH_MAX:
        raise InvalidInput(f"a label has 1 to {LABEL_LENGTH_MAX} characters", field="label")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("a token cannot end in the past", field="expires_at")
