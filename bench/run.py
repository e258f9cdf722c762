"""One run: every line after the other, the ceiling first and last, progress on standard error."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import lines
from bench.adding import adding
from bench.crowd import crowd
from bench.depths import deep, retries, snapshot
from bench.hanging import hanging
from bench.lines import Figures, Scale

Told = Callable[[str], None]


def run(scale: Scale, told: Told) -> Figures:
    """Measure everything and return it; ``told`` hears what is measured next.

    The ceiling is taken before and after and its mean counts: the machine may change meanwhile.
    """
    found: Figures = {"machine": machine()}
    told("the bare ceiling")
    first = lines.ceiling(scale)
    for name, sentence, measure in _plan(scale):
        told(sentence)
        found[name] = measure()
    told("the bare ceiling again")
    found["ceiling"] = _mean(first, lines.ceiling(scale))
    for name in ("drain", "embedded", "usual"):
        found[name]["ratio_to_ceiling"] = found[name]["per_second"] / found["ceiling"]["per_second"]
    return found


def _plan(scale: Scale) -> list[tuple[str, str, Callable[[], Figures]]]:
    return [
        ("drain", f"the drain of {scale.backlog:,}", lambda: lines.drained(scale)),
        (
            "embedded",
            f"the drain of {scale.embedded_backlog:,} on SQLite",
            lambda: lines.drained(scale, embedded=True),
        ),
        ("sustained", f"{scale.sustained_per_second:,} a second", lambda: _sustained(scale)),
        ("latency", "latency at steady rates", lambda: _latency(scale)),
        ("hanging", "one endpoint of ten that hangs", lambda: hanging(scale)),
        ("killed", "a worker killed half-way", lambda: lines.killed(scale)),
        ("publish", "what publishing adds to a commit", adding),
        *_of_rows(scale),
        ("usual", "the usual way", lambda: lines.usual(scale)),
    ]


def _of_rows(scale: Scale) -> list[tuple[str, str, Callable[[], Figures]]]:
    """Return what only a full run measures: its fill alone takes minutes."""
    if not scale.reconciled_rows:
        return []
    return [
        ("claim", "the lease with history behind it", lambda: lines.claimed(scale)),
        ("workers", "more workers than one", lambda: lines.with_workers(scale)),
        ("retries", f"{scale.retries:,} retries due at once", lambda: retries(scale.retries)),
        ("snapshot", "an old snapshot held open", lambda: snapshot(scale.backlog)),
        ("deep", f"one endpoint with {scale.deep_rows:,}", lambda: deep(scale.deep_rows)),
        (
            "crowd",
            f"{scale.crowd_endpoints:,} endpoints, a tenth dead",
            lambda: crowd(scale.crowd_endpoints),
        ),
        (
            "reconcile",
            f"reconciliation of {scale.reconciled_rows:,} open remittances",
            lambda: lines.reconciled(scale),
        ),
    ]


def _sustained(scale: Scale) -> Figures:
    seconds = scale.sustained_seconds
    return {
        **lines.sustained(scale, rate=scale.sustained_per_second, seconds=seconds),
        "seconds": seconds,
    }


def _latency(scale: Scale) -> Figures:
    found = {
        str(rate): lines.sustained(scale, rate=rate, seconds=scale.latency_seconds)
        for rate in scale.latency_rates
    }
    if len(found) > 1:  # a quick run has no time for it
        found["500 a second by the sweep alone"] = lines.sustained(
            scale, rate=500, seconds=scale.latency_seconds, hints=False
        )
    return found


def _mean(first: Figures, second: Figures) -> Figures:
    return {
        name: (first[name] + second[name]) / 2 for name in ("per_second", "cpu_microseconds")
    } | {"runs": [first, second]}


def machine() -> dict[str, Any]:
    """Return what the figures were made on."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
    }
