"""The report as one page to be read and printed: figures first, then what stands by severity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any

from reconciler import scores
from reconciler.check import Severity
from reconciler.discrepancies import OPEN
from reconciler.report_style import STYLE
from reconciler.report_words import in_words, money_of

Row = dict[str, Any]

#: The gravest first, each with what it asks of the reader.
_SEVERITIES = {
    Severity.CRITICAL: "The books disagree. Only people may mend it.",
    Severity.ERROR: "A promise is broken, and stays so until somebody acts.",
    Severity.WARNING: "Somebody should look; nothing is lost yet.",
}


def page(report: Row) -> str:
    """Return a report as one HTML page that needs nothing else, made to be printed; pure."""
    standing = report["discrepancies"]
    at = _day(report["at"])
    parts = [
        f"<header><h1>Reconciliation report</h1><p>{at}</p></header>",
        _verdict(standing, report["runs"]),
        _figures(report),
        "<h2>What stands</h2>",
        *(_severity(each, said, standing, report["at"]) for each, said in _SEVERITIES.items()),
        f"<h2>Settled since {report['since']:%-d %B %Y}</h2>",
        _settled(report["settled"]),
        "<h2>What was looked at</h2>",
        _checks(report["runs"]),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Reconciliation report, {at}</title><style>{STYLE}</style>"
        f"<main>{''.join(parts)}</main></html>"
    )


def _verdict(standing: Sequence[Row], ran: Sequence[Row]) -> str:
    """Say in one sentence how things are."""
    grave = [row for row in standing if row["status"] == OPEN]
    worst = next((each for each in _SEVERITIES if _of(each, grave)), None)
    stopped = [row for row in ran if row["problem"]]
    if worst is None and not stopped:
        return '<p class="verdict well">Everything agrees.</p>'
    counts = [
        f"{len(found)} {_plural(each, found)}"
        for each in _SEVERITIES
        if (found := _of(each, grave))
    ]
    if stopped:
        counts.append(f"{len(stopped)} {_plural('check', stopped)} stopped")
    return f'<p class="verdict {worst or Severity.ERROR}">To be settled: {", ".join(counts)}.</p>'


def _figures(report: Row) -> str:
    """Return the run's figures: what was looked at, and what came of it."""
    ran, standing, score = report["runs"], report["discrepancies"], report["score"]
    sums = {name: sum(row[name] for row in ran) for name in ("scanned", "found", "healed")}
    open_ones = [row for row in standing if row["status"] == OPEN]
    figures = {
        "Checks run": len(ran),
        "Rows looked at": sums["scanned"],
        "Found": sums["found"],
        "Healed": sums["healed"],
        "Open": len(open_ones),
        "Accepted": len(standing) - len(open_ones),
    }
    tiles = [f"<div><dt>{name}</dt><dd>{each:,}</dd></div>" for name, each in figures.items()]
    tiles += [
        f"<div class=wide><dt>Amount open</dt><dd>{total}</dd></div>"
        for total in _totals(open_ones)
    ]
    shares = {name: f"<b>{each['count']:,}</b> of {each['of']:,}" for name, each in score.items()}
    said = (
        f"Settled: {shares['cleared']} found in the last {scores.WINDOW.days} days."
        f" On time: {shares['timely']} checks. Run: {shares['complete']} checks."
    )
    return f"<dl>{''.join(tiles)}</dl><p class=score>{said}</p>"


def _severity(severity: Severity, said: str, standing: Sequence[Row], at: datetime) -> str:
    rows = _of(severity, standing)
    head = f'<h3 class="{severity}">{severity.capitalize()} <span>{len(rows)}</span></h3>'
    if not rows:
        return f'{head}<p class="none">None.</p>'
    body = [
        _tr(
            [
                _check(row),
                f"{_text(row['subject'])}{_difference(row)}",
                _text(row["owner_name"] or row["owner"]),
                _when(row, at),
            ],
            [_amount(row)],
        )
        for row in rows
    ]
    totals = "<br>".join(_totals(rows))
    foot = f"<tr><td colspan=4>Together</td><td class=n>{totals}</td></tr>" if totals else ""
    words = ["Check", "What does not agree", "Owner", "Open for"]
    return f"{head}<p>{said}</p>{_table(words, ['Amount'], body, foot, 'standing')}"


