"""The tally: the same figures as a histogram of prometheus_client."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from worker.tallies import Tally

BOUNDS = (0.005, 0.1, 1, 30)


def samples(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Return every sample but when the series began."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (each.name, each.labels.get("le", "")): each.value
        for family in families
        for each in family.samples
        if not each.name.endswith("_created")
    }


@given(st.lists(st.floats(min_value=0, max_value=100) | st.sampled_from(BOUNDS)))
def test_a_tally_reads_like_a_histogram(values: list[float]) -> None:
    """Buckets, count and sum are those of the library, also on the bounds themselves."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("seconds", "How long.", BOUNDS, ours)
    histogram = Histogram("seconds", "How long.", buckets=BOUNDS, registry=theirs)
    for value in values:
        tally.observe(value)
        histogram.observe(value)
    assert samples(theirs) == samples(ours)
