"""The refusals of the engine; codes are stable, the docstring says when each is raised.

TillbellError (config.errors)
├── DatabaseUnavailable
├── NotFound
├── NotAuthenticated
├── CursorExpired
├── BodyExpired
├── InvalidInput
│   ├── InvalidAmount
│   │   └── PayoutTooSmall
│   ├── UnknownAccount
│   ├── MarginTooLow
│   ├── UnknownEventType
│   └── EventTooLarge
├── DraftExpired
├── TooManyDrafts
├── InvalidStatus
│   ├── AlreadyReversed
│   ├── OwnedByDocument
│   ├── DraftEmpty
│   └── AccountFrozen
├── Forbidden
│   └── SecondPersonRequired
├── InsufficientBalance
├── StockUnavailable
├── ProgramUnavailable
├── PurchaseLimitExceeded
├── SecretUnreadable
├── AlreadyExists
│   ├── OrderExists
│   └── IdempotencyKeyReused
└── BooksDoNotBalance
"""

from __future__ import annotations

from config.errors import TillbellError


class DatabaseUnavailable(TillbellError):
    """The database cannot be reached or lacks the schema; nothing was changed."""

    code = "DATABASE_UNAVAILABLE"


class NotFound(TillbellError):
    """The thing named does not exist, or is not the caller's to see."""

    code = "NOT_FOUND"


class NotAuthenticated(TillbellError):
    """The caller shows no token, or one that is not valid; which of both is not said."""

    code = "UNAUTHORIZED"


class CursorExpired(TillbellError):
    """A cursor names a place of a feed that is no longer, or never was, to be had."""

    code = "CURSOR_EXPIRED"


class BodyExpired(TillbellError):
    """The event is known, but its body was removed: it was older than bodies are kept."""

    code = "BODY_EXPIRED"


class DraftExpired(TillbellError):
    """The draft order was not checked out within its 168 hours (document 003)."""

    code = "DRAFT_EXPIRED"


class TooManyDrafts(TillbellError):
    """The tenant has as many open drafts as it may; ``details``: the ``limit``."""

    code = "TOO_MANY_DRAFTS"


class InvalidInput(TillbellError):
    """A value cannot be used; ``details['field']`` names it."""

    code = "VALIDATION_ERROR"


class InvalidAmount(InvalidInput):
    """An amount of money is negative, too large or finer than its currency allows."""

    code = "INVALID_AMOUNT"


class PayoutTooSmall(InvalidAmount):
    """A payout is below the tenant's minimum; ``details``: ``minimum``."""

    code = "PAYOUT_TOO_SMALL"


class UnknownAccount(InvalidInput):
    """The chart of accounts has no such code, or nobody keeps the book it is in."""

    code = "UNKNOWN_ACCOUNT"


class MarginTooLow(InvalidInput):
    """A markup is below the least that the product's owner allows; ``details`` name that."""

    code = "MARGIN_TOO_LOW"


class UnknownEventType(InvalidInput):
    """The event type is neither in the catalogue nor registered."""

    code = "UNKNOWN_EVENT_TYPE"


class EventTooLarge(InvalidInput):
    """The event's body would exceed the limit."""

    code = "EVENT_TOO_LARGE"


class InvalidStatus(TillbellError):
    """The action is not allowed now; ``details`` name the status and what is allowed (001)."""

    code = "INVALID_STATUS"


class AlreadyReversed(InvalidStatus):
    """A ledger transaction is reversed at most once; ``details['reversed_by']`` did it."""

    code = "ALREADY_REVERSED"


class OwnedByDocument(InvalidStatus):
    """A document ends this posting itself; ``details`` name it and the verb: ``ending``."""

    code = "OWNED_BY_DOCUMENT"


class DraftEmpty(InvalidStatus):
    """A draft order without items cannot be checked out."""

    code = "DRAFT_EMPTY"


class AccountFrozen(InvalidStatus):
    """The ledger account takes no postings until a person unfreezes it."""

    code = "ACCOUNT_FROZEN"


class InsufficientBalance(TillbellError):
    """The wallet cannot bear the debit; ``details``: ``required``, ``available`` (001)."""

    code = "INSUFFICIENT_BALANCE"


class AlreadyExists(TillbellError):
    """A natural key is taken by something different."""

    code = "ALREADY_EXISTS"


class OrderExists(AlreadyExists):
    """The origin used this order number before, for an order of other content."""

    code = "ORDER_EXISTS"


class IdempotencyKeyReused(AlreadyExists):
    """A key that names one posting was used again for another."""

    code = "IDEMPOTENCY_KEY_REUSED"


class StockUnavailable(TillbellError):
    """A tracked product has fewer free pieces than were asked for."""

    code = "STOCK_UNAVAILABLE"


class ProgramUnavailable(TillbellError):
    """A program is off, a relationship suspended, or its mode lacks this; ``details`` say which."""

    code = "PROGRAM_UNAVAILABLE"


class PurchaseLimitExceeded(TillbellError):
    """A reseller may not buy so much; ``details``: the ``limit``, what is ``left`` of it."""

    code = "PURCHASE_LIMIT_EXCEEDED"


class SecretUnreadable(TillbellError):
    """A sealed secret cannot be opened; ``details['key_id']`` names the key it needs."""

    code = "SECRET_UNREADABLE"


class Forbidden(TillbellError):
    """The tenant sees the thing, but the action is another participant's."""

    code = "FORBIDDEN"


class SecondPersonRequired(Forbidden):
    """Who asked for a correction of the books cannot be the one who approves it."""

    code = "SECOND_PERSON_REQUIRED"


class BooksDoNotBalance(TillbellError):
    """A posting does not add up to zero; a defect of ours, and nothing was written."""

    code = "BOOKS_DO_NOT_BALANCE"
