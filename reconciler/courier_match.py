"""Match what a courier says it took with what orders say was collected; pure, tolerance zero."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """How a line, an order or a batch fails to match."""

    MISSING = "missing"  #: an order whose cash was collected has no line
    EXTRA = "extra"  #: a line names no order, or more than one
    AMOUNT = "amount"  #: a line's amount is not what was collected
    DUPLICATE = "duplicate"  #: an order has a line already, in this file or an earlier one
    BANK = "bank"  #: the bank paid something other than the lines of a batch


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a courier's file; ``reference`` is a tracking or an order number."""

    number: int
    reference: str
    amount_minor: int
    batch: str
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order whose cash was collected."""

    id: str
    number: str
    tracking_number: str | None
    collected_minor: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What does not match; ``reference`` is the line's, the missing order's, or a batch."""

    kind: Kind
    reference: str
    line: int | None = None
    order_id: str | None = None
    expected_minor: int | None = None
    actual_minor: int | None = None


@dataclass(slots=True)
class Matched:
    """Which order each line is of, by the line's number, and what does not match."""

    orders: dict[int, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)


def names(orders: Iterable[Order]) -> dict[str, Order]:
    """Return the order each reference stands for; one that stands for several names none.

    A tracking number goes before an order number: it is the courier's own.
    """
    by_tracking: dict[str, list[Order]] = defaultdict(list)
    by_number: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        by_number[order.number].append(order)
        if order.tracking_number is not None:
            by_tracking[order.tracking_number].append(order)
    found = {**by_number, **by_tracking}
    return {reference: each[0] for reference, each in found.items() if len(each) == 1}


def match(
    lines: Sequence[Line],
    orders: Sequence[Order],
    *,
    required: Collection[str] = (),
    matched_before: Collection[str] = (),
) -> Matched:
    """Match lines and orders one to one, in the order of the lines.

    ``required`` are the ids of orders that must have a line, ``matched_before`` of those that an
    earlier file gave one.
    """
    known, result = names(orders), Matched()
    taken = set(matched_before)
    for line in lines:
        order = known.get(line.reference)
        if order is None or order.id in taken:
            result.differences.append(_unmatched(line, order))
            continue
        taken.add(order.id)
        result.orders[line.number] = order.id
        if line.amount_minor != order.collected_minor:
            result.differences.append(_difference(Kind.AMOUNT, line, order))
    wanted = set(required) - taken
    result.differences += [_missing(order) for order in orders if order.id in wanted]
    return result


def match_bank(lines: Sequence[Line], paid_minor: Mapping[str, int]) -> list[Difference]:
    """Compare the lines of each batch, many to one, with what the bank paid for it."""
    sums: Counter[str] = Counter()
    for line in lines:
        sums[line.batch] += line.amount_minor
    return [
        Difference(Kind.BANK, batch, expected_minor=sums[batch], actual_minor=amount_minor)
        for batch, amount_minor in sorted(paid_minor.items())
        if sums[batch] != amount_minor
    ]


def _unmatched(line: Line, order: Order | None) -> Difference:
    if order is not None:
        return _difference(Kind.DUPLICATE, line, order)
    return Difference(Kind.EXTRA, line.reference, line.number, actual_minor=line.amount_minor)


def _difference(kind: Kind, line: Line, order: Order) -> Difference:
    expected = order.collected_minor if kind is Kind.AMOUNT else 0
    return Difference(kind, line.reference, line.number, order.id, expected, line.amount_minor)


def _missing(order: Order) -> Difference:
    reference = order.tracking_number or order.number
    expected = order.collected_minor
    return Difference(Kind.MISSING, reference, order_id=order.id, expected_minor=expected)
