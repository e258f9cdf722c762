"""The lines of the benchmark in small: each arrives at figures that hang together."""

from __future__ import annotations

from datetime import timedelta

from bench.adding import adding
from bench.crowd import crowd
from bench.depths import retries


def test_every_healthy_endpoint_of_a_crowd_is_called_though_a_tenth_is_dead() -> None:
    """Nothing is sent twice, and the dead ones keep nobody from being called."""
    found = crowd(40)
    assert (40, 40) == (found["all_healthy"]["healthy"], found["all_healthy"]["arrived"])
    assert (36, 36) == (found["tenth_dead"]["healthy"], found["tenth_dead"]["arrived"])


def test_no_retry_comes_before_it_is_due() -> None:
    """All of them come, and none early."""
    found = retries(20, timedelta(seconds=2))
    assert 20 == found["arrived"]
    assert found["p50_ms"] > 0


def test_publishing_is_measured_beside_the_same_commit_without_it() -> None:
    """The figures are those of one run on one database."""
    found = adding(rounds=5, bulk=50)
    assert found["added_ms"] == found["commit_with_event_ms"] - found["commit_ms"]
    assert 50 == found["bulk_events"]
