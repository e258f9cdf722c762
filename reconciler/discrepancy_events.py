"""Who hears of a discrepancy: the platform owner above whose rows it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select

from engine.events import EventDraft, iso_seconds
from engine.tables import tenants
from engine.unit_of_work import UnitOfWork
from reconciler.check import HEALS_MAX, Check, Finding

#: More at once is one defect seen many times: the rest stands in the list.
EVENTS_PER_RUN = HEALS_MAX


def tell(work: UnitOfWork, check: Check, opened: Sequence[tuple[str, Finding]]) -> None:
    """Let the check's alarm act, and raise an event for each of what fails the run."""
    if check.alarm is not None and opened:
        check.alarm(work, [each for _, each in opened if each.subject != check.subject])
    grave = [(row_id, finding) for row_id, finding in opened if check.fails(finding)]
    if not grave:
        return
    # One defect seen many times: that it is too much to heal says it all.
    alarms = [each for each in grave if each[1].subject == check.subject]
    grave = alarms or grave
    owners = _owners(work, {finding.tenant_id for _, finding in grave})
    for row_id, finding in grave[:EVENTS_PER_RUN]:
        owner_id = owners.get(finding.tenant_id)
        if owner_id is not None:
            work.raise_event(_draft(work, check, row_id, finding, owner_id))


def _owners(work: UnitOfWork, tenant_ids: Iterable[str | None]) -> dict[str | None, str]:
    """Return the root above each tenant; what is nobody's goes to the one root there is."""
    named = [tenant_id for tenant_id in tenant_ids if tenant_id is not None]
    query = select(tenants.c.id, tenants.c.path).where(tenants.c.id.in_(named))
    found: dict[str | None, str] = {
        row.id: row.path.split("/")[0] for row in work.connection.execute(query)
    }
    # With several platforms in one installation, none is told what may be another's.
    roots = select(tenants.c.id).where(tenants.c.parent_id.is_(None)).limit(2)
    only = list(work.connection.execute(roots).scalars())
    return found | ({None: only[0]} if len(only) == 1 else {})


def _draft(
    work: UnitOfWork, check: Check, row_id: str, finding: Finding, owner_id: str
) -> EventDraft:
    return EventDraft(
        tenant_id=owner_id,
        type="reconciliation.discrepancy",
        subject_type="discrepancy",
        subject_id=row_id,
        dedupe_key=f"discrepancy:{row_id}:{iso_seconds(work.now)}",
        raised_by=work.actor,
        data={
            "discrepancy_id": row_id,
            "check": check.id,
            "title": check.title,
            "subject": finding.subject,
            "severity": check.severity_of(finding),
            "expected": finding.expected,
            "actual": finding.actual,
        },
    )
