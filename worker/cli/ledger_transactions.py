"""``tillbell ledger transactions``: what was posted, and both sides of it."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer
from rich.console import RenderableType

from engine import hand_reversals, ledger_views
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Actor, After, IdempotencyKey, Json, Limit, Since
from worker.cli.output import Column, Row, details, emit, money, more, page, section, state, table

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The transaction's id.", metavar="ID", show_default=False)]


@app.command("list")
def listing(
    *,
    kind: Annotated[
        str | None, typer.Option(help="Such as top_up or reversal.", metavar="KIND")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Such as chain_order/ID.", metavar="TYPE/ID")
    ] = None,
    since: Since = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List ledger transactions, newest first."""
    with reading() as connection:
        found = ledger_views.transaction_listing(
            connection, kind=kind, reference=reference, since=since, limit=limit, after=after
        )
    view = page([table(found["data"], _COLUMNS, empty="Nothing was posted."), *more(found)])
    emit(found, view, as_json=as_json)


@app.command()
def show(transaction_id: Id, *, as_json: Json = False) -> None:
    """Show a transaction: debits and credits book by book, and what it set aside or freed."""
    with reading() as connection:
        found = ledger_views.transaction_detail(connection, transaction_id)
    emit(found, _view(found), as_json=as_json)


@app.command()
def reverse(
    transaction_id: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept.", metavar="TEXT")],
    idempotency_key: IdempotencyKey = None,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Undo a top-up, a fee or a hold by its opposite; documents undo what is theirs."""
    with writing(actor) as (_, work):
        row = hand_reversals.reverse(
            work, transaction_id, reason=reason, idempotency_key=idempotency_key
        )
        found = ledger_views.transaction_detail(work.connection, row["id"])
    emit(found, _view(found), as_json=as_json)


def _view(found: Row) -> RenderableType:
    currency = found["currency"]
    sides = (
        Column("ACCOUNT", "code"),
        Column("DEBIT", lambda row: money(row["debit_minor"], currency), right=True),
        Column("CREDIT", lambda row: money(row["credit_minor"], currency), right=True),
        Column("VERSION", "account_version", right=True, wide=True),
        Column("ENTRY", "id", wide=True),
    )
    kept = (
        Column("DID", lambda row: state(row["did"])),
        Column("AMOUNT", lambda row: money(row["amount_minor"], currency), right=True),
        Column("FOR", "reason"),
        Column("OF", "payer_id"),
        Column("TO", "payee_id", wide=True),
    )
    metadata = found["metadata"] or {}
    facts = details(
        {
            "id": found["id"],
            "what": found["kind"],
            "of": f"{found['reference_type']} {found['reference_id']}",
            "happened": found["event_at"],
            "written": found["created_at"],
            "by": found["posted_by"],
            **{name.replace("_", " "): value for name, value in metadata.items()},
            "reverses": found["reverses_id"],
            "reversed by": found["reversed_by"],
        }
    )
    books = [
        section(f"Book {book}", table(list(rows), sides, empty=""))
        for book, rows in groupby(found["entries"], lambda row: row["book"])
    ]
    held = [section("Set aside", table(found["holds"], kept, empty=""))] if found["holds"] else []
    return page([facts, *books, *held])


_COLUMNS = (
    Column("ID", "id"),
    Column("WHEN", lambda row: brief(row["event_at"])),
    Column("WHAT", "kind"),
    Column("OF", "reference_type"),
    Column("BY", "posted_by", flexible=True),
    Column("REFERENCE", "reference_id", wide=True),
    Column("REVERSES", "reverses_id", wide=True),
)
