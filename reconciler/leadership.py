"""Leadership: of any number of schedulers one leads, for as long as its lease row says."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, update

from engine.upserts import insert_missing, insert_or_change
from reconciler.tables import leaderships

LEASE = timedelta(seconds=15)
#: Holds a duty that nobody leads: its row is there to be locked.
TURNS = "turns"


def lead(connection: Connection, duty: str, holder: str, now: datetime) -> bool:
    """Take or keep the lead of a duty; False while another holder's lease lasts.

    Losing the lead in the middle of a check is harmless: every heal is guarded by its own row.
    """
    row = {"duty": duty, "holder": holder, "lease_until": now + LEASE}
    if insert_missing(connection, leaderships, [row], ["duty"]):
        return True
    taken = connection.execute(
        update(leaderships)
        .where(leaderships.c.duty == duty)
        .where(or_(leaderships.c.holder == holder, leaderships.c.lease_until < now))
        .values(row)
    )
    return taken.rowcount == 1


def resign(connection: Connection, duty: str, holder: str) -> None:
    """Give the lead up, so that another need not wait for the lease to end."""
    connection.execute(
        delete(leaderships).where(leaderships.c.duty == duty, leaderships.c.holder == holder)
    )


def take_turns(connection: Connection, duty: str, now: datetime) -> None:
    """Wait until no other transaction is at this duty, and keep others out until this one ends."""
    row = {"duty": duty, "holder": TURNS, "lease_until": now}
    insert_or_change(connection, leaderships, row, ["duty"], {"holder": TURNS})
