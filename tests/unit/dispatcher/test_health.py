"""The circuit and the failing episode, as pure steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.health import (
    DISABLE_ATTEMPTS_MIN,
    PROBE_WAIT_MAX,
    Circuit,
    CircuitRules,
    Failing,
    Health,
    Notice,
)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
RULES = CircuitRules()


def failed(health: Health, times: int) -> Health:
    """Return the health after some failures in a row."""
    for _ in range(times):
        health = health.after_failure(RULES)
    return health


def test_ten_failures_in_a_row_open_the_circuit() -> None:
    """Nine do not, and a success between starts the count anew."""
    assert failed(Health(), 9).circuit == Circuit.CLOSED
    assert failed(Health(), RULES.failures_to_open).circuit == Circuit.OPEN
    interrupted = failed(failed(Health(), 9).after_success(10), 9)
    assert interrupted.circuit == Circuit.CLOSED


def test_probes_come_every_30_seconds_doubling_to_15_minutes() -> None:
    """Each failed probe doubles the wait, up to its limit."""
    health, waits = failed(Health(), RULES.failures_to_open), []
    for _ in range(8):
        probe_at = health.probe_at(NOW, RULES)
        assert probe_at is not None
        waits.append((probe_at - NOW).total_seconds())
        health = health.at_lease().after_failure(RULES)
    assert [30, 60, 120, 240, 480, 900, 900, 900] == waits


def test_a_probe_is_one_call_and_its_success_starts_a_ramp() -> None:
    """Half open lets one through; then two at once, and one more for each success."""
    health = failed(Health(), RULES.failures_to_open).at_lease()
    assert (Circuit.HALF_OPEN, 1) == (health.circuit, health.width(10))
    widths = []
    for _ in range(9):
        health = health.after_success(10)
        widths.append(health.width(10))
    assert [2, 3, 4, 5, 6, 7, 8, 9, 10] == widths
    assert Health() == health


def test_a_failure_on_the_ramp_narrows_it() -> None:
    """A recovering endpoint that stumbles gets half as many calls, not all of them back."""
    health = Health(0, Circuit.CLOSED, 1, 8).after_failure(RULES)
    assert (4, Circuit.CLOSED) == (health.width(10), health.circuit)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 50))
def test_no_history_leads_outside_the_table(history: list[bool], in_flight_max: int) -> None:
    """Whatever happens the width stays between one and the endpoint's own limit."""
    health = Health()
    for success in history:
        health = health.at_lease()
        health = health.after_success(in_flight_max) if success else health.after_failure(RULES)
        assert 1 <= health.width(in_flight_max) <= in_flight_max
        assert (health.circuit == Circuit.OPEN) == (health.probe_at(NOW, RULES) is not None)
        if (probe_at := health.probe_at(NOW, RULES)) is not None:
            assert probe_at - NOW <= PROBE_WAIT_MAX


def test_notices_come_after_a_day_after_three_and_at_the_end() -> None:
    """24 h, 72 h, and disabled after 5 days with at least 20 attempts."""
    begun = Failing().after_failure(NOW)
    many = begun._replace(attempts=DISABLE_ATTEMPTS_MIN)
    found = [many.notice(NOW + timedelta(hours=hours)) for hours in (0, 23, 24, 71, 72, 119, 120)]
    assert [
        Notice.NONE,
        Notice.NONE,
        Notice.FAILING,
        Notice.FAILING,
        Notice.STILL_FAILING,
        Notice.STILL_FAILING,
        Notice.DISABLED,
    ] == found


def test_few_attempts_do_not_disable() -> None:
    """An endpoint that was hardly called is not given up."""
    few = Failing(NOW, DISABLE_ATTEMPTS_MIN - 1)
    assert few.notice(NOW + timedelta(days=30)) is Notice.STILL_FAILING


def test_one_success_ends_the_episode() -> None:
    """Since and count are forgotten, and the next failure starts anew."""
    assert Failing() == Failing(NOW, 50).after_success()
    later = NOW + timedelta(days=9)
    assert Failing(later, 1) == Failing().after_failure(later)
