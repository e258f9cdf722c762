"""The demo's summary: tables for people, one document for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from worker.demo.proof import Proof


def as_document(
    proof: Proof, wallets: Mapping[str, Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return everything the summary shows as one JSON document."""
    return {
        "events": proof.events,
        "deliveries": proof.states,
        "receivers": {
            name: {
                "accepted": sum(each.accepted.values()),
                "refused": each.refused,
                "verified": each.verified,
                "unverified": each.unverified,
            }
            for name, each in proof.received.items()
        },
        "latency_ms": {
            "p50": round(proof.latency_ms(50), 1),
            "p99": round(proof.latency_ms(99), 1),
        },
        "duplicates": proof.duplicates,
        "missing": proof.missing,
        "wallets": wallets,
        "ledger_findings": len(proof.ledger),
        "runs": runs,
        "problems": proof.problems,
    }


def print_summary(
    console: Console,
    proof: Proof,
    wallets: Mapping[str, Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
) -> None:
    """Print what happened and what it proves."""
    console.print()
    console.print(_events(proof))
    console.print(_receivers(proof))
    console.print(_wallets(wallets))
    console.print(_runs(runs))
    console.print(
        f"Commit to arrival at the healthy receiver: p50 {proof.latency_ms(50):.0f} ms,"
        f" p99 {proof.latency_ms(99):.0f} ms; duplicates {proof.duplicates};"
        f" missing {proof.missing}"
    )
    books = "balance to the last unit" if not proof.ledger else "DO NOT BALANCE"
    console.print(f"Books: {books}")
    for problem in proof.problems:
        console.print(f"[red]✗ {problem}[/]")
    if not proof.problems:
        console.print(
            "[bold green]Everything committed was delivered, verified and accounted for.[/]"
        )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position == 0 else "right")
    return table


def _events(proof: Proof) -> Table:
    table = _table("Events", "type", "raised")
    for name, count in proof.events.items():
        table.add_row(name, f"{count:,}")
    table.add_row("all", f"{sum(proof.events.values()):,}", style="bold")
    return table


def _receivers(proof: Proof) -> Table:
    table = _table(
        "Deliveries", "receiver", "succeeded", "failed", "open", "calls", "refused", "verified"
    )
    for name, states in proof.states.items():
        each = proof.received[name]
        waiting = states.get("pending", 0) + states.get("retrying", 0)
        calls = sum(each.accepted.values()) + each.refused
        verified = f"{each.verified:,}" if not each.unverified else f"[red]-{each.unverified}[/]"
        table.add_row(
            name,
            f"{states.get('succeeded', 0):,}",
            f"{states.get('failed', 0):,}",
            f"{waiting:,}",
            f"{calls:,}",
            f"{each.refused:,}",
            verified,
        )
    return table


def _wallets(wallets: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = ("balance", "available_balance", "pending_credits", "pending_debits", "spendable")
    table = _table("Wallets", "tenant", *(name.replace("_", " ") for name in columns), "level")
    for name, wallet in wallets.items():
        figures = [f"{wallet[f'{column}_minor'] / 100:,.2f}" for column in columns]
        table.add_row(name, *figures, wallet["low_state"])
    return table


def _runs(runs: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Reconciliation", "check", "scanned", "found", "healed", "ms")
    for run in runs:
        table.add_row(
            run["check"],
            f"{run['scanned']:,}",
            f"{run['found']:,}",
            f"{run['healed']:,}",
            f"{run['duration_ms']:,}",
        )
    return table
