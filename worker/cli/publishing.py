"""Publish many events of one kind: batches, each a transaction, with progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import BATCH_ROWS_MAX, EventDraft, publish_many
from worker.bootstrap import Application
from worker.cli.opening import operator
from worker.cli.output import progress


def publish_events(
    application: Application,
    *,
    tenant_id: str,
    type_name: str,
    data: Mapping[str, Any],
    dedupe_key: str | None,
    count: int,
) -> list[str]:
    """Publish ``count`` events, 1,000 a transaction, and return their ids in order.

    With a key and more than one event the keys are ``key-1`` to ``key-N``: stopped and run again,
    the events are still N.
    """
    actor = operator()
    ids: list[str] = []
    with progress() as bar:
        task = bar.add_task("Publishing events", total=count, visible=count > BATCH_ROWS_MAX)
        for start in range(0, count, BATCH_ROWS_MAX):
            drafts = [
                EventDraft(
                    tenant_id=tenant_id,
                    type=type_name,
                    data=data,
                    dedupe_key=_key(dedupe_key, number, count),
                    raised_by=actor,
                )
                for number in range(start + 1, min(start + BATCH_ROWS_MAX, count) + 1)
            ]
            with application.units.begin(actor=actor) as work:
                ids += publish_many(work.connection, drafts)
            application.hints.relay()
            bar.update(task, completed=len(ids))
    return ids


def _key(dedupe_key: str | None, number: int, count: int) -> str | None:
    return dedupe_key if dedupe_key is None or count == 1 else f"{dedupe_key}-{number}"
