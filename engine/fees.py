"""Fees: what the platform charges a tenant's wallet (A14)."""

from __future__ import annotations

from typing import Any

from engine import ledger, postings, tenants, wallets
from engine.errors import InvalidAmount
from engine.ids import new_id
from engine.inputs import check_text
from engine.money import check_amount
from engine.postings import Posting
from engine.unit_of_work import UnitOfWork

REASON_LENGTH_MAX = 500


def charge(
    work: UnitOfWork,
    tenant_id: str,
    amount_minor: int,
    *,
    reason: str,
    reference: str | None = None,
) -> dict[str, Any]:
    """Take a fee out of a wallet once per ``reference`` and return the wallet.

    Raises InvalidAmount for nothing or less, InvalidInput for want of a reason, NotFound,
    InsufficientBalance, AccountFrozen, or IdempotencyKeyReused when the reference named another
    fee.
    """
    tenant = tenants.get(work.connection, tenant_id)
    if check_amount(amount_minor) == 0:
        raise InvalidAmount("a fee needs an amount above zero", field="amount", value=0)
    reference = reference or new_id()
    ledger.post(
        work,
        Posting(
            kind="fee",
            reference_type="fee",
            reference_id=check_text(reference, field="reference", length_max=200),
            idempotency_key=f"fee:{tenant['id']}:{reference}",
            currency=tenant["currency"],
            entries=postings.fee(tenant["id"], amount_minor),
            spent_by=tenant["id"],
            metadata={"reason": check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)},
        ),
    )
    return wallets.show(work.connection, tenant["id"])
