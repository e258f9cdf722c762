"""Tables of the ledger: accounts, transactions, entries, holds and the limits of wallets.

A book is a tenant's id, or ``platform``. Entries are signed: debits positive, credits negative.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from engine.database import metadata
from engine.types import Id, UtcTime

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("book", String(36), nullable=False),
    Column("code", String(60), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("normal", String(6), nullable=False),
    Column("posted_debits", BigInteger, nullable=False),
    Column("posted_credits", BigInteger, nullable=False),
    # Open holds by their side of the account: what will leave a wallet is a pending credit of it.
    Column("pending_debits", BigInteger, nullable=False),
    Column("pending_credits", BigInteger, nullable=False),
    # The version of the newest entry; a hold does not change it.
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("book", "code", "currency"),
)

ledger_transactions = Table(
    "ledger_transactions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("reference_type", String(40), nullable=False),
    Column("reference_id", String(200), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("idempotency_key", String(300), nullable=False, unique=True),
    # What was posted under the key, so that the key cannot be used for something else.
    Column("fingerprint", String(64), nullable=False),
    Column("reverses_id", Id, ForeignKey("ledger_transactions.id"), unique=True),
    Column("event_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
Index(
    "ix_ledger_transactions_reference",
    ledger_transactions.c.reference_type,
    ledger_transactions.c.reference_id,
)

#: Immutable; together with the account's version the previous and current balance form a chain.
ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id"), nullable=False),
    Column("account_id", Id, ForeignKey("ledger_accounts.id"), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("account_version", BigInteger, nullable=False),
    Column("previous_balance", BigInteger, nullable=False),
    Column("current_balance", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("account_id", "account_version"),
)
Index("ix_ledger_entries_transaction_id", ledger_entries.c.transaction_id)

#: Money set aside in the payer's wallet, expected in the payee's where there is one.
holds = Table(
    "holds",
    metadata,
    Column("id", Id, primary_key=True),
    Column("payer_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("payee_id", Id, ForeignKey("tenants.id")),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("reason", String(20), nullable=False),
    Column("reference_id", Id, nullable=False),
    Column("status", String(20), nullable=False),
    Column("opened_by_id", Id, ForeignKey("ledger_transactions.id"), nullable=False),
    Column("closed_by_id", Id, ForeignKey("ledger_transactions.id")),
    Column("created_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
)
_OPEN = holds.c.status == "open"
Index(
    "uq_holds_open",
    holds.c.reference_id,
    holds.c.reason,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index("ix_holds_open_payer", holds.c.payer_id, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("ix_holds_open_payee", holds.c.payee_id, sqlite_where=_OPEN, postgresql_where=_OPEN)

#: The limits of a tenant's wallet; its money is the ledger account ``wallet`` of the tenant's book.
wallets = Table(
    "wallets",
    metadata,
    Column("tenant_id", Id, ForeignKey("tenants.id"), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("credit_limit_minor", BigInteger, nullable=False),
    Column("low_threshold_minor", BigInteger),
    Column("low_state", String(4), nullable=False),
    Column("low_episode", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
