"""What a posting must satisfy before a row is touched. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.chart import mirror
from engine.errors import BooksDoNotBalance, InvalidAmount, InvalidInput
from engine.inputs import check_choice
from engine.money import AMOUNT_MINOR_MAX, check_amount, check_currency
from engine.postings import WALLET, Entry, Posting

HOLD_KINDS = ("discretionary", "obligation")
CLOSED = ("captured", "released", "expired")


def check(posting: Posting, now: datetime) -> dict[tuple[str, str], int]:
    """Return one signed amount per book and code, or raise.

    Raises BooksDoNotBalance naming the book, InvalidAmount, or InvalidInput for a currency, kind of
    hold or end of a hold that does not exist, or for what is said to happen in the future.
    """
    check_currency(posting.currency)
    if posting.event_at is not None and posting.event_at > now:
        raise InvalidInput(
            f"event_at {posting.event_at.isoformat()} has not come yet",
            field="event_at",
            value=posting.event_at.isoformat(),
        )
    for hold in posting.opens:
        check_amount(hold.amount_minor, field="hold")
        check_choice(hold.kind, HOLD_KINDS, field="hold.kind")
    for close in posting.closes:
        check_choice(close.status, CLOSED, field="hold.status")
    return merged(posting.entries)


def merged(entries: Iterable[Entry]) -> dict[tuple[str, str], int]:
    """Return one signed amount per account, none of them zero.

    Raises BooksDoNotBalance when a book does not add up by itself, or a wallet, receivable or
    payable changes without its mirror; InvalidAmount for one that is not exact.
    """
    amounts: dict[tuple[str, str], int] = {}
    books: dict[str, int] = {}
    mirrors: dict[tuple[str, str], int] = {}
    for entry in entries:
        if abs(entry.amount_minor) > AMOUNT_MINOR_MAX:
            raise InvalidAmount(f"{entry.amount_minor} is not an exact amount", field="amount")
        _add(amounts, (entry.book, entry.code), entry.amount_minor)
        _add(books, entry.book, entry.amount_minor)
        _add(mirrors, mirror(entry.book, entry.code), entry.amount_minor)
    for book, total in books.items():
        if total:
            raise BooksDoNotBalance(f"book {book} is off by {total} minor units", book=book)
    for pair, total in mirrors.items():
        if total and pair is not None:
            raise BooksDoNotBalance(
                f"{pair[1]} of {pair[0]} is off its mirror by {total} minor units", book=pair[0]
            )
    return {key: amount for key, amount in amounts.items() if amount}


def check_captures(
    posting: Posting, entries: Mapping[tuple[str, str], int], closing: Sequence[Mapping[str, Any]]
) -> None:
    """Raise InvalidAmount when a wallet pays more than the holds it captures had set aside."""
    held: dict[str, int] = {}
    for row, close in zip(closing, posting.closes, strict=True):
        if close.status == "captured":
            _add(held, row["payer_id"], row["amount_minor"])
    for payer_id, amount_minor in held.items():
        paid_minor = -entries.get((payer_id, WALLET), 0)
        if paid_minor > amount_minor:
            raise InvalidAmount(
                f"{paid_minor} minor units are more than the {amount_minor} that were held",
                field="amount",
                value=paid_minor,
            )


def _add(totals: dict[Any, int], key: Any, amount_minor: int) -> None:
    totals[key] = totals.get(key, 0) + amount_minor
