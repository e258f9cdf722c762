"""The report of a run: what was looked at, what agrees, what is open with its age and amount."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any

from sqlalchemy import Connection, select

from engine.money import format_amount
from reconciler import scores
from reconciler.checks import CHECKS
from reconciler.discrepancies import OPEN
from reconciler.runs import show
from reconciler.tables import discrepancies, runs

ROWS_MAX = 1000
#: Of what was settled the newest so many; how many there were is in the score.
SETTLED_MAX = 100
_STYLE = """body{font:14px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:60rem;color:#222}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #ddd;vertical-align:top;
overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
tr.bad td{background:#fdecea}@media print{body{margin:0;max-width:none;font-size:10pt}
thead{display:table-header-group}tr{break-inside:avoid}}"""

Row = dict[str, Any]


def gather(connection: Connection, now: datetime, run_id: str | None = None) -> Row:
    """Return ``runs`` of the call a run belongs to, else the newest of each check.

    With them ``discrepancies`` that stand, those ``settled`` within the window, newest first, and
    the ``score``. Raises NotFound for an unknown run.
    """
    if run_id is None:
        wanted = runs.c.id.in_(_newest(connection))
    else:
        wanted = runs.c.batch_id == show(connection, run_id)["batch_id"]
    rows = [dict(row) for row in connection.execute(select(runs).where(wanted)).mappings()]
    for row in rows:
        row["title"] = CHECKS[row["check"]].title if row["check"] in CHECKS else ""
        row["matched"] = max(0, row["scanned"] - row["found"])
    rows.sort(key=lambda row: str(row["check"]))
    return {
        "at": now,
        "since": now - scores.WINDOW,
        "score": scores.score(connection, now, len({row["check"] for row in rows})),
        "runs": rows,
        "discrepancies": _standing(connection, now),
        "settled": _settled(connection, now),
    }


def _standing(connection: Connection, now: datetime) -> list[Row]:
    open_now = (
        select(discrepancies)
        .where(discrepancies.c.settled_at.is_(None))
        .order_by(discrepancies.c.check, discrepancies.c.first_seen_at)
        .limit(ROWS_MAX)
    )
    return [
        {**row, "age_seconds": int((now - row["first_seen_at"]).total_seconds())}
        for row in connection.execute(open_now).mappings()
    ]


def _settled(connection: Connection, now: datetime) -> list[Row]:
    settled_at = discrepancies.c.settled_at
    query = select(discrepancies).where(settled_at >= now - scores.WINDOW)
    newest = query.order_by(settled_at.desc(), discrepancies.c.id.desc()).limit(SETTLED_MAX)
    return [dict(row) for row in connection.execute(newest).mappings()]


def _newest(connection: Connection) -> list[str]:
    """Return the newest run of each check: a probe of the index each."""
    found = []
    for check in CHECKS:
        mine = select(runs.c.id).where(runs.c.check == check, ~runs.c.dry_run)
        found.append(connection.execute(mine.order_by(runs.c.as_of.desc()).limit(1)).scalar())
    return [run_id for run_id in found if run_id is not None]


def page(report: Row) -> str:
    """Return a report as one HTML page that needs nothing else, made to be printed; pure."""
    ran = [
        _tr(
            [row["check"], row["title"]],
            [row[name] for name in ("scanned", "matched", "found", "healed", "accepted")],
            bad=bool(row["failed"] or row["problem"]),
        )
        for row in report["runs"]
    ]
    stands = [
        _tr(
            [row["check"], row["subject"], row["status"], row["severity"]],
            [_age(row["age_seconds"]), _amount(row)],
            bad=row["status"] == OPEN,
        )
        for row in report["discrepancies"]
    ]
    mended = [
        _tr(
            [row["check"], row["subject"], row["heal_action"], row["heal_reference"] or ""],
            [f"{row['settled_at']:%m-%d %H:%M}Z", _amount(row)],
            bad=False,
        )
        for row in report["settled"]
    ]
    at = f"{report['at']:%Y-%m-%d %H:%M:%S}Z"
    first = _table(
        ["Check", "Looks for"], ["Scanned", "Matched", "Found", "Healed", "Accepted"], ran
    )
    second = _table(["Check", "Subject", "Status", "Severity"], ["Age", "Amount"], stands)
    third = _table(["Check", "Subject", "Healed by", "With"], ["At", "Amount"], mended)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Reconciliation {at}</title>'
        f"<style>{_STYLE}</style><h1>Reconciliation, {at}</h1>"
        f"<p>{scores.in_words(report['score']).capitalize()}.</p>{first}"
        f"<h2>What stands</h2>{second if stands else '<p>Everything agrees.</p>'}"
        f"<h2>Settled since {report['since']:%Y-%m-%d}</h2>"
        f"{third if mended else '<p>Nothing.</p>'}</html>"
    )


def _amount(row: Row) -> str:
    if row["amount_minor"] is None or row["currency"] is None:
        return ""
    amount = Decimal(format_amount(row["amount_minor"], row["currency"]))
    return f"{amount:,} {row['currency']}"


def _age(seconds: int) -> str:
    days, hours = divmod(seconds // 3600, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h" if hours else f"{seconds // 60} min"


def _table(words: list[str], numbers: list[str], rows: list[str]) -> str:
    head = "".join(f"<th>{each}</th>" for each in words)
    head += "".join(f'<th class="n">{each}</th>' for each in numbers)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _tr(words: list[Any], numbers: list[Any], *, bad: bool) -> str:
    cells = "".join(f"<td>{escape(str(each))}</td>" for each in words)
    cells += "".join(f'<td class="n">{escape(str(each))}</td>' for each in numbers)
    return f'<tr class="bad">{cells}</tr>' if bad else f"<tr>{cells}</tr>"
