"""How long the reconciler's own records are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, tuple_

from dispatcher.retention import Key, Step, older
from engine.upstream_tables import inbound_messages
from reconciler.tables import runs


def runs_step(kept: timedelta) -> Step:
    """Return what removes runs of checks; discrepancies stay."""
    return Step(name="runs", kept=kept, table=runs, order=("id",), chosen=_runs, remove=_remove)


def inbound_step(kept: timedelta) -> Step:
    """Return what forgets callbacks of upstreams: no sender tries one again for as long."""
    return Step(
        name="inbound_messages",
        kept=kept,
        table=inbound_messages,
        order=("received_at", "upstream_id", "message_id"),
        chosen=lambda cutoff: inbound_messages.c.received_at < cutoff,
        remove=_forget,
    )


def _forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    mine = tuple_(inbound_messages.c.upstream_id, inbound_messages.c.message_id)
    connection.execute(delete(inbound_messages).where(mine.in_([key[1:] for key in keys])))
    return {}


def _runs(cutoff: datetime) -> ColumnElement[bool]:
    return and_(older(runs.c.id, cutoff), runs.c.started_at < cutoff)


def _remove(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    connection.execute(delete(runs).where(runs.c.id.in_([key[0] for key in keys])))
    return {}
