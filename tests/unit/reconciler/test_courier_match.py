"""Matching a courier's lines with orders: one to one, nothing lost, nothing counted twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reconciler.courier_match import Kind, Line, Order, match, match_bank

AMOUNTS = st.integers(min_value=0, max_value=10**6)


@st.composite
def orders(draw: st.DrawFn) -> list[Order]:
    """Return orders, some of which share a tracking number or the number of an order."""
    count = draw(st.integers(min_value=1, max_value=8))
    few = st.integers(min_value=0, max_value=9)
    return [
        Order(
            f"id{number}",
            f"O{draw(few)}",
            draw(st.none() | few.map(lambda each: f"T{each}")),
            draw(AMOUNTS),
        )
        for number in range(count)
    ]


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    """Return lines whose references may name an order, several, or none."""
    reference = st.sampled_from(
        [f"{kind}{number}" for kind in "OT" for number in range(10)] + ["?"]
    )
    rows = st.lists(st.tuples(reference, AMOUNTS, st.sampled_from("AB")), max_size=20)
    return [Line(number, *row) for number, row in enumerate(draw(rows), 2)]


@given(st.lists(AMOUNTS, min_size=1, max_size=12), st.data())
def test_what_was_planted_is_found_and_nothing_else(
    amounts: list[int], data: st.DataObject
) -> None:
    """Of a file that agrees, lines are dropped, doubled, changed and invented: each is told."""
    known = [Order(f"id{n}", f"O{n}", f"T{n}", amount) for n, amount in enumerate(amounts)]
    defect = st.sampled_from([None, *Kind])
    planted = [(order, data.draw(defect)) for order in known]
    rows: list[tuple[str, int]] = []
    for order, kind in planted:
        name = data.draw(st.sampled_from([order.number, str(order.tracking_number)]))
        paid = order.collected_minor + (kind is Kind.AMOUNT)
        rows += [] if kind is Kind.MISSING else [(name, paid)]
        rows += [(order.number, paid)] if kind is Kind.DUPLICATE else []
        rows += [(f"?{name}", paid)] if kind is Kind.EXTRA else []
    file = [Line(number, *row, "A") for number, row in enumerate(rows, 2)]
    found = match(file, known, required=[order.id for order in known]).differences
    told = Counter(each.kind for each in found)
    assert told == Counter(kind for _, kind in planted if kind not in {None, Kind.BANK})


@given(orders(), lines(), st.data())
def test_every_line_and_every_order_has_one_outcome(
    known: list[Order], file: list[Line], data: st.DataObject
) -> None:
    """A line is an order's, extra or a duplicate; an order has one line at most, or is missing."""
    ids = [order.id for order in known]
    required = data.draw(st.sets(st.sampled_from(ids)))
    before = data.draw(st.sets(st.sampled_from(ids)))
    result = match(file, known, required=required, matched_before=before)
    lost = {Kind.EXTRA, Kind.DUPLICATE}
    unmatched = Counter(each.line for each in result.differences if each.kind in lost)
    assert Counter(result.orders.keys()) + unmatched == Counter(line.number for line in file)
    assert len(set(result.orders.values())) == len(result.orders)
    assert not before & set(result.orders.values())
    missing = {each.order_id for each in result.differences if each.kind is Kind.MISSING}
    assert missing == required - before - set(result.orders.values())
    collected = {order.id: order.collected_minor for order in known}
    paid = {line.number: line.amount_minor for line in file}
    differ = {n for n, order_id in result.orders.items() if paid[n] != collected[order_id]}
    assert differ == {each.line for each in result.differences if each.kind is Kind.AMOUNT}


@given(lines(), st.dictionaries(st.sampled_from("ABC"), AMOUNTS))
def test_a_batch_is_the_sum_of_its_lines(file: list[Line], paid: dict[str, int]) -> None:
    """The bank is told to differ exactly where it does; a batch without a line is worth nothing."""
    sums = {batch: sum(x.amount_minor for x in file if x.batch == batch) for batch in paid}
    found = {each.reference: each for each in match_bank(file, paid)}
    assert set(found) == {batch for batch in paid if sums[batch] != paid[batch]}
    for batch, each in found.items():
        assert (sums[batch], paid[batch]) == (each.expected_minor, each.actual_minor)
