"""How long the reconciler's own records are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, or_, select, tuple_

from dispatcher.retention import Key, Step, older
from engine.upstream_tables import inbound_messages
from reconciler.courier_checks import COURIERS_AGREE, names
from reconciler.discrepancies import JUDGED, OPEN
from reconciler.tables import (
    courier_differences,
    courier_files,
    courier_lines,
    discrepancies,
    runs,
)


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


def courier_steps(kept: timedelta) -> tuple[Step, ...]:
    """Return what removes couriers' files, their lines first: what knows a file or a payment again.

    A file stays whole while anything in it is open, or waits to be looked at.
    """
    return (
        Step(
            name="courier_lines",
            kept=kept,
            table=courier_lines,
            order=("file_id", "line"),
            chosen=lambda cutoff: courier_lines.c.file_id.in_(_files(cutoff)),
            remove=_remove_courier_lines,
        ),
        Step(
            name="courier_differences",
            kept=kept,
            table=courier_differences,
            order=("id",),
            chosen=lambda cutoff: courier_differences.c.file_id.in_(_files(cutoff)),
            remove=_remove_courier_differences,
        ),
        Step(
            name="courier_files",
            kept=kept,
            table=courier_files,
            order=("id",),
            chosen=lambda cutoff: courier_files.c.id.in_(_files(cutoff)),
            remove=_remove_courier_files,
        ),
    )


def _files(cutoff: datetime) -> Select[tuple[str]]:
    """Choose files read before a cutoff of which no difference is needed any more."""
    needed = exists().where(courier_differences.c.file_id == courier_files.c.id, _needed())
    old = and_(older(courier_files.c.id, cutoff), courier_files.c.imported_at < cutoff)
    return select(courier_files.c.id).where(old, ~needed)


def _needed() -> ColumnElement[bool]:
    """Tell which differences a discrepancy speaks of, or will: nobody has judged them yet."""
    spoken = exists().where(
        discrepancies.c.check == COURIERS_AGREE.id,
        discrepancies.c.settled_at.is_(None),
        names(discrepancies.c.subject, courier_differences.c.id),
    )
    judged = spoken.where(discrepancies.c.status.in_(JUDGED))
    waits = courier_differences.c.resolved_at.is_(None) & ~judged
    return or_(spoken.where(discrepancies.c.status == OPEN), waits)


def _remove_courier_lines(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    mine = tuple_(courier_lines.c.file_id, courier_lines.c.line)
    connection.execute(delete(courier_lines).where(mine.in_(list(keys))))
    return {}


def _remove_courier_differences(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    ids = [key[0] for key in keys]
    connection.execute(delete(courier_differences).where(courier_differences.c.id.in_(ids)))
    return {}


def _remove_courier_files(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    """Remove files, and what another process had not yet removed of them."""
    ids = [key[0] for key in keys]
    for table in (courier_lines, courier_differences):
        connection.execute(delete(table).where(table.c.file_id.in_(ids)))
    connection.execute(delete(courier_files).where(courier_files.c.id.in_(ids)))
    return {}


def _forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    mine = tuple_(inbound_messages.c.upstream_id, inbound_messages.c.message_id)
    connection.execute(delete(inbound_messages).where(mine.in_([key[1:] for key in keys])))
    return {}


def _runs(cutoff: datetime) -> ColumnElement[bool]:
    return and_(older(runs.c.id, cutoff), runs.c.started_at < cutoff)


def _remove(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    connection.execute(delete(runs).where(runs.c.id.in_([key[0] for key in keys])))
    return {}
