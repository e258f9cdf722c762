"""``tillbell ledger``: the books of every tenant and of the platform."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from engine import account_freezes, fees, ledger_verification, tenants, write_offs
from engine.ledger_verification import Verification
from engine.money import parse_amount
from worker.cli import adjustments, ledger_accounts, ledger_transactions
from worker.cli.opening import opened, writing
from worker.cli.options import Actor, Json, Since
from worker.cli.output import (
    Column,
    Row,
    details,
    emit,
    money,
    page,
    progress,
    state,
    table,
    with_money,
)

app = typer.Typer(rich_markup_mode=None)
app.add_typer(ledger_accounts.app, name="accounts", help="What stands in the books.")
app.add_typer(ledger_transactions.app, name="transactions", help="What was posted.")
app.add_typer(adjustments.app, name="adjustments", help="Corrections; two persons each.")

AccountName = Annotated[
    str, typer.Argument(help="An id, or BOOK/CODE/CURRENCY.", metavar="ACCOUNT", show_default=False)
]
Reason = Annotated[str, typer.Option(help="Why; it is kept.", metavar="TEXT")]


@app.command()
def verify(
    *,
    full: Annotated[bool, typer.Option("--full", help="Read every row again.")] = False,
    since: Since = None,
    as_json: Json = False,
) -> None:
    """Recompute what was posted since the last look, or all; exit code 1 on drift."""
    if full and since is not None:
        raise typer.BadParameter("--full reads everything; leave --since out")
    began = time.monotonic()
    with opened() as application, progress() as bar:
        task = bar.add_task("entries", total=None)
        done = ledger_verification.verify(
            application.database,
            application.database.now(),
            full=full,
            since=since,
            progress=lambda read, total: bar.update(task, completed=read, total=total),
        )
    seconds = time.monotonic() - began
    emit(_document(done, seconds), _view(done, seconds), as_json=as_json)
    if done.findings:
        raise typer.Exit(1)


@app.command()
def freeze(
    account: AccountName, *, reason: Reason, actor: Actor = None, as_json: Json = False
) -> None:
    """Let an account take no postings until it is unfrozen."""
    with writing(actor) as (_, work):
        record = account_freezes.freeze(work, account, reason=reason)
    emit(record, _freeze(record), as_json=as_json)


@app.command()
def unfreeze(
    account: AccountName, *, reason: Reason, actor: Actor = None, as_json: Json = False
) -> None:
    """Let a frozen account take postings again."""
    with writing(actor) as (_, work):
        record = account_freezes.unfreeze(work, account, reason=reason)
    emit(record, _freeze(record), as_json=as_json)


@app.command()
def fee(
    tenant_id: Annotated[
        str, typer.Argument(help="Whose wallet pays.", metavar="TENANT", show_default=False)
    ],
    amount: Annotated[
        str, typer.Argument(help="Such as 5 or 9.50.", metavar="AMOUNT", show_default=False)
    ],
    *,
    reason: Reason,
    reference: Annotated[
        str | None, typer.Option(help="Names the fee; under one reference it is charged once.")
    ] = None,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Charge a tenant's wallet."""
    with writing(actor) as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        wallet = fees.charge(
            work,
            tenant_id,
            parse_amount(amount, currency),
            reason=reason,
            reference=reference,
        )
    facts = {
        "tenant": wallet["tenant_id"],
        "balance": money(wallet["balance_minor"], wallet["currency"]),
        "may spend": money(wallet["spendable_minor"], wallet["currency"]),
    }
    emit(wallet, details(facts), as_json=as_json)


@app.command("write-off")
def write_off(
    remittance_id: Annotated[
        str,
        typer.Argument(help="What will not be paid.", metavar="REMITTANCE", show_default=False),
    ],
    *,
    reason: Reason,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Cancel a remittance as bad debt of its payee."""
    with writing(actor) as (_, work):
        row = write_offs.write_off(work, remittance_id, reason=reason)
    facts = {
        "remittance": row["id"],
        "status": state(row["status"]),
        "amount": money(row["amount_minor"], row["currency"]),
        "lost by": row["payee_id"],
        "forgiven to": row["payer_id"],
        "transaction": row["write_off_id"],
    }
    emit(with_money(row), details(facts), as_json=as_json)


def _freeze(record: Row) -> RenderableType:
    return details(
        {
            "account": record["account_id"],
            "frozen": record["frozen_at"],
            "by": record["frozen_by"],
            "because": record["reason"],
            "unfrozen": record["unfrozen_at"],
            "unfrozen by": record["unfrozen_by"],
            "unfrozen because": record["unfreeze_reason"],
        }
    )


def _document(done: Verification, seconds: float) -> Row:
    return {
        "ok": not done.findings,
        "mode": done.mode,
        "started_at": done.started_at,
        "duration_seconds": round(seconds, 3),
        "accounts": done.accounts,
        "transactions": done.transactions,
        "entries": done.entries,
        "findings": done.findings,
    }


def _view(done: Verification, seconds: float) -> RenderableType:
    read = {
        ledger_verification.FULL: "every row read",
        ledger_verification.NEW: "what is new since the last look",
        ledger_verification.SINCE: "what was posted since then",
    }
    numbers = (
        f"{done.entries:,} entries, {done.transactions:,} transactions, {done.accounts:,} accounts"
        f" in {seconds:.1f} s: {read[done.mode]}"
    )
    if not done.findings:
        return page([Text("The books agree.", style="green"), Text(numbers, style="dim")])
    verdict = Text(f"{len(done.findings)} findings: the books do not agree.", style="red")
    return page([table(done.findings, _FINDINGS, empty=""), verdict, Text(numbers, style="dim")])


_FINDINGS = (
    Column("CHECK", "check"),
    Column("WHERE", "subject", flexible=True),
    Column("EXPECTED", lambda row: str(row["expected"])[:16], right=True),
    Column("FOUND", lambda row: str(row["actual"])[:16], right=True),
    Column("TRANSACTION", lambda row: row.get("transaction_id"), wide=True),
)
