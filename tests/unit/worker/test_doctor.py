"""What the doctor makes of two clocks that differ."""

from __future__ import annotations

import pytest

from worker.doctor import clock_diagnosis


@pytest.mark.fault("F20")
@pytest.mark.parametrize(
    ("ahead_seconds", "status"),
    [(0.0, "ok"), (1.9, "ok"), (-1.9, "ok"), (2.0, "warn"), (-59.0, "warn"), (60.0, "fail")],
)
def test_clocks_that_drift_apart_are_named(ahead_seconds: float, status: str) -> None:
    """A little is nothing, seconds are a warning, a minute spoils signatures."""
    found = clock_diagnosis(ahead_seconds)
    assert status == found.status
    assert (status != "ok") is (found.mend is not None)


def test_the_direction_is_said() -> None:
    """Whoever mends it knows which clock is late."""
    assert "5.0 s behind the database's" == clock_diagnosis(-5).message
    assert "5.0 s ahead of the database's" == clock_diagnosis(5).message
