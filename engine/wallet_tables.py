"""Tables of wallets beside the ledger's: their statement, payouts, and the keys of requests."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
)

from engine.database import metadata
from engine.types import Id, UtcTime

#: A wallet's statement: one line per amount that came, left, was set aside or was freed.
wallet_transactions = Table(
    "wallet_transactions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    # Without a gap in each wallet, in the order of its ledger; created_at never runs against it.
    Column("seq", BigInteger, nullable=False),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id"), nullable=False),
    Column("type", String(10), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("reference_type", String(40), nullable=False),
    Column("reference_id", String(200), nullable=False),
    Column("description", String(500)),
    # The wallet after this line.
    Column("balance_minor", BigInteger, nullable=False),
    Column("available_minor", BigInteger, nullable=False),
    # Among the wallet's lines of this type and reference_type: the place of this one, and the sum
    # up to it. Two lines tell what lies between them, however much that is.
    Column("number", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant_id", "seq"),
)
_LINE = wallet_transactions.c
Index("ix_wallet_transactions_created_at", _LINE.tenant_id, _LINE.created_at, _LINE.seq)
Index("ix_wallet_transactions_kind", _LINE.tenant_id, _LINE.type, _LINE.reference_type, _LINE.seq)
#: Names the types and reference types a wallet has lines of. The number is in it because SQLite
#: takes the index that more of the conditions fit.
Index(
    "ix_wallet_transactions_first",
    _LINE.tenant_id,
    _LINE.number,
    _LINE.type,
    _LINE.reference_type,
    sqlite_where=_LINE.number == 1,
    postgresql_where=_LINE.number == 1,
)
Index("ix_wallet_transactions_transaction_id", _LINE.transaction_id)

#: Money a tenant wants from its wallet to its bank; a hold keeps it while the payout is open.
payouts = Table(
    "payouts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    # Whose bank pays, and who decides: the root of the tenant's tree.
    Column("platform_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("method", String(40), nullable=False),
    Column("status", String(20), nullable=False),
    Column("version", BigInteger, nullable=False),
    # The bank's name of the payment, known when it is completed.
    Column("reference", String(200)),
    Column("reason", String(500)),
    Column("requested_by", String(200), nullable=False),
    Column("decided_by", String(200)),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id")),
    Column("approved_at", UtcTime),
    Column("completed_at", UtcTime),
    Column("closed_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
Index("ix_payouts_tenant_id", payouts.c.tenant_id, payouts.c.id)
Index("ix_payouts_platform_id", payouts.c.platform_id, payouts.c.id)
Index("ix_payouts_status", payouts.c.status, payouts.c.id)
#: Decisions since somebody last looked.
Index("ix_payouts_updated_at", payouts.c.updated_at)

#: What a caller asked under a key; keys on money are kept for ever.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant_id", Id, ForeignKey("tenants.id"), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
Index("ix_idempotency_keys_created_at", idempotency_keys.c.created_at)
