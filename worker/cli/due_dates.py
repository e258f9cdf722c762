"""``tillbell remittances ladder`` and ``reschedule``: when what is owed is due, and told."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from engine import ladder_settings, rescheduling
from engine.errors import InvalidInput
from engine.ladders import PRESETS, ladder_of
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.output import Column, Row, details, emit, page, section, table, with_money

ladder = typer.Typer(rich_markup_mode=None)

Setter = Annotated[str, typer.Option("--tenant", help="Whose ladder.", metavar="ID")]
Child = Annotated[
    str | None,
    typer.Option("--child", help="Only with this child of the tenant's.", metavar="ID"),
]
Days = Annotated[str | None, typer.Option(help="Days by comma: 3,1,0.", metavar="DAYS")]


@ladder.command("show")
def show_ladder(*, tenant: Setter, child: Child = None, as_json: Json = False) -> None:
    """Show which ladder holds, and who set it."""
    with reading() as connection:
        found = ladder_settings.effective(connection, tenant, child or tenant)
    _emit_ladder(found, as_json=as_json)


@ladder.command("set")
def set_ladder(
    *,
    tenant: Setter,
    child: Child = None,
    preset: Annotated[
        str | None, typer.Option(help=f"{' or '.join(PRESETS)}.", metavar="NAME")
    ] = None,
    due: Days = None,
    overdue: Days = None,
    cutoff: Annotated[
        str | None,
        typer.Option(help="Local time on the due date; its end unless told.", metavar="HH:MM"),
    ] = None,
    grace_hours: Annotated[
        int, typer.Option(help="Before what is late is called overdue.", metavar="N")
    ] = 0,
    catch_up: Annotated[
        str, typer.Option(help="After a downtime tell the newest step, or all.", metavar="HOW")
    ] = "newest",
    as_json: Json = False,
) -> None:
    """Set when remittances of a tenant's relationships are told of; for those made from now on."""
    given: dict[str, Any] = {
        "preset": preset,
        "due_days_before": _days(due, "due"),
        "overdue_days_after": _days(overdue, "overdue"),
        "cutoff": cutoff,
        "grace_hours": grace_hours,
        "catch_up": catch_up,
    }
    with writing() as (_, work):
        row = ladder_settings.set_ladder(work, tenant, given, child_id=child)
    _emit_ladder(row, as_json=as_json)


@ladder.command("clear")
def clear_ladder(*, tenant: Setter, child: Child = None, as_json: Json = False) -> None:
    """Forget a ladder that was set; the next above holds again."""
    with writing() as (_, work):
        ladder_settings.clear_ladder(work, tenant, child_id=child)
        found = ladder_settings.effective(work.connection, tenant, child or tenant)
    _emit_ladder(found, as_json=as_json)


def reschedule(
    remittance_id: Annotated[
        str, typer.Argument(help="The remittance's id.", metavar="ID", show_default=False)
    ],
    *,
    due_date: Annotated[str, typer.Option(help="The new day: 2026-03-20.", metavar="DAY")],
    reason: Annotated[str, typer.Option(help="Why.", metavar="R")],
    tenant: Annotated[
        str | None, typer.Option(help="Who acts: the payee, or the operator.", metavar="ID")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give a pending remittance another due date; both sides are told."""
    day = _day(due_date)
    with writing() as (_, work):
        row = rescheduling.reschedule(work, remittance_id, day, reason=reason, tenant_id=tenant)
        changes = rescheduling.changes_of(work.connection, row["id"])
    facts = details(
        {
            "id": row["id"],
            "due date": row["due_date"].isoformat(),
            "due": row["due_at"],
            "schedule": row["schedule_version"],
            "payer": row["payer_id"],
            "payee": row["payee_id"],
        }
    )
    view = page([facts, section("Moved", table(changes, _CHANGES, empty=""))])
    emit({**with_money(row), "changes": changes}, view, as_json=as_json)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no day such as 2026-03-20", field="due_date", value=text
        ) from None


def _days(text: str | None, field: str) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InvalidInput(f"--{field} takes whole days by comma: 3,1,0", field=field) from None


def _emit_ladder(found: Row | None, *, as_json: bool) -> None:
    document = None if found is None else found["ladder"]
    agreed = ladder_of(document)
    who = found or {"tenant_id": None, "child_id": None, "updated_at": None, "updated_by": None}
    alone = who["child_id"] if who["child_id"] != who["tenant_id"] else None
    view: RenderableType = details(
        {
            "steps": ", ".join(step.code for step in agreed.steps),
            "cutoff": agreed.as_document()["cutoff"] or "end of the day",
            "grace": f"{agreed.grace_hours} h",
            "catch up": agreed.catch_up,
            "set by": who["tenant_id"] or "nobody: the default",
            "for": alone or "all its relationships and those below",
            "at": who["updated_at"],
            "who": who["updated_by"],
        }
    )
    steps = [{"code": step.code, "event": step.event} for step in agreed.steps]
    emit({**who, "ladder": agreed.as_document(), "steps": steps}, view, as_json=as_json)


_CHANGES = (
    Column("FROM", lambda row: row["previous_due_date"].isoformat()),
    Column("TO", lambda row: row["due_date"].isoformat()),
    Column("AT", "at"),
    Column("BY", "actor", flexible=True),
    Column("REASON", "reason", flexible=True),
)
