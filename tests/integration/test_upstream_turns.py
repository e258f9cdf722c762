"""Messages of upstreams that overtook each other: what is older than what was applied is late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from engine import order_rows, order_views
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from engine.upstream_tables import inbound_messages
from reconciler import upstreams
from reconciler.upstream_applying import apply
from reconciler.upstream_inbound import Outcome
from reconciler.upstream_reading import read_callback
from tests.chains import place, raised
from tests.integration.test_upstream_inbound import Scene, changed
from tests.polling import chain_order, scene
from tests.racing import at_once

#: What happened at the upstream: the order went into picking, out of it, and into it again.
HISTORY = ("accepted", "processing", "accepted", "processing")


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    """Return the envelope of a step of the history."""
    return {**changed(HISTORY[number - 1], **changes), "sequence": number}


def dated(number: int) -> dict[str, Any]:
    """Return the four keys of document 001, which number nothing."""
    return {**changed(HISTORY[number - 1]), "timestamp": f"2026-03-02T09:0{number}:00Z"}


def seconds(number: int) -> dict[str, Any]:
    """Return document 002's body."""
    return {**changed(HISTORY[number - 1]), "created_at": 1_770_000_000 + number}


def line(number: int) -> dict[str, Any]:
    """Return document 000's event in the envelope, whose number is the line's own."""
    data = {"chain_order_id": "55501", "status": 2 if HISTORY[number - 1] == "processing" else 3}
    timestamp = f"2026-03-02T09:0{number}:00Z"
    return {"event": "order.line_updated", "timestamp": timestamp, "sequence": 9, "data": data}


@pytest.mark.parametrize("message", [numbered, dated, seconds, line])
def test_a_late_message_does_not_turn_the_order_back(
    units: UnitsOfWork, database: Database, message: Any
) -> None:
    """Its third message comes after its fourth: recorded, counted, and nobody hears of it."""
    it = Scene(units)
    assert Outcome.APPLIED == it.post(message(2), "m-2")
    assert Outcome.APPLIED == it.post(message(4), "m-4")
    with database.read() as connection:
        steps = order_views.timeline(connection, it.order_id)
        told = raised(connection, it.chain.r, "chain_order.status_changed")
    assert Outcome.LATE == it.post(message(3), "m-3")
    assert Outcome.SEEN == it.post(message(3), "m-3")
    assert "processing" == it.status
    with database.read() as connection:
        assert steps == order_views.timeline(connection, it.order_id)
        assert told == raised(connection, it.chain.r, "chain_order.status_changed")
        seen = upstreams.order_of(connection, it.order_id)
        assert (1, None, "processing") == (seen["late"], seen["problem"], seen["seen_status"])
        outcomes = dict(
            connection.execute(
                select(inbound_messages.c.message_id, inbound_messages.c.outcome)
            ).all()
        )
    assert {"m-2": "applied", "m-4": "applied", "m-3": "late"} == outcomes


@pytest.mark.parametrize("message", [numbered, dated, seconds, line])
def test_in_their_order_all_of_them_count(units: UnitsOfWork, message: Any) -> None:
    """What the upstream took back is taken back here: only an older message is ignored."""
    it = Scene(units)
    for number, status in enumerate(HISTORY, start=1):
        it.post(message(number), f"m-{number}")
        assert status == it.status


def test_messages_of_many_orders_at_once_end_at_the_newest(
    units: UnitsOfWork, database: Database
) -> None:
    """Ten orders, all their messages at once in any order: each order ends where the last says."""
    it = Scene(units)
    random, calls, ids = Random(55), list[Any](), list[str]()  # noqa: S311  # a fixed order
    for each in range(10):
        ids.append(place(units, it.chain, number=f"N{each}"))
        with units.begin(actor="test") as work:
            upstreams.link(work, it.upstream_id, ids[-1], f"u-{each}")
        for number in range(1, len(HISTORY) + 1):
            message = numbered(number, chain_order_id=f"u-{each}")
            calls.append(partial(it.post, message, f"{each}-{number}"))
    random.shuffle(calls)
    assert Counter({"done": 40}) == at_once(calls)
    with database.read() as connection:
        ended = Counter(order_rows.get(connection, each)["chain_status"] for each in ids)
        newest = {upstreams.order_of(connection, each)["seen_sequence"] for each in ids}
    assert (Counter({"processing": 10}), {4}) == (ended, newest)


@dataclass(frozen=True, slots=True)
class Overtaken(UnitsOfWork):
    """Units of work, before each of which the next of ``meanwhile`` happens."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    @contextmanager
    def begin(self, *, actor: str, source: str = "cli") -> Iterator[UnitOfWork]:
        """Let it happen first."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        with UnitsOfWork.begin(self, actor=actor, source=source) as work:
            yield work


def test_a_message_overtaken_between_look_and_step_makes_none(
    units: UnitsOfWork, database: Database
) -> None:
    """The third message has decided to take the order back when the fourth comes: it is late."""
    it = Scene(units)
    it.post(numbered(2), "m-2")
    with database.read() as connection:
        linked = upstreams.order_of(connection, it.order_id)
    meanwhile: list[Callable[[], object]] = [bool, partial(it.post, numbered(4), "m-4")]
    slow = Overtaken(database, units.clock, meanwhile=meanwhile)
    _, reading = read_callback(orjson.dumps(numbered(3)))
    assert reading is not None
    assert apply(slow, linked, reading) is None
    assert "processing" == it.status
    with database.read() as connection:
        steps = order_views.timeline(connection, it.order_id)
    assert "unprocess" not in {step["action"] for step in steps}


def test_an_old_page_of_a_poll_changes_nothing(units: UnitsOfWork, clock: FixedClock) -> None:
    """A cache answers with an older version: a problem until the next answer, and no way back."""
    answers = [("processing", 4), ("accepted", 3), ("shipped", 5)]

    def answer(_: Any) -> tuple[int, dict[str, str], bytes]:
        status, version = answers[0]
        return 200, {}, orjson.dumps(chain_order(status, version=version))

    with scene(units, answer) as it:
        for status, problem, late in (
            ("processing", None, 0),
            ("processing", "behind", 1),
            ("shipped", None, 1),
        ):
            assert 1 == it.poll.run_once()
            assert (status, problem, late) == (it.status, it.seen["problem"], it.seen["late"])
            clock.advance(timedelta(minutes=1))
            answers.pop(0)
