"""Healing one discrepancy by hand: only through its check's heal, and only if that mends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from config.clock import FixedClock
from engine import products, stock
from engine.database import Database
from engine.errors import InvalidStatus, NotFound
from engine.ids import new_id
from engine.product_tables import products as product_rows
from engine.product_tables import stock_moves
from reconciler import discrepancies, discrepancy_views, judgements
from reconciler.check import Scope, Severity
from reconciler.checks import CHECKS
from reconciler.discrepancies import GONE, Noting
from reconciler.errors import HealFailed, NotHealable
from reconciler.healing import alarm_of
from tests.chains import Chain
from tests.planting.defect import Defect
from tests.planting.every import DEFECTS
from tests.planting.world import build
from tests.product_defects import build_open_chain, plant
from tests.receivers import Receiver, receiving
from tests.reconciling import Reconciling, reconciling
from tests.tampering import tampering

HEALABLE = [
    each
    for each in DEFECTS
    if each.heals and CHECKS[each.check].severity is not Severity.ROUTINE and not each.spreads
    # What was missed while disabled is work of a run, and stands nowhere.
    if each.name != "missed while disabled"
]
ACTOR = "person:ada"
HEALERS = 4


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a healthy receiver."""
    with receiving() as it:
        yield it


@pytest.fixture
def chain(scene: Reconciling) -> Chain:
    """Return the chain of document 001 with two pieces set aside for accepted orders."""
    return build_open_chain(scene.dispatch.units)


def found_and_left(scene: Reconciling, name: str) -> list[dict[str, Any]]:
    """Note what a check finds as a run that may heal no more does; return what stands."""
    now = scene.clock.now()
    with scene.database.read() as connection:
        found = CHECKS[name].find(connection, Scope(now, now)).findings
    with scene.dispatch.units.begin(actor="test", source="reconciler") as work:
        discrepancies.note(work, Noting(CHECKS[name], new_id()), found)
    return standing(scene, name)


def standing(scene: Reconciling, name: str) -> list[dict[str, Any]]:
    """Return what stands of a check, oldest first."""
    with scene.database.read() as connection:
        rows = discrepancy_views.listing(connection, check=name, standing=True)
    return rows[::-1]


@pytest.mark.parametrize("defect", HEALABLE, ids=lambda each: f"{each.check} {each.name}")
def test_one_is_healed_and_the_others_stay(
    scene: Reconciling, receiver: Receiver, defect: Defect
) -> None:
    """Whatever a run would heal, a person heals, one by one; it says who; once."""
    world = build(scene, receiver.url, 7)
    planted = defect.plant(world)
    first, *others = found_and_left(scene, defect.check)
    assert planted == len(others) + 1
    healed = scene.runner.heal(first["id"], actor=ACTOR)
    lines = [(line["action"], line["actor"], line["note"]) for line in healed["history"]]
    assert [("opened", "test", None), ("healed", ACTOR, "by hand")] == lines
    assert ("healed", f"{defect.check} healed it") == (healed["status"], healed["heal_action"])
    assert [row["id"] for row in others] == [row["id"] for row in standing(scene, defect.check)]
    with pytest.raises(InvalidStatus, match="not open"):
        scene.runner.heal(first["id"], actor=ACTOR)
    world.settle()
    [run] = scene.run(defect.check)
    assert first["subject"] not in {row["subject"] for row in standing(scene, defect.check)}
    assert run["found"] <= len(others)


def test_what_only_people_may_mend_is_refused(scene: Reconciling, receiver: Receiver) -> None:
    """Drift of the books, and what has no heal, changes nothing; the refusal says how."""
    defects = {each.name: each for each in DEFECTS}
    world = build(scene, receiver.url, 7)
    defects["transaction of nothing"].plant(world)
    row, *_ = found_and_left(scene, "K22")
    before = scene.everything()
    with pytest.raises(NotHealable, match="no heal may") as refused:
        scene.runner.heal(row["id"], actor=ACTOR)
    assert CHECKS["K22"].remedy == refused.value.details["remedy"]
    assert before == scene.everything()


def test_a_heal_that_mends_nothing_changes_nothing(scene: Reconciling, chain: Chain) -> None:
    """Pieces on hand are counted by people; before that nothing beside them is corrected."""
    plant(scene, update(product_rows).values(stock_quantity=11, stock_allocated=9))
    assert {"K19": (2, 0)} == scene.found("K19")
    both = {row["subject"].split()[-1]: row for row in standing(scene, "K19")}
    before = scene.everything()
    for row in both.values():
        with pytest.raises(HealFailed, match="products update"):
            scene.runner.heal(row["id"], actor=ACTOR)
    assert before == scene.everything()
    with scene.dispatch.units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"stock_quantity": 12})
    for row in both.values():
        assert "healed" == scene.runner.heal(row["id"], actor=ACTOR)["status"]
    with scene.database.read() as connection:
        assert 2 == products.get(connection, chain.product_id)["stock_allocated"]


