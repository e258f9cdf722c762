"""How long the reconciler's own records are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete

from dispatcher.retention import Key, Step, older
from reconciler.tables import runs


def runs_step(kept: timedelta) -> Step:
    """Return what removes runs of checks; discrepancies stay."""
    return Step(name="runs", kept=kept, table=runs, order=("id",), chosen=_runs, remove=_remove)


def _runs(cutoff: datetime) -> ColumnElement[bool]:
    return and_(older(runs.c.id, cutoff), runs.c.started_at < cutoff)


def _remove(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    connection.execute(delete(runs).where(runs.c.id.in_([key[0] for key in keys])))
    return {}
