"""The reconciler itself is tested: every check finds what is planted, heals it, and is then quiet.

``TILLBELL_TEST_PLANTED`` is how many random histories each defect is planted in (1), and
``TILLBELL_TEST_CLEAN`` how many clean ones every check looks at (3).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from config.clock import FixedClock
from engine.database import Database
from reconciler.checks import CHECKS
from tests.planting.defect import Defect, show, show_clean
from tests.planting.every import DEFECTS
from tests.planting.world import build
from tests.receivers import Receiver, receiving
from tests.reconciling import Reconciling, reconciling

PLANTED = int(os.environ.get("TILLBELL_TEST_PLANTED", "1"))
CLEAN = int(os.environ.get("TILLBELL_TEST_CLEAN", "3"))
#: Clean histories that once gave an alarm: a paid remittance given back is due at once.
ALARMED = (1_000_033,)


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


@pytest.mark.parametrize("seed", range(PLANTED))
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda each: f"{each.check} {each.name}")
def test_a_planted_defect_is_found_and_healed_once(
    scene: Reconciling, receiver: Receiver, defect: Defect, seed: int
) -> None:
    """Found 100 %, healed as the check says; a second run heals nothing and changes no row."""
    shown = show(build(scene, receiver.url, seed), defect)
    assert () == shown.problems


@pytest.mark.parametrize("seed", [*range(1000, 1000 + CLEAN), *ALARMED])
def test_a_clean_history_gives_no_findings(
    scene: Reconciling, receiver: Receiver, seed: int
) -> None:
    """Whatever happened in order, no check finds anything, and none changes a row."""
    world = build(scene, receiver.url, seed, steps=25)
    assert [] == show_clean(world)
    assert world.orders


def test_every_check_has_a_planted_defect() -> None:
    """No check is without a test that shows it finds what it is for."""
    assert set(CHECKS) == {defect.check for defect in DEFECTS}
