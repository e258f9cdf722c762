"""Credentials that end soon: nothing is broken yet, and somebody can still renew them."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, exists, func, or_, select

from dispatcher.tables import endpoint_secrets, endpoints
from engine.events import iso_seconds
from engine.tables import api_tokens
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity

#: So long before its end a credential is spoken of.
SPOKEN_OF = timedelta(days=7)


def _find(connection: Connection, scope: Scope) -> Found:
    """Find endpoints whose last secret of a kind ends soon, and API tokens that do."""
    secrets = _secrets(connection, scope)
    tokens = _tokens(connection, scope)
    scanned = connection.execute(select(func.count()).select_from(endpoint_secrets)).scalar_one()
    return Found(scanned, [*secrets, *tokens])


def _secrets(connection: Connection, scope: Scope) -> list[Finding]:
    until = scope.as_of + SPOKEN_OF
    mine, other = endpoint_secrets.c, endpoint_secrets.alias().c
    lasting = exists().where(
        other.endpoint_id == mine.endpoint_id,
        other.kind == mine.kind,
        or_(other.expires_at.is_(None), other.expires_at > until),
    )
    query = (
        select(mine.endpoint_id, mine.kind, endpoints.c.tenant_id, func.max(mine.expires_at))
        .join_from(endpoint_secrets, endpoints, endpoints.c.id == mine.endpoint_id)
        .where(endpoints.c.deleted_at.is_(None), mine.expires_at <= until, ~lasting)
        .group_by(mine.endpoint_id, mine.kind, endpoints.c.tenant_id)
        .order_by(mine.endpoint_id)
        .limit(SLICE_ROWS)
    )
    return [
        Finding(
            f"endpoint {endpoint_id}, {kind} secret",
            expected=f"one that lasts {SPOKEN_OF.days} days",
            actual={"ends": iso_seconds(ends_at)},
            key=endpoint_id,
            tenant_id=tenant_id,
            owner=tenant_id,
            due_at=ends_at,
        )
        for endpoint_id, kind, tenant_id, ends_at in connection.execute(query)
    ]


def _tokens(connection: Connection, scope: Scope) -> list[Finding]:
    table = api_tokens.c
    soon = (table.expires_at > scope.as_of) & (table.expires_at <= scope.as_of + SPOKEN_OF)
    query = select(api_tokens).where(soon, table.revoked_at.is_(None)).limit(SLICE_ROWS)
    return [
        Finding(
            f"api_token {row.prefix}",
            expected=f"one that lasts {SPOKEN_OF.days} days",
            actual={"ends": iso_seconds(row.expires_at)},
            key=row.id,
            tenant_id=row.tenant_id,
            owner=row.tenant_id,
            due_at=row.expires_at,
        )
        for row in connection.execute(query)
    ]


CREDENTIALS_LAST = Check(
    id="K23",
    title="Credentials that end soon",
    compares="the end of every endpoint's last secret of a kind, and of every API token, with a"
    " week from now",
    remedy="tillbell endpoints rotate-secret ID; tillbell tokens create",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=3600,
    find=_find,
)
