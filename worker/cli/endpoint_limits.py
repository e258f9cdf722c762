"""``tillbell endpoints limits``, ``tillbell events policy``: how fast, in which order, how long."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dispatcher import endpoints
from dispatcher.order import Ordering
from dispatcher.policies import event_policies, set_event_policy
from engine.errors import InvalidInput
from worker.cli.endpoint_input import Id, InFlight
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.output import Column, details, emit, table

NAMES = (
    "max_in_flight",
    "rate_per_second",
    "ordering",
    "head_of_line_seconds",
    "deadline_seconds",
    "retry_schedule",
    "deliver_within_seconds",
    "permanent_statuses",
)
#: What takes an option back to its default.
DEFAULT = "default"

Schedule = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        help="Seconds before each attempt, by comma: 0,5,30; 'default' for the default.",
        metavar="WAITS",
    ),
]
Within = Annotated[
    str | None,
    typer.Option("--within-seconds", help="Give up after this; 'default' for never.", metavar="N"),
]


def limits(
    endpoint_id: Id,
    *,
    max_in_flight: InFlight = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", help="Calls a second, 0.5 for one in two; 'default' for any."),
    ] = None,
    ordering: Annotated[
        str | None, typer.Option(help=f"Strictly in order: {', '.join(Ordering)}.", metavar="O")
    ] = None,
    head_of_line_seconds: Annotated[
        int | None,
        typer.Option(help="How long the first of an order may hold up the rest.", metavar="N"),
    ] = None,
    deadline_seconds: Annotated[
        str | None, typer.Option(help="For one attempt; 'default' for the setting.", metavar="N")
    ] = None,
    schedule: Schedule = None,
    within_seconds: Within = None,
    permanent: Annotated[
        str | None,
        typer.Option(help="Statuses no retry can mend, by comma: 400,422; 'default' for none."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how an endpoint is called, or change what is given."""
    given = {
        "max_in_flight": max_in_flight,
        "rate_per_second": _number(rate, "rate"),
        "ordering": ordering,
        "head_of_line_seconds": head_of_line_seconds,
        "deadline_seconds": _number(deadline_seconds, "deadline_seconds"),
        "retry_schedule": _numbers(schedule, "schedule"),
        "deliver_within_seconds": _whole(within_seconds, "within_seconds"),
        "permanent_statuses": _numbers(permanent, "permanent"),
    }
    changes: dict[str, Any] = {
        name: None if value == DEFAULT else value
        for name, value in given.items()
        if value is not None
    }
    with writing() as (application, work):
        row = endpoints.change(work, application.guard, endpoint_id, **changes)
    shown = {name: row[name] for name in NAMES}
    facts = {name.replace("_", " "): _text(value) for name, value in shown.items()}
    emit({"id": row["id"], **shown}, details({"endpoint": row["id"], **facts}), as_json=as_json)


def policy(
    type_name: Annotated[
        str | None,
        typer.Argument(metavar="[TYPE]", help="All of them without.", show_default=False),
    ] = None,
    *,
    schedule: Schedule = None,
    within_seconds: Within = None,
    clear: Annotated[bool, typer.Option("--clear", help="Back to the defaults.")] = False,
    as_json: Json = False,
) -> None:
    """Show, or set, how long events of a type are worth sending: a balance alert half an hour."""
    if type_name is not None and (clear or schedule or within_seconds):
        waits, seconds = _numbers(schedule, "schedule"), _whole(within_seconds, "within_seconds")
        with writing() as (_, work):
            set_event_policy(
                work,
                type_name,
                retry_schedule=None if clear or waits == DEFAULT else waits,
                deliver_within_seconds=None if clear or seconds == DEFAULT else seconds,
            )
    with reading() as connection:
        rows = [
            row
            for name, row in sorted(event_policies(connection).items())
            if type_name in {None, name}
        ]
    emit(
        {"data": rows},
        table(rows, _POLICIES, empty="Every type has the defaults."),
        as_json=as_json,
    )


def _number(text: str | None, field: str) -> Any:
    if text is None or text == DEFAULT:
        return text
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"{field} {text!r} is not a number", field=field, value=text) from None


def _whole(text: str | None, field: str) -> Any:
    number = _number(text, field)
    return int(number) if isinstance(number, float) else number


def _numbers(text: str | None, field: str) -> Any:
    if text is None or text == DEFAULT:
        return text
    return [_whole(part.strip(), field) for part in text.split(",") if part.strip()]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "default" if value is None else str(value)


_POLICIES = (
    Column("TYPE", "event_type"),
    Column("SCHEDULE", lambda row: _text(row["retry_schedule"]), flexible=True),
    Column("WITHIN", lambda row: _text(row["deliver_within_seconds"])),
)
