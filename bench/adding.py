"""What publishing adds to a caller's own commit, one event at a time and ten thousand at once."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from sqlalchemy import Connection, update

from bench.ground import fresh_ground
from bench.lines import Figures
from bench.stand import BODY, EVENT, Stand, standing
from engine.events import EventDraft, publish_many
from engine.tables import tenants

ROUNDS = 300
BULK = 10_000


def adding(rounds: int = ROUNDS, bulk: int = BULK) -> Figures:
    """Time a commit that changes one row, the same with one event, and one call with ``bulk``."""
    with fresh_ground() as (folder, settings), standing(folder, **settings) as stand:
        stand.add_endpoints(9, 10)
        tenant_ids = stand.tenant_ids

        def change(connection: Connection, number: int) -> None:
            mine = tenants.c.id == tenant_ids[number % len(tenant_ids)]
            connection.execute(update(tenants).where(mine).values(name=f"bench {number}"))

        def change_and_tell(connection: Connection, number: int) -> None:
            change(connection, number)
            publish_many(connection, [_draft(tenant_ids, number)])

        alone, told = _medians_ms(stand, (change, change_and_tell), rounds)
        drafts = [_draft(tenant_ids, number) for number in range(bulk)]
        began = time.perf_counter()
        with stand.application.database.write() as connection:
            publish_many(connection, drafts)
        seconds = time.perf_counter() - began
        return {
            "commit_ms": alone,
            "commit_with_event_ms": told,
            "added_ms": told - alone,
            "bulk_events": bulk,
            "bulk_seconds": seconds,
        }


def _draft(tenant_ids: list[str], number: int) -> EventDraft:
    return EventDraft(tenant_id=tenant_ids[number % len(tenant_ids)], type=EVENT, data=BODY)


def _medians_ms(
    stand: Stand, changes: tuple[Callable[[Connection, int], None], ...], rounds: int
) -> list[float]:
    """Return the median of each kind of transaction; they take turns, so noise meets all alike."""
    took: list[list[float]] = [[] for _ in changes]
    for number in range(rounds):
        for kind, change in enumerate(changes):
            began = time.perf_counter()
            with stand.application.database.write() as connection:
                change(connection, number)
            took[kind].append((time.perf_counter() - began) * 1000)
    return [statistics.median(each) for each in took]


def main() -> None:
    """Measure and print one JSON document."""
    print(json.dumps(adding(), indent=1))


if __name__ == "__main__":
    main()
