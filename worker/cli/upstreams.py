"""``tillbell upstreams``: platforms that fulfil our orders, asked and listened to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from reconciler import upstreams
from reconciler.upstream_reading import Kind
from reconciler.upstreams import SIGNATURES
from worker.cli.moments import brief
from worker.cli.opening import opened, reading, writing
from worker.cli.options import Json, Tenant
from worker.cli.output import Column, Row, details, emit, state, table

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The upstream's id.", metavar="ID", show_default=False)]


@app.command()
def create(
    *,
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="What you call it.")],
    kind: Annotated[str, typer.Option(help=", ".join(Kind), metavar="KIND")],
    url: Annotated[str, typer.Option(help="Where its interface begins.", metavar="URL")],
    path: Annotated[
        str | None, typer.Option(help="Where it tells of an order; holds {reference}.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token it wants to see.", metavar="FILE")
    ] = None,
    x_tenant: Annotated[str | None, typer.Option(help="Its X-Tenant header, if any.")] = None,
    callback_signature: Annotated[
        str | None, typer.Option(help=", ".join(SIGNATURES), metavar="S")
    ] = None,
    callback_secret_file: Annotated[
        Path | None, typer.Option(help="A file with what its callbacks prove.", metavar="FILE")
    ] = None,
    per_minute: Annotated[int, typer.Option(help="Requests a minute.", metavar="N")] = 100,
    as_json: Json = False,
) -> None:
    """Add a platform; secrets are read from files, never from the command line."""
    with writing() as (application, work):
        row = upstreams.create(
            work,
            application.guard,
            tenant_id=tenant,
            name=name,
            kind=kind,
            base_url=url,
            path=path,
            token=_read(token_file),
            x_tenant=x_tenant,
            callback_signature=callback_signature,
            callback_secret=_read(callback_secret_file),
            requests_per_minute=per_minute,
        )
    emit(row, _facts(row), as_json=as_json)


@app.command("list")
def listing(*, as_json: Json = False) -> None:
    """List platforms and how they answer."""
    with reading() as connection:
        rows = upstreams.listing(connection)
    empty = "No upstreams: tillbell upstreams create --tenant ID --name N --kind K --url U"
    emit({"data": rows}, table(rows, _COLUMNS, empty=empty), as_json=as_json)


@app.command()
def show(upstream_id: Id, *, as_json: Json = False) -> None:
    """Show one platform."""
    with reading() as connection:
        row = upstreams.get(connection, upstream_id)
    emit(row, _facts(row), as_json=as_json)


@app.command()
def pause(upstream_id: Id, *, as_json: Json = False) -> None:
    """Ask it nothing until it is resumed."""
    with writing() as (_, work):
        row = upstreams.pause(work, upstream_id)
    emit(row, _facts(row), as_json=as_json)


@app.command()
def resume(upstream_id: Id, *, as_json: Json = False) -> None:
    """Ask it again, and forget its failures."""
    with writing() as (_, work):
        row = upstreams.resume(work, upstream_id)
    emit(row, _facts(row), as_json=as_json)


@app.command()
def link(
    upstream_id: Id,
    order_id: Annotated[str, typer.Argument(help="Our order.", metavar="ORDER")],
    reference: Annotated[str, typer.Argument(help="What it is called there.", metavar="REF")],
    *,
    as_json: Json = False,
) -> None:
    """Say that an order is fulfilled there."""
    with writing() as (_, work):
        row = upstreams.link(work, upstream_id, order_id, reference)
    emit(row, _order_facts(row), as_json=as_json)


@app.command()
def order(
    order_id: Annotated[str, typer.Argument(help="Our order.", metavar="ORDER")],
    *,
    as_json: Json = False,
) -> None:
    """Show what is known of an order upstream."""
    with reading() as connection:
        row = upstreams.order_of(connection, order_id)
    emit(row, _order_facts(row), as_json=as_json)


@app.command()
def poll(*, as_json: Json = False) -> None:
    """Ask about what is due, now, in this process; the scheduler does so every few seconds."""
    with opened() as application:
        asked = application.upstreams().run_once()
    emit({"asked": asked}, f"Asked about {asked} orders.", as_json=as_json)


def _read(path: Path | None) -> str | None:
    """Return a file's one line."""
    if path is None:
        return None
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from None


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "name": row["name"],
            "tenant": row["tenant_id"],
            "kind": row["kind"],
            "asked at": f"{row['base_url']}{row['path']}",
            "callbacks at": f"/api/v1/upstreams/{row['id']}/callbacks"
            if row["callback_signature"]
            else "none taken: it has no callback secret",
            "state": state(row["state"]),
            "blocked until": row["blocked_until"],
            "last error": row["last_error"],
            "requests a minute": row["requests_per_minute"],
        }
    )


def _order_facts(row: Row) -> RenderableType:
    return details(
        {
            "order": row["chain_order_id"],
            "upstream": row["upstream_id"],
            "called there": row["reference"],
            "seen there": row["seen_status"],
            "came too late": row["late"],
            "looked at": row["checked_at"],
            "next look": row["next_check_at"],
            "problem": row["problem"],
            "why": row["problem_detail"],
        }
    )


_COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("KIND", "kind"),
    Column("STATE", lambda row: state(row["state"])),
    Column("LAST ERROR", lambda row: row["last_error"] or ""),
    Column("BLOCKED UNTIL", lambda row: brief(row["blocked_until"]), wide=True),
    Column("URL", "base_url", wide=True),
)
