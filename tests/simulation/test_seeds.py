"""The simulation: every history of a seed keeps every promise (F61)."""

from __future__ import annotations

import pytest

from tests.faults.plugin import Reached
from tests.simulation.run import simulate_all

#: A busy machine must not turn minutes of work into a failure.
pytestmark = pytest.mark.timeout(900)


@pytest.mark.fault("F61")
def test_histories_keep_every_promise(first_seed: int, count: int, reached: Reached) -> None:
    """Whatever fails, dies, repeats and comes late: nothing is lost, told twice or miscounted."""
    histories = list(simulate_all(first_seed, count))
    broken = [str(history) for history in histories if history.broken]
    assert not broken, "\n".join(broken)
    crashes = sum(history.crashes for history in histories)
    deliveries = sum(history.deliveries for history in histories)
    reached.says(
        "F61",
        f"seeds {first_seed} to {first_seed + count - 1} of 30 days: {deliveries} deliveries,"
        f" {crashes} crashes, nothing broken",
    )
