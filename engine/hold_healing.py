"""Free what is set aside for something that is over, with a posting and only that."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from engine import accounts, ledger
from engine.ledger_tables import holds
from engine.postings import WALLET, Close, Posting
from engine.unit_of_work import UnitOfWork


def release_orphans(work: UnitOfWork, hold_ids: Sequence[str]) -> dict[str, str]:
    """Release those of the holds that are open and return the transaction that freed each.

    The caller has found that what they are for is over. Raises AccountFrozen.
    """
    query = (
        select(holds)
        .where(holds.c.id.in_(list(hold_ids)), holds.c.status == "open")
        .order_by(holds.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    rows = [dict(row) for row in work.connection.execute(query).mappings()]
    # All wallets at once and in order, so that no posting waits for us while we wait for it.
    for currency in sorted({row["currency"] for row in rows}):
        mine = [row for row in rows if row["currency"] == currency]
        parties = {row[side] for row in mine for side in ("payer_id", "payee_id")} - {None}
        accounts.lock(work.connection, {(party, WALLET) for party in parties}, currency)
    freed = {}
    for row in rows:
        posted = ledger.post(
            work,
            Posting(
                kind="hold_release",
                reference_type=row["reason"],
                reference_id=row["reference_id"],
                idempotency_key=f"hold:{row['id']}:release",
                currency=row["currency"],
                closes=(
                    Close(
                        reason=row["reason"], reference_id=row["reference_id"], status="released"
                    ),
                ),
            ),
        )
        freed[row["id"]] = posted["id"]
    return freed
