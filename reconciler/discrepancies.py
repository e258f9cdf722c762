"""Discrepancies: what did not agree, open until it is healed, judged by people, or gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from engine.ids import new_id
from engine.unit_of_work import UnitOfWork
from reconciler import discrepancy_events
from reconciler.check import Check, Finding, Severity
from reconciler.tables import discrepancies, discrepancy_log

ROWS_PER_RUN = 1000
OPEN = "open"
HEALED = "healed"
ACCEPTED = "accepted"
FALSE_POSITIVE = "false_positive"
STATUSES = (OPEN, HEALED, ACCEPTED, FALSE_POSITIVE)
#: What people said about it stands for as long as it looks the same.
JUDGED = (ACCEPTED, FALSE_POSITIVE)
GONE = "no longer found by a later look"
#: What a run that finds it again writes anew where something changed.
_RENEWED = (
    "severity",
    "policy",
    "expected",
    "actual",
    "key",
    "amount_minor",
    "currency",
    "status",
    "heal_action",
    "heal_reference",
    "last_run_id",
    "last_seen_at",
    "settled_at",
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Noting:
    """The run that notes, and its check; without a run it is a person, and ``why`` says so."""

    check: Check
    run_id: str | None
    why: str | None = None


def note(
    work: UnitOfWork,
    noting: Noting,
    findings: Sequence[Finding],
    healed: Mapping[str, Finding] | None = None,
) -> None:
    """Write down what a run found, and what of it is healed; routine work is no discrepancy.

    What is new, or looks other than when it was accepted, and fails the run, is told to the
    platform owner, and the check's own alarm acts on it.
    """
    check, healed = noting.check, healed or {}
    seen = {
        finding.subject: finding
        for finding in findings[:ROWS_PER_RUN]
        if check.severity_of(finding) is not Severity.ROUTINE
    }
    known = standing(work.connection, check.id, seen)
    fresh = {subject: finding for subject, finding in seen.items() if subject not in known}
    added = _add(work, [_row(work, noting, each, healed) for each in fresh.values()])
    news = [(added[subject], fresh[subject]) for subject in fresh if subject in added]
    reopened = _see_again(work, noting, known, seen, healed)
    left = [(row_id, each) for row_id, each in news if each.subject not in healed]
    mended = [(row_id, each) for row_id, each in news if each.subject in healed]
    _log(work, noting, [row_id for row_id, _ in left], "opened")
    _log(work, noting, [row_id for row_id, _ in mended], "healed", noting.why)
    discrepancy_events.tell(work, check, [*left, *reopened])


def tolerated(connection: Connection, check: Check, findings: Iterable[Finding]) -> set[str]:
    """Return the subjects that people have judged, and that look as they did then."""
    seen = {finding.subject: finding for finding in findings}
    known = standing(connection, check.id, seen)
    return {
        subject
        for subject, row in known.items()
        if row["status"] in JUDGED and not _differs(row, seen[subject])
    }


def standing(connection: Connection, check_id: str, subjects: Collection[str]) -> dict[str, Row]:
    """Return the rows that stand for these subjects of a check."""
    if not subjects:
        return {}
    query = select(discrepancies).where(
        discrepancies.c.check == check_id,
        discrepancies.c.settled_at.is_(None),
        discrepancies.c.subject.in_(list(subjects)),
    )
    return {row["subject"]: dict(row) for row in connection.execute(query).mappings()}


def standing_keys(connection: Connection, check_id: str) -> dict[str, Any]:
    """Return id and key of what stands of a check, longest unseen first, as many as a run notes."""
    query = (
        select(discrepancies.c.id, discrepancies.c.key)
        .where(discrepancies.c.check == check_id, discrepancies.c.settled_at.is_(None))
        .order_by(discrepancies.c.last_seen_at, discrepancies.c.id)
        .limit(ROWS_PER_RUN)
    )
    return {row.id: row.key for row in connection.execute(query)}


def settle_gone(work: UnitOfWork, noting: Noting, only: Collection[str] | None = None) -> int:
    """Close what this run looked for and did not find; ``only`` these rows where it looked at few.

    An open one is healed by whatever mended it; what people judged keeps their word.
    """
    unseen = (
        (discrepancies.c.check == noting.check.id)
        & discrepancies.c.settled_at.is_(None)
        & or_(discrepancies.c.last_run_id.is_(None), discrepancies.c.last_run_id != noting.run_id)
    )
    if only is not None:
        unseen &= discrepancies.c.id.in_(list(only))
    ids = list(work.connection.execute(select(discrepancies.c.id).where(unseen)).scalars())
    mine = discrepancies.c.id.in_(ids)
    closed = {"settled_at": work.now, "heal_action": GONE, "last_run_id": noting.run_id}
    work.connection.execute(update(discrepancies).where(mine, unseen).values(closed))
    healed = mine & (discrepancies.c.status == OPEN)
    work.connection.execute(update(discrepancies).where(healed).values(status=HEALED))
    _log(work, noting, ids, "gone", GONE)
    return len(ids)


def _see_again(
    work: UnitOfWork,
    noting: Noting,
    known: Mapping[str, Row],
    seen: Mapping[str, Finding],
    healed: Mapping[str, Finding],
) -> list[tuple[str, Finding]]:
    """Bring the rows that stood already up to date; return those that are open anew."""
    changed = [each for each in known if each in healed or _differs(known[each], seen[each])]
    same = [row["id"] for subject, row in known.items() if subject not in changed]
    if same:
        touched = {"last_seen_at": work.now, "last_run_id": noting.run_id}
        mine = discrepancies.c.id.in_(same)
        work.connection.execute(update(discrepancies).where(mine).values(touched))
    if changed:
        rows = [
            _row(work, noting, seen[subject], healed) | {"row_id": known[subject]["id"]}
            for subject in changed
        ]
        values: dict[str, Any] = {name: bindparam(name) for name in _RENEWED}
        one = update(discrepancies).where(discrepancies.c.id == bindparam("row_id"))
        wanted = ("row_id", *_RENEWED)
        work.connection.execute(
            one.values(values), [{name: row[name] for name in wanted} for row in rows]
        )
    reopened = [
        (known[subject]["id"], seen[subject])
        for subject in changed
        if subject not in healed and known[subject]["status"] in JUDGED
    ]
    _log(work, noting, [row_id for row_id, _ in reopened], "reopened", "it looks different now")
    ids = [known[each]["id"] for each in known if each in healed]
    _log(work, noting, ids, "healed", noting.why)
    return reopened


def _differs(row: Row, finding: Finding) -> bool:
    now = _document([finding.expected, finding.actual])
    return bool([row["expected"], row["actual"]] != now)


def _document(value: Any) -> Any:
    """Return a value as it comes back from a JSON column."""
    return orjson.loads(orjson.dumps(value))


def _add(work: UnitOfWork, rows: Sequence[Row]) -> dict[str, str]:
    """Insert rows unless another run that is at it noted the same; return id by subject."""
    if not rows:
        return {}
    sqlite_used = work.connection.dialect.name == "sqlite"
    dialect_insert = sqlite.insert if sqlite_used else postgresql.insert
    statement = dialect_insert(discrepancies).on_conflict_do_nothing()
    made = work.connection.execute(
        statement.returning(discrepancies.c.subject, discrepancies.c.id), list(rows)
    )
    return {row.subject: row.id for row in made}


def _row(work: UnitOfWork, noting: Noting, finding: Finding, healed: Mapping[str, Finding]) -> Row:
    check, mended = noting.check, healed.get(finding.subject)
    return {
        "id": new_id(),
        "check": check.id,
        "subject": finding.subject,
        "severity": check.severity_of(finding),
        "policy": check.policy_of(finding),
        "tenant_id": finding.tenant_id,
        "expected": _document(finding.expected),
        "actual": _document(finding.actual),
        "key": _document(finding.key),
        "amount_minor": finding.amount_minor,
        "currency": finding.currency,
        "owner": finding.owner,
        "due_at": finding.due_at,
        "status": OPEN if mended is None else HEALED,
        "heal_action": None if mended is None else f"{check.id} healed it",
        "heal_reference": None if mended is None else mended.reference,
        "last_run_id": noting.run_id,
        "first_seen_at": work.now,
        "last_seen_at": work.now,
        "settled_at": None if mended is None else work.now,
    }


def _log(
    work: UnitOfWork, noting: Noting, ids: Sequence[str], action: str, text: str | None = None
) -> None:
    rows = [
        {
            "id": new_id(),
            "discrepancy_id": row_id,
            "run_id": noting.run_id,
            "action": action,
            "actor": work.actor,
            "note": text,
            "at": work.now,
        }
        for row_id in ids
    ]
    if rows:
        work.connection.execute(insert(discrepancy_log), rows)