def test_what_is_not_found_any_more_is_closed(scene: Reconciling, chain: Chain) -> None:
    """Mended by people meanwhile, it is gone in the name of who looked; nothing else changes."""
    plant(scene, update(product_rows).values(stock_quantity=11))
    [row] = found_and_left(scene, "K19")
    with scene.dispatch.units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"stock_quantity": 7})
    before = scene.content()
    gone = scene.runner.heal(row["id"], actor=ACTOR)
    assert ("healed", GONE, ACTOR) == (
        gone["status"],
        gone["heal_action"],
        gone["history"][-1]["actor"],
    )
    assert before == scene.content()


@pytest.mark.usefixtures("chain")
def test_what_a_sweep_found_is_not_closed_by_less(scene: Reconciling) -> None:
    """A tampered move of long ago stays open however little is looked at afterwards."""
    with tampering(scene.database) as connection:
        opening = stock_moves.c.reason == "opening"
        connection.execute(update(stock_moves).where(opening).values(on_hand_delta=3))
    assert {"K19": (1, 0)} == scene.found("K19")
    [row] = standing(scene, "K19")
    with pytest.raises(HealFailed):
        scene.runner.heal(row["id"], actor=ACTOR)
    scene.clock.advance(timedelta(minutes=20))
    assert {"K19": (1, 0)} == scene.found("K19", full=False)
    assert ["open"] == [each["status"] for each in standing(scene, "K19")]


@pytest.mark.usefixtures("chain")
def test_what_was_accepted_is_left_alone(scene: Reconciling) -> None:
    """A judged one is not open, and an unknown one is not there."""
    plant(scene, update(product_rows).values(stock_allocated=9))
    [row] = found_and_left(scene, "K19")
    with scene.dispatch.units.begin(actor="test") as work:
        judgements.accept(work, row["id"], reason="counted tomorrow")
    before = scene.everything()
    with pytest.raises(InvalidStatus) as refused:
        scene.runner.heal(row["id"], actor=ACTOR)
    assert "accepted" == refused.value.details["current_status"]
    with pytest.raises(NotFound):
        scene.runner.heal(new_id(), actor=ACTOR)
    assert before == scene.everything()


def test_several_who_heal_the_same_heal_it_once(scene: Reconciling, chain: Chain) -> None:
    """At the same instant one corrects and is noted; the others are told, or find it done."""
    plant(scene, update(product_rows).values(stock_allocated=9))
    [row] = found_and_left(scene, "K19")

    def heal(_: int) -> str:
        together.wait()
        try:
            return str(scene.runner.heal(row["id"], actor=ACTOR)["status"])
        except InvalidStatus as refusal:
            return refusal.code

    together = threading.Barrier(HEALERS)
    with ThreadPoolExecutor(HEALERS) as pool:
        outcomes = list(pool.map(heal, range(HEALERS)))
    assert "healed" in outcomes
    assert {"healed", InvalidStatus.code} >= set(outcomes)
    with scene.database.read() as connection:
        history = discrepancy_views.show(connection, row["id"])["history"]
        moves = stock.moves_of(connection, chain.product_id)
    assert ["opened", "healed"] == [line["action"] for line in history]
    assert 1 == sum(move["reason"] == "recounted" for move in moves)


@pytest.mark.usefixtures("chain")
def test_a_check_that_found_too_much_is_seen_to_first(scene: Reconciling) -> None:
    """That a check would heal more than it may is nothing to heal: what it found is."""
    with scene.dispatch.units.begin(actor="test", source="reconciler") as work:
        noting = Noting(CHECKS["K19"], new_id())
        discrepancies.note(work, noting, [alarm_of(CHECKS["K19"])])
    [row] = standing(scene, "K19")
    with pytest.raises(NotHealable, match="reconcile run --check K19"):
        scene.runner.heal(row["id"], actor=ACTOR)
    assert ["open"] == [each["status"] for each in standing(scene, "K19")]


def test_what_has_no_heal_closes_only_when_it_is_gone(
    scene: Reconciling, receiver: Receiver
) -> None:
    """Dead deliveries are replayed by people; once they are history, they are closed."""
    world = build(scene, receiver.url, 7)
    next(each for each in DEFECTS if each.check == "K09").plant(world)
    row, *_ = found_and_left(scene, "K09")
    with pytest.raises(NotHealable, match="it has no heal"):
        scene.runner.heal(row["id"], actor=ACTOR)
    scene.clock.advance(timedelta(days=8))
    assert "healed" == scene.runner.heal(row["id"], actor=ACTOR)["status"]
