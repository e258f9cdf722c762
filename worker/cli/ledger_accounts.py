"""``tillbell ledger accounts``: what stands in the books, and each account as a T."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from engine import ledger_views
from worker.cli.moments import brief
from worker.cli.opening import reading
from worker.cli.options import After, Json, Limit
from worker.cli.output import Column, Row, details, emit, money, more, page, section, state, table

app = typer.Typer(rich_markup_mode=None)


@app.command("list")
def listing(
    *,
    book: Annotated[
        str | None, typer.Option(help="A tenant's id, or platform.", metavar="BOOK")
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The code or its beginning, such as recv<.", metavar="CODE")
    ] = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Only frozen ones.")] = False,
    limit: Limit = 100,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List accounts with their balances, by book and code."""
    with reading() as connection:
        found = ledger_views.account_listing(
            connection, book=book, code=code, frozen=frozen, limit=limit, after=after
        )
    empty = "No accounts: each is made by what is first posted on it."
    view = page([table(found["data"], _ACCOUNTS, empty=empty), *more(found)])
    emit(found, view, as_json=as_json)


@app.command()
def show(
    account: Annotated[
        str,
        typer.Argument(help="An id, or BOOK/CODE/CURRENCY.", metavar="ACCOUNT", show_default=False),
    ],
    *,
    limit: Limit = 50,
    after: Annotated[
        int | None, typer.Option(help="Go on below this version.", metavar="VERSION")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show an account and what was posted on it, newest first."""
    with reading() as connection:
        found = ledger_views.account_statement(connection, account, limit=limit, after=after)
    emit(found, _view(found), as_json=as_json)


def _view(found: Row) -> RenderableType:
    account, currency = found["account"], found["account"]["currency"]

    def amount(title: str, name: str) -> Column:
        return Column(title, lambda row: money(row[f"{name}_minor"], currency), right=True)

    entries = (
        Column("WHEN", lambda row: brief(row["event_at"])),
        Column("WHAT", "kind"),
        amount("DEBIT", "debit"),
        amount("CREDIT", "credit"),
        amount("BALANCE", "balance"),
        Column("VERSION", "account_version", right=True),
        Column("TRANSACTION", "transaction_id", wide=True),
    )
    facts = details(
        {
            "account": account["name"],
            "id": account["id"],
            "balance": Text.assemble(
                money(account["balance_minor"], currency) or "", f" ({account['normal']})"
            ),
            "debits": money(account["posted_debits_minor"], currency),
            "credits": money(account["posted_credits_minor"], currency),
            "pending": _pending(account),
            "state": state("frozen" if account["frozen"] else "open to postings"),
        }
    )
    freezes = [
        section("Frozen", table(found["freezes"], _FREEZES, empty="")) for _ in found["freezes"][:1]
    ]
    posted = table(found["data"], entries, empty="Nothing was posted on it.")
    return page([facts, *freezes, section("Entries", posted), *more(found)])


def _pending(account: Row) -> Text | None:
    if not account["pending_debits_minor"] and not account["pending_credits_minor"]:
        return None
    return Text.assemble(
        *(money(account["pending_debits_minor"], account["currency"]) or "", " debit, "),
        *(money(account["pending_credits_minor"], account["currency"]) or "", " credit"),
    )


_ACCOUNTS = (
    Column("BOOK", "book"),
    Column("CODE", "code", flexible=True),
    Column("BALANCE", lambda row: money(row["balance_minor"], row["currency"]), right=True),
    Column("SIDE", "normal"),
    Column("FROZEN", lambda row: state("frozen") if row["frozen"] else None),
    Column("ENTRIES", "version", right=True, wide=True),
    Column("ID", "id", wide=True),
)
_FREEZES = (
    Column("FROM", lambda row: brief(row["frozen_at"])),
    Column("BY", "frozen_by"),
    Column("BECAUSE", "reason", flexible=True),
    Column("UNTIL", lambda row: brief(row["unfrozen_at"])),
    Column("BY", "unfrozen_by"),
    Column("BECAUSE", "unfreeze_reason", flexible=True),
)
