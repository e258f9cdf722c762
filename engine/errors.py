"""The refusals of the engine; codes are stable, the docstring says when each is raised.

TillbellError (config.errors)
├── DatabaseUnavailable
├── NotFound
├── NotAuthenticated
├── CursorExpired
├── BodyExpired
├── InvalidInput
│   ├── InvalidAmount
│   ├── UnknownEventType
│   └── EventTooLarge
├── InvalidStatus
├── Forbidden
├── InsufficientBalance
├── StockUnavailable
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


class InvalidInput(TillbellError):
    """A value cannot be used; ``details['field']`` names it."""

    code = "VALIDATION_ERROR"


class InvalidAmount(InvalidInput):
    """An amount of money is negative, too large or finer than its currency allows."""

    code = "INVALID_AMOUNT"


class UnknownEventType(InvalidInput):
    """The event type is neither in the catalogue nor registered."""

    code = "UNKNOWN_EVENT_TYPE"


class EventTooLarge(InvalidInput):
    """The event's body would exceed the limit."""

    code = "EVENT_TOO_LARGE"


class InvalidStatus(TillbellError):
    """The action is not allowed now; ``details`` name the status and what is allowed (001)."""

    code = "INVALID_STATUS"


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


class Forbidden(TillbellError):
    """The tenant sees the thing, but the action is another participant's."""

    code = "FORBIDDEN"


class BooksDoNotBalance(TillbellError):
    """A posting does not add up to zero; a defect of ours, and nothing was written."""

    code = "BOOKS_DO_NOT_BALANCE"
