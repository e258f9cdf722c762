"""Instants as people read them: UTC, and how long ago or ahead that is."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import typer
from rich.text import Text

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def span(seconds: float) -> str:
    """Return a length of time in its largest unit: ``45s``, ``12m``, ``7h``, ``30d``."""
    for unit_seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= unit_seconds:
            return f"{int(seconds // unit_seconds)}{unit}"
    return f"{int(seconds)}s"


def relative(at: datetime, now: datetime) -> str:
    """Return ``5m ago``, ``now`` or ``in 5m``."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def moment(at: datetime, now: datetime) -> Text:
    """Return ``2026-03-02 09:30:00Z (5m ago)``."""
    written = Text(at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"))
    return written.append(f" ({relative(at, now)})", style="dim")


def brief(at: datetime | None) -> Text | None:
    """Return an instant for a narrow column: ``09:30Z (5m)``, or ``2026-03-02 (in 3d)``."""
    if at is None:
        return None
    now = datetime.now(UTC)
    day_away = abs(now - at) >= timedelta(days=1)
    written = Text(at.astimezone(UTC).strftime("%Y-%m-%d" if day_away else "%H:%MZ"))
    return written.append(f" ({relative(at, now).removesuffix(' ago')})", style="dim")


def past(text: str) -> datetime:
    """Return the instant that ``2026-03-02T09:30:00Z`` names, or that is ``30m`` ago."""
    return _instant(text, -1)


def future(text: str) -> datetime:
    """Return the instant that ``2026-03-02T09:30:00Z`` names, or that is ``30m`` ahead."""
    return _instant(text, 1)


def calendar_day(text: str) -> date:
    """Return the day that ``2026-03-02`` names."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day such as 2026-03-02") from None


def _instant(text: str, direction: int) -> datetime:
    """Read an ISO 8601 instant, in UTC where it names no zone, or a span such as ``2h``."""
    found = _SPAN.fullmatch(text.strip())
    if found:
        length = timedelta(**{_UNITS[found[2]]: int(found[1])})
        return datetime.now(UTC) + direction * length
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither an instant such as 2026-03-02T09:30:00Z nor a span such as 2h"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
