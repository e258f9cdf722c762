"""The settle writer: one thread that commits what drains produce, up to 250 rows at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from config.clock import Clock
from config.log import get_logger
from dispatcher.facts import (
    UNWATCHED,
    DeliveryParked,
    EndpointDisabled,
    Fact,
    LeaseLost,
    SettleCommitted,
    Watch,
)
from dispatcher.health import Notice
from dispatcher.mailboxes import Lease, release
from dispatcher.notices import tell
from dispatcher.settle import defer, keep_bodies, settle
from dispatcher.settle_batch import Batch, Item, Kept, Parting, Release
from dispatcher.settlement import Deferral, Settlement
from engine.again import again
from engine.database import Database, away, held_up, wait_for_locks
from engine.errors import DatabaseUnavailable

log = get_logger("settle")

ROWS_PER_TRANSACTION = 250
#: Settlements that may wait before the drains are held up: a kill makes each of them again.
BACKLOG_MAX = 250
#: Commits are at least this far apart, so that rows gather into batches.
COMMIT_INTERVAL_SECONDS = 0.025
RETRY_SECONDS = 0.5
#: A row that somebody holds longer is waited for apart from the others.
LOCK_SECONDS = 1.0
#: Why a delivery was given up whose attempt could not be written down.
REFUSED = "settle_refused"


@dataclass(slots=True)
class _Written:
    """What one commit came to: when mailboxes given back are due, endpoints it disabled and why."""

    due_at: dict[str, datetime | None] = field(default_factory=dict)
    disabled: list[tuple[str, str]] = field(default_factory=list)


class SettleWriter:
    """Takes settlements and releases from the event loop, in order, and commits them in groups."""

    def __init__(self, database: Database, clock: Clock, watch: Watch = UNWATCHED) -> None:
        self.settled = 0
        self._database = database
        self._clock = clock
        self._watch = watch
        self._items: deque[Item] = deque()
        #: What a lock of somebody else's holds up, by mailbox.
        self._locked: dict[str, Batch] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="settle-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room: asyncio.Event | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; ``loop`` is where the drains run."""
        self._loop = loop
        self._room = asyncio.Event()
        self._room.set()
        self._thread.start()

    def stop(self, timeout_seconds: float) -> bool:
        """Commit what is left and end; False when that took longer than allowed."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    async def put(self, item: Settlement | Deferral | Kept) -> None:
        """Take one settlement; waits only while the writer is far behind."""
        assert self._room is not None
        self._items.append(item)
        if not self._wake.is_set():
            self._wake.set()
        if len(self._items) > BACKLOG_MAX:
            self._room.clear()
            await self._room.wait()

    async def release(
        self, endpoint_id: str, lease_token: int, parting: Parting
    ) -> datetime | None:
        """Give a mailbox back behind everything put before; once committed, return when it is due.

        None where nothing is open, or where the mailbox was another's already.
        """
        assert self._loop is not None
        done: asyncio.Future[datetime | None] = self._loop.create_future()
        self._items.append(Release(endpoint_id, lease_token, parting, done))
        self._wake.set()
        return await done

    def give_back(self, leases: Sequence[Lease]) -> None:
        """Give mailboxes back untried as soon as the database answers: their holder lives."""
        self._items.extend(
            [Release(each.endpoint_id, each.token, Parting(tried=False), None) for each in leases]
        )
        self._wake.set()

    def _run(self) -> None:
        last_commit = 0.0
        while True:
            self._wake.wait(RETRY_SECONDS if self._locked else None)
            early = last_commit + COMMIT_INTERVAL_SECONDS - time.monotonic()
            if early > 0 and len(self._items) < ROWS_PER_TRANSACTION and not self._stopping:
                time.sleep(early)
            self._wake.clear()
            while self._items:
                self._commit(self._take())
                last_commit = time.monotonic()
            self._try_locked()
            if self._stopping and not self._items and not self._locked:
                return

    def _take(self) -> Batch:
        """Return the next group, less what belongs behind a mailbox that is locked."""
        batch = Batch()
        for _ in range(min(len(self._items), ROWS_PER_TRANSACTION)):
            item = self._items.popleft()
            behind = None if isinstance(item, Kept) else self._locked.get(item.endpoint_id)
            (batch if behind is None else behind).add(item)
        return batch

    def _commit(self, batch: Batch) -> None:
        """Write one group, again while the database is away: what happened must be kept.

        A group that the database refuses is written item by item: one bad row stops nobody. What
        somebody else's lock holds up waits by itself, and is tried again with every look.
        """
        while batch.size:
            began = time.monotonic()
            try:
                written = again(partial(self._write, batch))
            except (DBAPIError, DatabaseUnavailable) as error:
                if held_up(error):
                    self._commit_around(batch)
                    return
                if away(error):
                    log.warning(
                        "settle.retried", rows=len(batch.settlements), reason=str(error)[:200]
                    )
                    time.sleep(RETRY_SECONDS)
                    continue
                if batch.size > 1:
                    for part in batch.split():
                        self._commit(part)
                    return
                log.warning("settle.refused", rows=1, reason=str(error)[:200])
                self._park(batch.settlements)
                written = _Written()
            self._tell(batch, written, time.monotonic() - began)
            return

    def _commit_around(self, batch: Batch) -> None:
        """Write what no lock holds up, mailbox by mailbox, and set the rest aside."""
        parts = batch.by_mailbox()
        if len(parts) > 1:
            for part in parts.values():
                self._commit(part)
            return
        [(endpoint_id, alone)] = parts.items()
        log.warning("settle.locked", endpoint_id=endpoint_id, rows=alone.size)
        self._locked[endpoint_id] = alone

    def _try_locked(self) -> None:
        """Try again what a lock held up; it is set aside anew where the lock still stands."""
        locked, self._locked = self._locked, {}
        for batch in locked.values():
            self._commit(batch)
        if locked:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._written, [], {})  # what is set aside makes room

    def _tell(self, batch: Batch, written: _Written, duration_seconds: float) -> None:
        self.settled += len(batch.settlements)
        for settlement in batch.settlements:
            self._watch.observe(settlement)
        for fact in _facts(batch, written, duration_seconds):
            self._watch.emit(fact)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._written, batch.releases, written.due_at)

    def _park(self, refused: Sequence[Settlement]) -> None:
        """Give up deliveries whose attempt the database will not take, or they go out for ever."""
        now = self._clock.now()
        parked = [
            Deferral(s.delivery_id, s.endpoint_id, s.lease_token, s.number - 1, None, REFUSED, now)
            for s in refused
        ]
        if parked:
            self._commit(Batch(deferrals=parked))
        for each in parked:
            self._watch.emit(DeliveryParked(delivery_id=each.delivery_id, reason=REFUSED))

    def _write(self, batch: Batch) -> _Written:
        """Write one group in one transaction."""
        now = self._clock.now()
        written = _Written()
        with self._database.write() as connection:
            wait_for_locks(connection, LOCK_SECONDS)
            keep_bodies(connection, batch.bodies)
            written.disabled += settle(connection, batch.settlements, now)
            defer(connection, batch.deferrals)
            plain = [(r.endpoint_id, r.lease_token) for r in batch.releases if r.parting.plain]
            written.due_at |= release(connection, plain)
            # In the one order in which mailbox rows are locked.
            for each in sorted(batch.releases, key=lambda one: one.endpoint_id):
                if not each.parting.plain:
                    _part(connection, each, now, written)
        return written

    def _written(self, releases: list[Release], due_at: dict[str, datetime | None]) -> None:
        assert self._room is not None
        if len(self._items) < BACKLOG_MAX // 2:
            self._room.set()
        for each in releases:
            if each.done is not None and not each.done.done():
                each.done.set_result(due_at.get(each.endpoint_id))


def _part(connection: Connection, each: Release, now: datetime, written: _Written) -> None:
    """Give one mailbox back with what its drain learned of the endpoint."""
    parting = each.parting
    written.due_at |= release(
        connection,
        [(each.endpoint_id, each.lease_token)],
        blocked_until=parting.blocked_until,
        health=parting.health,
        tried=parting.tried,
    )
    if parting.failing is None:
        return
    if tell(connection, each.endpoint_id, parting.failing, parting.told, now) is Notice.DISABLED:
        written.disabled.append((each.endpoint_id, "failing"))


def _facts(batch: Batch, written: _Written, duration_seconds: float) -> Iterator[Fact]:
    """Yield what one commit says, besides its attempts."""
    yield SettleCommitted(
        rows=len(batch.settlements),
        releases=len(batch.releases),
        duration_seconds=duration_seconds,
    )
    for endpoint_id, reason in written.disabled:
        yield EndpointDisabled(endpoint_id=endpoint_id, reason=reason)
    for each in batch.releases:
        if each.endpoint_id not in written.due_at:
            yield LeaseLost(endpoint_id=each.endpoint_id, lease_token=each.lease_token)
