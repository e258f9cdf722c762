"""Invitations: a merchant invites by e-mail, a tenant accepts once by the token (document 002).

The token is shown once and only its SHA-256 is kept; the e-mail is sealed, and hashed to find a
second invitation. An invitation's id is no relationship's id.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from engine import programs, relationships, reseller_events, tenants
from engine.errors import AlreadyExists, InvalidInput, InvalidStatus, NotFound
from engine.ids import is_id, new_id
from engine.inputs import check_keys
from engine.private_text import check_email, digest
from engine.program_tables import reseller_invitations
from engine.reseller_terms import INVITATION_FIELDS, read_terms
from engine.sealing import KeyRing, bound_to
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

Row = dict[str, Any]
PENDING, ACCEPTED, EXPIRED, REVOKED = "pending", "accepted", "expired", "revoked"
STATUSES = (PENDING, ACCEPTED, EXPIRED, REVOKED)
#: How long an invitation may be accepted.
LIFETIME = timedelta(days=14)
LIFETIME_MAX = timedelta(days=90)
SEALED_AS = "invitation_email"
_TABLE = reseller_invitations.c
_SHOWN = [
    column
    for column in _TABLE
    if column.name not in {"email_digest", "key_id", "ciphertext", "token_digest"}
]
#: Who has no tenant yet: the tokens of all merchants are hashed alike.
_TOKENS = "reseller_invitation"


def invite(
    work: UnitOfWork,
    keyring: KeyRing,
    tenant_id: str,
    invitation: Mapping[str, Any],
    *,
    lifetime: timedelta = LIFETIME,
) -> Row:
    """Invite by document 002's fields; return the row with its ``token``, never shown again.

    Raises NotFound, ProgramUnavailable while the program is off, InvalidInput naming the field, or
    AlreadyExists while another invitation to the same e-mail is open.
    """
    merchant = tenants.get(work.connection, tenant_id)
    program = programs.require_enabled(work.connection, merchant["id"])
    given = check_keys(invitation, ("email", *INVITATION_FIELDS), field="invitation")
    email = check_email(given.pop("email", None), field="email")
    if not timedelta(0) < lifetime <= LIFETIME_MAX:
        raise InvalidInput(
            f"an invitation lasts at most {LIFETIME_MAX.days} days", field="expires_at"
        )
    token = f"inv_{secrets.token_urlsafe(32)}"
    row = _row(work, keyring, merchant["id"], email, token)
    row |= {"mode": program["default_mode"], "expires_at": work.now + lifetime}
    row |= read_terms(work.connection, given, merchant)
    _insert(work, row)
    shown = {column.name: row[column.name] for column in _SHOWN}
    work.raise_event(reseller_events.invited(shown))
    return {**shown, "token": token}


def accept(
    work: UnitOfWork, token: str, *, tenant_id: str | None = None, name: str | None = None
) -> Row:
    """Accept once and return the relationship; ``tenant_id`` accepts, or a new one called ``name``.

    Raises NotFound for a token that is none, InvalidStatus for an invitation that is accepted,
    revoked or past its end, ProgramUnavailable while the program is off, InvalidInput, or
    AlreadyExists when the tenant is a reseller of the merchant already.
    """
    if (tenant_id is None) is (name is None):
        raise InvalidInput("give either the tenant that accepts, or a new one's name", field="name")
    standing = _by_token(work.connection, token)
    programs.require_enabled(work.connection, standing["tenant_id"])
    _close(work, standing, ACCEPTED, _TABLE.expires_at > work.now)
    if tenant_id is None:
        assert name is not None
        child = tenants.create(work, name=name, parent_id=standing["tenant_id"])
        tenant_id = str(child["id"])
    terms = {field: standing[field] for field in INVITATION_FIELDS}
    made = relationships.create(work, standing["tenant_id"], tenant_id, terms)
    work.connection.execute(
        update(reseller_invitations)
        .where(_TABLE.id == standing["id"])
        .values(relationship_id=made["id"])
    )
    for draft in reseller_events.accepted(made, standing):
        work.raise_event(draft)
    return made


def revoke(work: UnitOfWork, invitation_id: str, *, tenant_id: str | None = None) -> Row:
    """Take an open invitation back and return its row; raises NotFound or InvalidStatus."""
    standing = get(work.connection, invitation_id, tenant_id=tenant_id)
    return standing | _close(work, standing, REVOKED, _TABLE.id == standing["id"])


def get(connection: Connection, invitation_id: str, *, tenant_id: str | None = None) -> Row:
    """Return an invitation without e-mail and token, or raise NotFound when it is another's."""
    row = None
    if is_id(invitation_id):
        query = select(*_SHOWN).where(_TABLE.id == invitation_id.lower())
        row = connection.execute(query).mappings().first()
    if row is None or tenant_id not in {None, row["tenant_id"]}:
        raise NotFound(f"no invitation {invitation_id!r}", field="invitation_id")
    return dict(row)


