"""The refusals of the engine; codes are stable, the docstring says when each is raised.

TillbellError (config.errors)
├── DatabaseUnavailable
├── NotFound
├── InvalidInput
│   ├── InvalidAmount
│   ├── UnknownEventType
│   └── EventTooLarge
├── InvalidStatus
├── InsufficientBalance
├── AlreadyExists
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
    """The action is not allowed in the current status; ``details`` name it and what is allowed (document 001)."""

    code = "INVALID_STATUS"


class InsufficientBalance(TillbellError):
    """The wallet cannot bear a discretionary debit; ``details`` hold ``required`` and ``available`` (document 001)."""

    code = "INSUFFICIENT_BALANCE"


class AlreadyExists(TillbellError):
    """A natural key is taken by something different."""

    code = "ALREADY_EXISTS"


class BooksDoNotBalance(TillbellError):
    """A posting does not add up to zero; a defect of ours, and nothing was written."""

    code = "BOOKS_DO_NOT_BALANCE"
