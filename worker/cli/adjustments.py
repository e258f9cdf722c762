"""``tillbell ledger adjustments``: corrections that one person asks for and another decides."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from engine import adjustments, tenants
from engine.errors import InvalidInput
from engine.money import parse_amount
from engine.postings import Entry
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Actor, After, IdempotencyKey, Json, Limit, OfTenant
from worker.cli.output import (
    Column,
    Row,
    details,
    emit,
    money,
    more,
    page,
    section,
    state,
    table,
    with_money,
)

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The adjustment's id.", metavar="ID", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; it is kept.", metavar="TEXT")]
Amount = Annotated[str | None, typer.Option(metavar="AMOUNT")]


@app.command()
def request(
    *,
    tenant: Annotated[str | None, typer.Option(help="Whose wallet.", metavar="ID")] = None,
    add: Annotated[str | None, typer.Option(help="Give this much.", metavar="AMOUNT")] = None,
    take: Annotated[str | None, typer.Option(help="Take this much.", metavar="AMOUNT")] = None,
    entry: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead of a wallet: BOOK/CODE/CURRENCY=AMOUNT, debits above zero; repeat it.",
            metavar="ENTRY",
        ),
    ] = None,
    reason: Reason,
    idempotency_key: IdempotencyKey = None,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Ask for a correction; nothing moves until another person approves it."""
    of_wallet = tenant is not None and (add is None) is not (take is None)
    if of_wallet is bool(entry):
        raise typer.BadParameter("give --tenant with --add or --take, or --entry several times")
    with writing(actor) as (_, work):
        if tenant is None:
            entries, currency = _entries(entry or [])
            row = adjustments.request_entries(work, entries, currency=currency, reason=reason)
        else:
            currency = tenants.get(work.connection, tenant)["currency"]
            amount_minor = parse_amount(add or take, currency)
            row = adjustments.request(
                work,
                tenant,
                amount_minor if take is None else -amount_minor,
                reason=reason,
                idempotency_key=idempotency_key,
            )
    _emit(row, as_json=as_json)


@app.command()
def approve(
    adjustment_id: Id,
    *,
    reason: Annotated[str | None, typer.Option(help="A note.", metavar="TEXT")] = None,
    actor: Actor = None,
    as_json: Json = False,
) -> None:
    """Post it; refused to who asked for it."""
    with writing(actor) as (_, work):
        row = adjustments.approve(work, adjustment_id, reason=reason)
    _emit(row, as_json=as_json)


@app.command()
def reject(
    adjustment_id: Id, *, reason: Reason, actor: Actor = None, as_json: Json = False
) -> None:
    """Decide that nothing is posted."""
    with writing(actor) as (_, work):
        row = adjustments.reject(work, adjustment_id, reason=reason)
    _emit(row, as_json=as_json)


@app.command("list")
def listing(
    *,
    status: Annotated[
        str | None, typer.Option(help=", ".join(adjustments.STATUSES), metavar="S")
    ] = None,
    tenant: OfTenant = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List adjustments, newest first."""
    with reading() as connection:
        found = adjustments.listing(
            connection, status=status, tenant_id=tenant, limit=limit, after=after
        )
    view = page([table(found["data"], _COLUMNS, empty="No adjustments."), *more(found)])
    emit({**found, "data": [_document(row) for row in found["data"]]}, view, as_json=as_json)


@app.command()
def show(adjustment_id: Id, *, as_json: Json = False) -> None:
    """Show one adjustment, and what it posts."""
    with reading() as connection:
        row = adjustments.get(connection, adjustment_id)
    _emit(row, as_json=as_json)


def _entries(given: list[str]) -> tuple[list[Entry], str]:
    """Return the entries that ``BOOK/CODE/CURRENCY=AMOUNT`` spell, all of one currency."""
    entries, currencies = [], set()
    for each in given:
        account, _, amount = each.partition("=")
        parts = account.split("/")
        if len(parts) != 3 or not amount:
            raise InvalidInput(
                f"entry {each!r} is not BOOK/CODE/CURRENCY=AMOUNT", field="entry", value=each
            )
        amount_minor = parse_amount(amount.removeprefix("-"), parts[2])
        entries.append(
            Entry(parts[0], parts[1], -amount_minor if amount[0] == "-" else amount_minor)
        )
        currencies.add(parts[2])
    if len(currencies) != 1:
        raise InvalidInput("all entries of one adjustment have one currency", field="entry")
    return entries, currencies.pop()


def _document(row: Row) -> Row:
    entries = [with_money({**each, "currency": row["currency"]}) for each in row["entries"]]
    return with_money({**row, "entries": entries})


def _emit(row: Row, *, as_json: bool) -> None:
    emit(_document(row), _facts(row), as_json=as_json)


def _facts(row: Row) -> RenderableType:
    facts = details(
        {
            "id": row["id"],
            "status": state(row["status"]),
            "tenant": row["tenant_id"],
            "amount": _amount(row),
            "because": row["reason"],
            "asked by": row["requested_by"],
            "asked": row["requested_at"],
            "decided by": row["decided_by"],
            "decided": row["decided_at"],
            "note": row["decision_reason"],
            "transaction": row["transaction_id"],
        }
    )
    sides = (
        Column("ACCOUNT", "code"),
        Column("DEBIT", lambda each: _side(each, row["currency"], 1), right=True),
        Column("CREDIT", lambda each: _side(each, row["currency"], -1), right=True),
    )
    by_book = sorted(row["entries"], key=lambda each: each["book"])
    books = [
        section(f"Book {book}", table(list(rows), sides, empty=""))
        for book, rows in groupby(by_book, lambda each: each["book"])
    ]
    return page([facts, *books])


def _side(entry: Row, currency: str, sign: int) -> Text | None:
    amount_minor = sign * entry["amount_minor"]
    return money(amount_minor, currency) if amount_minor > 0 else None


def _amount(row: Row) -> Text | None:
    return money(row["amount_minor"], row["currency"])


_COLUMNS = (
    Column("ID", "id"),
    Column("STATUS", lambda row: state(row["status"])),
    Column("AMOUNT", _amount, right=True),
    Column("ASKED", lambda row: brief(row["requested_at"])),
    Column("BY", "requested_by"),
    Column("DECIDED BY", "decided_by"),
    Column("BECAUSE", "reason", flexible=True),
    Column("TENANT", "tenant_id", wide=True),
)
