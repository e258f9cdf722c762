"""The table of a run: what was measured, beside the ceiling of the same run and what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

Figures = Mapping[str, Any]


def per_second(value: float) -> str:
    """Write a rate."""
    return f"{value:,.0f}/s"


def milliseconds(found: Figures) -> str:
    """Write a latency."""
    return f"p50 {found['p50_ms']:.0f} ms, p99 {found['p99_ms']:.0f} ms"


def lines(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    """Yield line by line what it is, what came out, and what the design asks for."""
    top = found["ceiling"]["per_second"]
    yield "bare ceiling: sign, send, read; no database", per_second(top), "what the rest is held to"
    for key, name, asked in (
        ("drain", "drain of a backlog", "50 % of the ceiling, 15,000/s"),
        ("embedded", "the same, embedded (SQLite)", "8,000/s"),
        ("usual", "the usual way, same servers", "a fortieth of the drain"),
    ):
        if key in found:
            rate = found[key]["per_second"]
            yield name, f"{per_second(rate)} ({rate / top:.0%})", asked
    yield from _cost(found)
    if "sustained" in found:
        line = found["sustained"]
        rate = f"{line['published_per_second']:,.0f}/s for {line['seconds']:.0f} s"
        late = f"{line['seconds_to_catch_up']:.1f} s behind at the end"
        yield (
            "sustained: commit to receiver",
            f"{rate}, {milliseconds(line)}, {late}",
            ("10,000/s, p50 50 ms, p99 200 ms"),
        )
    for key, line in found.get("latency", {}).items():
        asked = "p50 25 ms, p99 150 ms" if key == "500" else ""
        name = f"latency at {key} events a second" if key.isdigit() else f"latency, {key}"
        yield name, milliseconds(line), asked
    yield from _others(found)


def _cost(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    line = found.get("drain")
    if line is None:
        return
    parts = (
        f"worker {line['worker_cpu_microseconds']:.0f}, database"
        f" {line['database_cpu_microseconds']:.0f}, receiver"
        f" {line['receiver_cpu_microseconds']:.0f} µs"
    )
    yield "processor time a delivery", parts, f"bare: {found['ceiling']['cpu_microseconds']:.0f} µs"
    yield "memory of a worker", f"{line['memory_megabytes']:.0f} MB", "250 MB"
    yield "publish, a thousand a transaction", per_second(line["publish_per_second"]), ""
    yield "relay", per_second(line["relay_per_second"]), ""


def _others(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    if "hanging" in found:
        line = found["hanging"]
        with_, without = line["with"]["p99_ms"], line["without"]["p99_ms"]
        text = f"p99 of the nine {with_:.0f} ms, without it {without:.0f} ms"
        yield "one endpoint of ten hangs", text, "within 10 %"
    yield from _publish(found)
    yield from _claim(found)
    yield from _flat(found)
    yield from _reconcile(found)
    if "killed" in found:
        line = found["killed"]
        text = f"lost {line['missing']}, {line['received_again']} came again"
        yield "a worker killed half-way", text, "0 lost, no more again than were in flight"


def _publish(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    line = found.get("publish")
    if line is None:
        return
    text = f"{line['commit_with_event_ms']:.2f} ms, without it {line['commit_ms']:.2f} ms"
    yield "one event in the caller's commit", text, ""
    yield f"{line['bulk_events']:,} events in one call", f"{line['bulk_seconds']:.2f} s", ""


def _flat(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    """Yield what more workers, depth and dead endpoints make of the plain drain."""
    plain = found["drain"]["per_second"] if "drain" in found else 0.0
    for workers, line in found.get("workers", {}).items():
        rate = line["per_second"]
        yield f"drain by {workers} workers", f"{per_second(rate)}: {rate / plain:.2f} times", ""
    if "snapshot" in found:
        rate = found["snapshot"]["per_second"]
        text = f"{per_second(rate)}: {rate / plain:.2f} times"
        yield "drain with an old snapshot held open", text, ""
    if "deep" in found:
        line = found["deep"]
        text = f"{per_second(line['per_second'])}: {line['per_second'] / plain:.2f} times"
        yield f"drain of one endpoint with {line['rows']:,}", text, ""
    if "retries" in found:
        line = found["retries"]
        yield f"{line['retries']:,} retries due in the same instant", milliseconds(line), ""
    if "crowd" in found:
        line = found["crowd"]
        dead, healthy = line["tenth_dead"], line["all_healthy"]
        text = f"{per_second(dead['per_second'])}, all healthy {per_second(healthy['per_second'])}"
        text += f": {line['ratio']:.2f} times; 99.9 % in {dead['seconds_to_99_9_percent']:.0f} s"
        yield f"{line['endpoints']:,} endpoints, a tenth dead", text, "0.9 times"


def _claim(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    """Yield each step with history behind it, then the claim with open rows in front too."""
    line = found.get("claim")
    if line is None:
        return
    for step in ("relay", "claim", "settle"):
        with_, without = line["behind"][step], line["none"][step]
        ratio = with_["p50_ms"] / without["p50_ms"]
        text = f"{precisely(with_)}; with none p50 {without['p50_ms']:.1f} ms: {ratio:.2f} times"
        yield f"{step} with {line['settled_rows']:,} settled rows behind", text, "1.2 times"
    if "in_front" in line:
        name = f"claim with {line['open_rows']:,} open and as many to relay besides"
        text = f"{precisely(line['in_front']['claim'])}, {line['memory_megabytes']:.0f} MB"
        yield name, text, "p99 20 ms, 250 MB"


def _reconcile(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    """Yield what finding a thousand due ones takes, and the slowest of all checks."""
    sizes = found.get("reconcile")
    if sizes is None:
        return
    few, many = (sizes[size] for size in sorted(sizes, key=int))
    rows, due = many["rows"]["remittances"] - 2, many["due"]
    text = f"{due['K10']['seconds']:.2f} s; of {few['rows']['remittances'] - 2:,}"
    text += f" {few['due']['K10']['seconds']:.2f} s; {many['memory_megabytes']:.0f} MB"
    yield f"reconcile {rows:,} open remittances, a thousand due", text, "2 s, 250 MB"
    slowest = max(due, key=lambda check: float(due[check]["seconds"]))
    text = f"{slowest} {due[slowest]['seconds']:.2f} s"
    yield "the slowest check, a thousand of everything due or moved", text, "2 s"


def precisely(found: Figures) -> str:
    """Write a latency of few milliseconds."""
    return f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms"


def rendered(found: Mapping[str, Figures]) -> Table:
    """Return the table for people."""
    table = Table(title="tillbell bench", title_justify="left")
    for name in ("line", "measured", "asked for"):
        table.add_column(name, overflow="fold")
    for line in lines(found):
        table.add_row(*line)
    return table
