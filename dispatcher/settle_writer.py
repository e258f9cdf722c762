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
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

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
from dispatcher.health import Failing, Health, Notice
from dispatcher.mailboxes import Lease, release
from dispatcher.notices import tell
from dispatcher.settle import defer, keep_bodies, settle
from dispatcher.settlement import Deferral, Settlement
from engine.again import again
from engine.database import Database
from engine.errors import DatabaseUnavailable

log = get_logger("settle")

ROWS_PER_TRANSACTION = 250
#: Settlements that may wait before the drains are held up: a kill makes each of them again.
BACKLOG_MAX = 250
#: Commits are at least this far apart, so that rows gather into batches.
COMMIT_INTERVAL_SECONDS = 0.025
RETRY_SECONDS = 0.5
#: Why a delivery was given up whose attempt could not be written down.
REFUSED = "settle_refused"


class Parting(NamedTuple):
    """What a drain leaves behind, besides what it settled.

    ``health`` and ``failing`` are None where nothing is to be written; ``told`` is the notice the
    owner had at the beginning. Of what was not ``tried`` the crashes still count.
    """

    blocked_until: datetime | None = None
    health: Health | None = None
    failing: Failing | None = None
    told: Notice = Notice.NONE
    tried: bool = True

    @property
    def plain(self) -> bool:
        """Whether the mailbox just goes back."""
        return self.tried and self[:3] == (None, None, None)


@dataclass(slots=True)
class Release:
    """The end of one drain: its mailbox is given back after everything it settled."""

    endpoint_id: str
    lease_token: int
    parting: Parting
    done: asyncio.Future[datetime | None] | None


@dataclass(slots=True)
class Kept:
    """A rendered body to keep."""

    row: dict[str, Any]


@dataclass(slots=True)
class _Batch:
    settlements: list[Settlement] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    deferrals: list[Deferral] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many items it holds."""
        items = (self.bodies, self.settlements, self.deferrals, self.releases)
        return sum(len(each) for each in items)

    def split(self) -> list[_Batch]:
        """Return one batch for each item, in the order in which a batch is written."""
        return [
            *(_Batch(bodies=[each]) for each in self.bodies),
            *(_Batch(settlements=[each]) for each in self.settlements),
            *(_Batch(deferrals=[each]) for each in self.deferrals),
            *(_Batch(releases=[each]) for each in self.releases),
        ]


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
            self._wake.wait()
            early = last_commit + COMMIT_INTERVAL_SECONDS - time.monotonic()
            if early > 0 and len(self._items) < ROWS_PER_TRANSACTION and not self._stopping:
                time.sleep(early)
            self._wake.clear()
            while self._items:
                self._commit(self._take())
                last_commit = time.monotonic()
            if self._stopping and not self._items:
                return

    def _take(self) -> _Batch:
        batch = _Batch()
        for _ in range(min(len(self._items), ROWS_PER_TRANSACTION)):
            item = self._items.popleft()
            if isinstance(item, Settlement):
                batch.settlements.append(item)
            elif isinstance(item, Release):
                batch.releases.append(item)
            elif isinstance(item, Deferral):
                batch.deferrals.append(item)
            else:
                batch.bodies.append(item.row)
        return batch

    def _commit(self, batch: _Batch) -> None:
        """Write one group, again while the database is away: what happened must be kept.

        A group that the database refuses is written item by item: one bad row stops nobody.
        """
        written = _Written()
        while True:
            began = time.monotonic()
            try:
                written = again(partial(self._write, batch))
                break
            except (OperationalError, DatabaseUnavailable) as error:
                log.warning("settle.retried", rows=len(batch.settlements), reason=str(error)[:200])
                time.sleep(RETRY_SECONDS)
            except DBAPIError as error:
                if batch.size > 1:
                    for part in batch.split():
                        self._commit(part)
                    return
                log.warning("settle.refused", rows=1, reason=str(error.orig)[:200])
                self._park(batch.settlements)
                break
        self.settled += len(batch.settlements)
        for settlement in batch.settlements:
            self._watch.observe(settlement)
        for fact in _facts(batch, written, time.monotonic() - began):
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
            self._commit(_Batch(deferrals=parked))
        for each in parked:
            self._watch.emit(DeliveryParked(delivery_id=each.delivery_id, reason=REFUSED))

    def _write(self, batch: _Batch) -> _Written:
        """Write one group in one transaction."""
        now = self._clock.now()
        written = _Written()
        with self._database.write() as connection:
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


def _facts(batch: _Batch, written: _Written, duration_seconds: float) -> Iterator[Fact]:
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


Item = Settlement | Deferral | Release | Kept
