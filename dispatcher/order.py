"""Strict order per subject: who must wait for whom, and until when.

A later event of a subject waits while an earlier one is open. It is not polled: it is moved behind
the one it waits for, so an idle mailbox stays asleep.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, bindparam, text

from dispatcher.due import Due
from engine.types import UtcTime

#: A delivery comes this far behind the one it waits for.
BEHIND = timedelta(milliseconds=1)


class Ordering(StrEnum):
    """What an endpoint wants delivered strictly one after the other."""

    NONE = "none"  #: nothing
    ENDPOINT = "endpoint"  #: everything
    SUBJECT = "subject"  #: the events of one order, wallet, product …


_BLOCKERS = """
    SELECT CAST(e.id AS text) AS event_id, min(d2.next_attempt_at) AS blocked_until
    FROM events e
    JOIN events e2 ON e2.subject_id = e.subject_id AND e2.sequence < e.sequence
        AND e2.tenant_id = e.tenant_id AND e2.subject_type = e.subject_type
    JOIN deliveries d2 ON d2.event_id = e2.id AND d2.endpoint_id = {endpoint}
        AND d2.next_attempt_at IS NOT NULL
    WHERE e.id IN :event_ids AND NOT (e2.id IN :event_ids)
    GROUP BY e.id"""


def blockers(connection: Connection, endpoint_id: str, dues: Sequence[Due]) -> dict[str, datetime]:
    """Return, by event id, when the earliest open delivery of an earlier event elsewhere is due.

    Elsewhere is not among ``dues``: those wait for each other by their order.
    """
    if not dues:
        return {}
    postgresql = connection.dialect.name == "postgresql"
    endpoint = "CAST(:endpoint_id AS uuid)" if postgresql else ":endpoint_id"
    ids = "CAST(:event_ids AS uuid[])" if postgresql else ":event_ids"
    statement = text(
        _BLOCKERS.format(endpoint=endpoint).replace("IN :event_ids", f"= ANY({ids})")
        if postgresql
        else _BLOCKERS.format(endpoint=endpoint)
    ).columns(blocked_until=UtcTime())
    if not postgresql:
        statement = statement.bindparams(bindparam("event_ids", expanding=True))
    values = {"endpoint_id": endpoint_id, "event_ids": [due.event_id for due in dues]}
    return {row.event_id: row.blocked_until for row in connection.execute(statement, values)}


def arrange(
    dues: Sequence[Due], blocked: Mapping[str, datetime]
) -> tuple[list[Due], list[tuple[Due, datetime]]]:
    """Put a slice in order; return what to attempt, and what to move behind its head and to when.

    What waits for a delivery of the same slice stays in it, behind that one.
    """
    by_subject: dict[str, list[Due]] = defaultdict(list)
    for due in dues:
        by_subject[due.subject_id].append(due)
    attempt: list[Due] = []
    behind: list[tuple[Due, datetime]] = []
    for chain in by_subject.values():
        chain.sort(key=lambda due: due.sequence)
        # An earlier one may stand in another slice: who waits for it, and all behind, go there.
        blocked_at = next((n for n, due in enumerate(chain) if due.event_id in blocked), len(chain))
        attempt += chain[:blocked_at]
        behind += [
            (due, blocked[chain[blocked_at].event_id] + BEHIND) for due in chain[blocked_at:]
        ]
    return attempt, behind
