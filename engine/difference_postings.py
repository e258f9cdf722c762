"""What becomes of cash that was missing or too much at a delivery, as data: pure builders.

``shortage_minor`` is what was expected less what was collected: negative where it was too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.postings import Entry, Obligation, obligation_arises


def code(shortage_minor: int) -> str:
    """Return where a collector keeps what is missing, or what is too much, until it is decided."""
    return "shortage" if shortage_minor >= 0 else "overage"


def way_between(chain: Sequence[str], bearer_id: str, collector_id: str) -> list[str]:
    """Return the neighbours of a chain from whoever bears a difference to the collector."""
    here, there = chain.index(bearer_id), chain.index(collector_id)
    return list(chain[here : there + 1] if here <= there else chain[there : here + 1][::-1])


def recovered(collector_id: str, shortage_minor: int) -> tuple[Entry, ...]:
    """Return the end of a difference: missing cash came, or excess went back to the customer."""
    return (
        Entry(collector_id, "cod_cash", shortage_minor),
        Entry(collector_id, code(shortage_minor), -shortage_minor),
    )


def obligations(way: Sequence[str], shortage_minor: int) -> tuple[Obligation, ...]:
    """Return who owes whom when a difference is borne at the other end of ``way``.

    ``way`` are neighbours from whoever bears it to the collector. A shortage is made good towards
    the collector, an excess is handed on by it.
    """
    last = len(way) - 1
    if shortage_minor >= 0:
        pairs = [(index + 1, payer, payee) for index, (payer, payee) in enumerate(pairwise(way))]
    else:
        pairs = [(last - index, payer, payee) for index, (payee, payer) in enumerate(pairwise(way))]
    return tuple(
        Obligation(payer, payee, abs(shortage_minor), hop) for hop, payer, payee in sorted(pairs)
    )


def borne(way: Sequence[str], shortage_minor: int) -> tuple[Entry, ...]:
    """Return the end of a difference that becomes the loss, or gain, of the first of ``way``."""
    entries = [
        Entry(way[0], "cash_over_short", shortage_minor),
        Entry(way[-1], code(shortage_minor), -shortage_minor),
    ]
    for owed in obligations(way, shortage_minor):
        entries += obligation_arises(owed)
    return tuple(entries)
