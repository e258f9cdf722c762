"""Tables of the ledger: accounts, transactions, entries, holds and the limits of wallets.

A book is a tenant's id, or ``platform``. Entries are signed: debits positive, credits negative.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from engine.database import metadata
from engine.types import Bytes, Document, Id, UtcTime

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
    # The version of the newest entry, and its digest; a hold does not change them.
    Column("version", BigInteger, nullable=False),
    Column("digest", Bytes, nullable=False),
    # A frozen account takes no postings; why and since when is in ``account_freezes``.
    Column("frozen", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("book", "code", "currency"),
)

#: When and why an account was frozen, and by whom; open while it is.
account_freezes = Table(
    "account_freezes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("ledger_accounts.id"), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("frozen_by", String(200), nullable=False),
    Column("frozen_at", UtcTime, nullable=False),
    Column("unfreeze_reason", String(500)),
    Column("unfrozen_by", String(200)),
    Column("unfrozen_at", UtcTime),
)
_STANDING = account_freezes.c.unfrozen_at.is_(None)
Index(
    "uq_account_freezes_standing",
    account_freezes.c.account_id,
    unique=True,
    sqlite_where=_STANDING,
    postgresql_where=_STANDING,
)
Index("ix_account_freezes_account_id", account_freezes.c.account_id)

#: How far an account's chain was verified, so that the next look reads only what is new.
ledger_checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("account_id", Id, ForeignKey("ledger_accounts.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("posted_debits", BigInteger, nullable=False),
    Column("posted_credits", BigInteger, nullable=False),
    Column("digest", Bytes, nullable=False),
    Column("verified_at", UtcTime, nullable=False),
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
    # Unique, so a transaction is reversed once whoever races for it.
    Column("reverses_id", Id, ForeignKey("ledger_transactions.id"), unique=True),
    Column("metadata", Document),
    Column("posted_by", String(200), nullable=False),
    # When it happened in the world, and when it was written here.
    Column("event_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # Over all of the above; each of its entries is bound to it.
    Column("digest", Bytes, nullable=False),
)
Index(
    "ix_ledger_transactions_reference",
    ledger_transactions.c.reference_type,
    ledger_transactions.c.reference_id,
)
Index("ix_ledger_transactions_kind", ledger_transactions.c.kind, ledger_transactions.c.id)

#: Immutable; version, previous and current balance and digest form a chain (engine.ledger_chain).
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
    Column("digest", Bytes, nullable=False),
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
    # What people said it is for; what expires is freed by the reconciler.
    Column("note", String(500)),
    Column("expires_at", UtcTime),
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
Index("ix_holds_opened_by_id", holds.c.opened_by_id)
#: Whether anything was ever set aside for what a key names.
Index("ix_holds_reference_id", holds.c.reference_id)
_CLOSED = holds.c.closed_by_id.is_not(None)
Index("ix_holds_closed_by_id", holds.c.closed_by_id, sqlite_where=_CLOSED, postgresql_where=_CLOSED)
_EXPIRES = _OPEN & holds.c.expires_at.is_not(None)
Index(
    "ix_holds_open_expires_at",
    holds.c.expires_at,
    holds.c.id,
    sqlite_where=_EXPIRES,
    postgresql_where=_EXPIRES,
)

#: The limits of a tenant's wallet; its money is the ledger account ``wallet`` of the tenant's book.
wallets = Table(
    "wallets",
    metadata,
    Column("tenant_id", Id, ForeignKey("tenants.id"), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("credit_limit_minor", BigInteger, nullable=False),
    Column("min_payout_minor", BigInteger, nullable=False, default=0),
    Column("low_threshold_minor", BigInteger),
    # From where a low wallet has recovered; null means 10 % above the threshold.
    Column("rearm_level_minor", BigInteger),
    # Which figure is compared with the threshold: ``available`` or ``spendable``.
    Column("low_watch", String(10), nullable=False, default="available"),
    Column("low_state", String(4), nullable=False),
    Column("low_episode", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
#: Limits and levels that changed since somebody last looked.
Index("ix_wallets_updated_at", wallets.c.updated_at)
