"""Money set aside by hand, for a dispute or as a deposit, until it is freed, taken or expires."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from engine import accounts, idempotency, ledger, postings, tenants, wallets
from engine.errors import Forbidden, InvalidAmount, InvalidInput, InvalidStatus, NotFound
from engine.ids import is_id, new_id
from engine.inputs import check_text
from engine.ledger_tables import holds
from engine.money import check_amount
from engine.postings import MANUAL, WALLET, Close, Entry, Hold, Posting
from engine.unit_of_work import UnitOfWork

REASON_LENGTH_MAX = 500
BATCH_MAX = 1000

Row = dict[str, Any]


def hold(
    work: UnitOfWork,
    tenant_id: str,
    amount_minor: int,
    *,
    reason: str,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
    by: str | None = None,
) -> Row:
    """Set money of a wallet aside and return the hold; the same key again returns the first.

    ``by`` is the tenant above that does it, None the operator. Raises InvalidAmount, InvalidInput,
    InsufficientBalance, IdempotencyKeyReused, Forbidden or NotFound.
    """
    tenant = tenants.get(work.connection, tenant_id)
    wallets.require_above(tenant, by)
    if check_amount(amount_minor) == 0:
        raise InvalidAmount("a hold needs an amount above zero", field="amount", value=0)
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= work.now):
        raise InvalidInput("a hold expires at an instant in the future", field="expires_at")
    wanted = Hold(
        payer_id=tenant["id"],
        amount_minor=amount_minor,
        kind="discretionary",
        reason=MANUAL,
        reference_id=new_id(),
        expires_at=expires_at,
        note=check_text(reason, field="reason", length_max=REASON_LENGTH_MAX),
    )
    asked = {"operation": "hold", "amount_minor": amount_minor, "reason": wanted.note}
    asked |= {"expires_at": expires_at}
    first = idempotency.claim(
        work, tenant["id"], idempotency_key, asked, subject_id=wanted.reference_id
    )
    if first == wanted.reference_id:
        ledger.post(work, _opening(wanted, tenant["currency"]))
    return get(work.connection, first)


def release(work: UnitOfWork, hold_id: str, *, reason: str, by: str | None = None) -> Row:
    """Free what was set aside by hand and return the hold.

    Raises InvalidStatus with ``current_status`` when it is not open, Forbidden when it belongs to
    an order, a remittance or a payout, which end it themselves, or NotFound.
    """
    note = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    row = _open(work, hold_id, by)
    _close(work, row, "released", note)
    return get(work.connection, row["id"])


def capture(
    work: UnitOfWork,
    hold_id: str,
    amount_minor: int | None = None,
    *,
    reason: str,
    by: str | None = None,
) -> Row:
    """Take what was set aside by hand, or a part of it, as a fee; the rest is free again.

    It was promised when it was set aside, so it never fails for lack of funds. The fee is the
    platform's, and so is the right to take it (or the operator's). Raises InvalidAmount for nothing
    or for more than is held; else as ``release``.
    """
    note = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    row = _open(work, hold_id, by)
    wallets.require_platform(tenants.get(work.connection, row["payer_id"]), by)
    taken = row["amount_minor"] if amount_minor is None else check_amount(amount_minor)
    if not 0 < taken <= row["amount_minor"]:
        raise InvalidAmount(
            f"{taken} minor units cannot be taken of {row['amount_minor']} held",
            field="amount",
            value=taken,
        )
    _close(work, row, "captured", note, postings.fee(row["payer_id"], taken))
    return get(work.connection, row["id"])


def due(connection: Connection, as_of: datetime, limit: int = BATCH_MAX) -> list[Row]:
    """Return open holds that have expired, oldest first; costs what is due only."""
    query = (
        select(holds)
        .where(holds.c.status == "open", holds.c.expires_at <= as_of)
        .order_by(holds.c.expires_at, holds.c.id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def expire(work: UnitOfWork, hold_ids: Sequence[str], as_of: datetime) -> list[str]:
    """Free those of the holds that are open and have expired; return their ids.

    A hold that someone else is closing is passed over.
    """
    query = (
        select(holds)
        .where(holds.c.id.in_(hold_ids), holds.c.status == "open", holds.c.expires_at <= as_of)
        .order_by(holds.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    rows = [dict(row) for row in work.connection.execute(query).mappings()]
    # All wallets at once and in order, so that no posting waits for us while we wait for it.
    for currency in sorted({row["currency"] for row in rows}):
        keys = {(row["payer_id"], WALLET) for row in rows if row["currency"] == currency}
        accounts.lock(work.connection, keys, currency)
    for row in rows:
        _close(work, row, "expired", "expired")
    return [row["id"] for row in rows]


def get(connection: Connection, hold_id: str, *, locked: bool = False) -> Row:
    """Return one hold's row (kept from other transactions where ``locked``), or raise NotFound."""
    row = None
    if is_id(hold_id):
        query = select(holds).where(holds.c.id == hold_id.lower())
        query = query.with_for_update(key_share=True) if locked else query
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"no hold {hold_id!r}", field="hold_id", value=hold_id)
    return dict(row)


def open_holds(connection: Connection, tenant_id: str) -> list[Row]:
    """Return what is set aside in a wallet now, for whatever reason, oldest first."""
    tenant = tenants.get(connection, tenant_id)
    query = select(holds).where(holds.c.payer_id == tenant["id"], holds.c.status == "open")
    return [dict(row) for row in connection.execute(query.order_by(holds.c.id)).mappings()]


def _opening(wanted: Hold, currency: str) -> Posting:
    return Posting(
        kind="hold",
        reference_type=MANUAL,
        reference_id=wanted.reference_id,
        idempotency_key=f"hold:{wanted.reference_id}",
        currency=currency,
        opens=(wanted,),
    )


def _open(work: UnitOfWork, hold_id: str, by: str | None) -> Row:
    """Return an open hold that ``by`` may end, locked; raise what ``release`` says."""
    row = get(work.connection, hold_id, locked=True)
    wallets.require_above(tenants.get(work.connection, row["payer_id"]), by)
    if row["reason"] != MANUAL:
        raise Forbidden(
            f"the hold belongs to the {row['reason']} {row['reference_id']} and ends with it",
            hold_id=row["id"],
        )
    if row["status"] != "open":
        status = row["status"]
        raise InvalidStatus(f"the hold is {status} already", current_status=status, allowed=[])
    return row


def _close(
    work: UnitOfWork, row: Row, status: str, note: str, entries: tuple[Entry, ...] = ()
) -> None:
    close = Close(reason=row["reason"], reference_id=row["reference_id"], status=status, note=note)
    ledger.post(
        work,
        Posting(
            kind="hold_capture" if entries else "hold_release",
            reference_type=row["reason"],
            reference_id=row["reference_id"],
            idempotency_key=f"hold:{row['reference_id']}:end",
            currency=row["currency"],
            entries=entries,
            closes=(close,),
            metadata={"reason": note},
        ),
    )
