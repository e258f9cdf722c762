"""The same histories on PostgreSQL, whose statements are other ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import empty
from tests.faults.plugin import Reached
from tests.simulation.run import History, simulate
from tests.simulation.stage import Stage
from tests.simulation.world import furnish

#: A busy machine must not turn minutes of work into a failure.
pytestmark = pytest.mark.timeout(900)

FIRST_SEED = 500_000
#: A history takes some ten times as long here: one for so many in memory.
SHARE = 40


@pytest.fixture
def stage(postgresql_url: str) -> Iterator[Stage]:
    """Return a stage on the run's own server, empty before and after."""
    stage = Stage(postgresql_url)
    yield stage
    with stage.database.write() as connection:
        empty(connection)
    stage.database.dispose()


def _simulate(seed: int, stage: Stage) -> History:
    with stage.database.write() as connection:
        empty(connection)
    return simulate(seed, on=(stage, furnish(stage)))


@pytest.mark.fault("F61")
def test_histories_keep_every_promise_on_postgresql(
    stage: Stage, reached: Reached, request: pytest.FixtureRequest
) -> None:
    """Whatever fails, dies, repeats and comes late: the server's statements keep it, too.

    The server makes the ids of deliveries, so a seed is nearly, not exactly, the same history.
    """
    asked = request.config.getoption("seeds", default=None) or 0
    count = asked // SHARE or reached.times(short=4, full=100)
    histories = [_simulate(seed, stage) for seed in range(FIRST_SEED, FIRST_SEED + count)]
    broken = [str(history) for history in histories if history.broken]
    assert not broken, "\n".join(broken)
    crashes = sum(history.crashes for history in histories)
    reached.says(
        "F61", f"{count} seeds on PostgreSQL, {crashes} crashes, nothing broken", seed=FIRST_SEED
    )