def _when(row: Row, at: datetime) -> str:
    """Return for how long it stands, what people said of it, and by when it is to be settled."""
    lines = [_age(row["age_seconds"])]
    if row["status"] != OPEN:
        lines.append(f"<small>{escape(row['status'].replace('_', ' '))}</small>")
    if row["due_at"] is not None:
        late = " class=late" if row["due_at"] < at else ""
        lines.append(f"<small{late}>due {row['due_at']:%-d %b %Y}</small>")
    return "".join(lines)


def _settled(rows: Sequence[Row]) -> str:
    if not rows:
        return '<p class="none">Nothing.</p>'
    body = [
        _tr(
            [
                _check(row),
                _text(row["subject"]),
                _text(row["heal_action"] or "gone when looked at again"),
            ],
            [f"{row['settled_at']:%-d %b, %H:%M}", _amount(row)],
        )
        for row in rows
    ]
    return _table(["Check", "Subject", "Settled by"], ["At (UTC)", "Amount"], body, "", "settled")


def _checks(rows: Sequence[Row]) -> str:
    names = ("scanned", "matched", "found", "healed", "accepted")
    body = [
        _tr(
            [_check(row), f"{_text(row['title'])}<small>{_text(row['problem'])}</small>"],
            [f"{row[name]:,}" for name in names],
            bad=bool(row["failed"] or row["problem"]),
        )
        for row in rows
    ]
    words, numbers = ["Check", "Looks for"], [name.capitalize() for name in names]
    return _table(words, numbers, body, "", "checks")


def _check(row: Row) -> str:
    name, _, part = row["check"].partition(".")
    return f"<b>{escape(name)}</b><small>{escape(part)}</small>"


def _of(severity: Severity, rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["severity"] == severity]


def _difference(row: Row) -> str:
    """Return what should be, and what is."""
    told = {name: row[name] for name in ("expected", "actual") if row[name] is not None}
    lines = [
        f"<dt>{name}</dt><dd>{_text(in_words(value, row['currency']))}</dd>"
        for name, value in told.items()
    ]
    return f"<dl class=differs>{''.join(lines)}</dl>" if lines else ""


def _totals(rows: Iterable[Row]) -> list[str]:
    """Return what the amounts of rows come to, a currency each."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["amount_minor"] is not None and row["currency"] is not None:
            sums[row["currency"]] += row["amount_minor"]
    return [money_of(minor, currency) for currency, minor in sorted(sums.items())]


def _amount(row: Row) -> str:
    if row["amount_minor"] is None or row["currency"] is None:
        return ""
    return money_of(row["amount_minor"], row["currency"])


def _age(seconds: int) -> str:
    days, hours = divmod(seconds // 3600, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h" if hours else f"{seconds // 60} min"


def _day(at: datetime) -> str:
    return f"{at:%A, %-d %B %Y, %H:%M} UTC"


def _plural(noun: str, rows: Sequence[Any]) -> str:
    return noun if len(rows) == 1 or noun == Severity.CRITICAL else f"{noun}s"


def _text(value: Any) -> str:
    return escape("" if value is None else str(value))


def _table(
    words: Sequence[str], numbers: Sequence[str], rows: Sequence[str], foot: str, kind: str
) -> str:
    head = "".join(f"<th>{each}</th>" for each in words)
    head += "".join(f"<th class=n>{each}</th>" for each in numbers)
    foot = f"<tfoot>{foot}</tfoot>" if foot else ""
    body = f"<tbody>{''.join(rows)}</tbody>"
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead>{body}{foot}</table>'


def _tr(words: Sequence[str], numbers: Sequence[str], *, bad: bool = False) -> str:
    """Return a row of cells that are HTML already."""
    cells = "".join(f"<td>{each}</td>" for each in words)
    cells += "".join(f"<td class=n>{each}</td>" for each in numbers)
    return f"<tr class=bad>{cells}</tr>" if bad else f"<tr>{cells}</tr>"