def email_of(connection: Connection, keyring: KeyRing, invitation: Mapping[str, Any]) -> str:
    """Return the e-mail of an invitation that its merchant looks at; raises SecretUnreadable."""
    query = select(_TABLE.key_id, _TABLE.ciphertext).where(_TABLE.id == invitation["id"])
    sealed = connection.execute(query).one()
    bound = bound_to(invitation["tenant_id"], invitation["id"], SEALED_AS)
    return keyring.open(sealed.key_id, sealed.ciphertext, bound_to=bound).decode()


def listing(
    connection: Connection, *, tenant_id: str | None = None, limit: int = 100, offset: int = 0
) -> list[Row]:
    """Return invitations, oldest first, without e-mails and tokens."""
    query = select(*_SHOWN).order_by(_TABLE.id).limit(limit).offset(offset)
    if tenant_id is not None:
        query = query.where(_TABLE.tenant_id == tenant_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _row(work: UnitOfWork, keyring: KeyRing, merchant_id: str, email: str, token: str) -> Row:
    invitation_id = new_id()
    bound = bound_to(merchant_id, invitation_id, SEALED_AS)
    key_id, ciphertext = keyring.seal(email.encode(), bound_to=bound)
    return {
        "id": invitation_id,
        "tenant_id": merchant_id,
        "email_digest": digest(merchant_id, email),
        "key_id": key_id,
        "ciphertext": ciphertext,
        "token_digest": digest(_TOKENS, token),
        "custom_commission_percent": None,
        "purchase_limit_daily": None,
        "product_access": [],
        "status": PENDING,
        "relationship_id": None,
        "created_by": work.actor,
        "created_at": work.now,
        "closed_at": None,
    }


def _insert(work: UnitOfWork, row: Row) -> None:
    """Insert an invitation, closing one to the same e-mail whose time is over."""
    same = (_TABLE.tenant_id == row["tenant_id"]) & (_TABLE.email_digest == row["email_digest"])
    work.connection.execute(
        update(reseller_invitations)
        .where(same, _TABLE.status == PENDING, _TABLE.expires_at <= work.now)
        .values(status=EXPIRED, closed_at=work.now)
    )
    if not insert_missing(work.connection, reseller_invitations, [row]):
        raise AlreadyExists("an invitation to this e-mail is open already", field="email")


def _by_token(connection: Connection, token: str) -> Row:
    query = select(*_SHOWN).where(_TABLE.token_digest == digest(_TOKENS, token))
    row = connection.execute(query).mappings().first()
    if row is None:
        # What was given may be a token of something else, so it is not said again.
        raise NotFound("no invitation has this token", field="token")
    return dict(row)


def _close(work: UnitOfWork, standing: Row, status: str, guard: ColumnElement[bool]) -> Row:
    """Take the one way out of ``pending``, or raise InvalidStatus; of two at once one does."""
    closed = {"status": status, "closed_at": work.now}
    moved = work.connection.execute(
        update(reseller_invitations)
        .where(_TABLE.id == standing["id"], _TABLE.status == PENDING, guard)
        .values(closed)
    )
    if moved.rowcount != 1:
        current = get(work.connection, standing["id"])["status"]
        current = EXPIRED if current == PENDING else current
        raise InvalidStatus(f"the invitation is {current}", current_status=current, allowed=[])
    return closed
