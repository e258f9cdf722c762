"""One leased mailbox being drained: how many calls at once, in which order, how fast, how long."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from config.clock import Clock
from config.log import get_logger
from dispatcher.attempt import attempt
from dispatcher.due import Due, next_slice
from dispatcher.leasing import DrainSettings, Mailbox, arranged, name_suspect
from dispatcher.limits import KeyedSlots, Pace
from dispatcher.order import BEHIND, Ordering
from dispatcher.outcome import Outcome, Verdict
from dispatcher.settle_writer import Parting, SettleWriter
from dispatcher.settlement import Deferral, Settlement, decide, skip_the_line
from dispatcher.states import DeliveryState, Trigger
from dispatcher.transport import CallbackTransport
from engine.database import Database

log = get_logger("drain")


@dataclass(frozen=True, slots=True)
class DrainTools:
    """What every drain of a process shares."""

    database: Database
    clock: Clock
    transport: CallbackTransport
    writer: SettleWriter
    settings: DrainSettings
    slots: asyncio.Semaphore
    tenants: KeyedSlots
    hosts: KeyedSlots
    executor: Executor
    stopping: Callable[[], bool]


class Pump:
    """Drains one mailbox for one time slice and gives it back."""

    def __init__(self, mailbox: Mailbox, tools: DrainTools) -> None:
        self._mailbox = mailbox
        self._tools = tools
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + tools.settings.slice_seconds
        self._last = mailbox.last
        self._exhausted = mailbox.exhausted
        self._refilling = asyncio.Lock()
        self._health = mailbox.lease.health.at_lease()
        self._failing = mailbox.failing
        self._blocked_until = mailbox.blocked_until
        self._stopped = mailbox.blocked_until is not None
        self._pace = Pace(mailbox.rate_per_second, self._loop.time())
        # Subjects whose turn somebody has, and who waits behind each.
        self._behind: dict[str, deque[Due]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def run(self) -> str | None:
        """Drain until nothing is due or the slice is over; the release follows the last settle.

        Return the endpoint's id when its mailbox is due again: fed meanwhile, or deep.
        The mailbox is released even when the database failed a read: only a process that dies lets
        a lease run out, and that is counted against the mailbox.
        """
        for deferral in self._mailbox.deferrals:
            await self._tools.writer.put(deferral)
        self._widen(len(self._mailbox.queue))
        while self._workers:
            # A copy: a worker that succeeds may add others meanwhile.
            done, _ = await asyncio.wait(set(self._workers), return_when=asyncio.FIRST_COMPLETED)
            self._workers -= done
            for error in filter(None, (task.exception() for task in done)):
                log.warning("drain.cut", endpoint_id=self._held[0], reason=repr(error)[:200])
        due_at = await self._tools.writer.release(*self._held, self._parting())
        return self._held[0] if due_at is not None and due_at <= self._now() else None

    @property
    def _held(self) -> tuple[str, int]:
        return self._mailbox.lease.endpoint_id, self._mailbox.lease.token

    def _widen(self, wanted: int) -> None:
        """Have as many workers as the endpoint's health allows, and no more than are wanted."""
        width = min(self._health.width(self._mailbox.max_in_flight), wanted)
        for _ in range(width - len(self._workers)):
            self._workers.add(self._loop.create_task(self._work()))

    def _parting(self) -> Parting:
        """Say what to remember: only what differs from what the lease found."""
        mailbox = self._mailbox
        if mailbox.rate_per_second is not None and self._blocked_until is None:
            wait_seconds = self._pace.wait_seconds(self._loop.time())
            if wait_seconds > 0:
                self._blocked_until = self._now() + timedelta(seconds=wait_seconds)
        changed = self._health != mailbox.lease.health
        return Parting(
            blocked_until=self._blocked_until,
            health=self._health if changed else None,
            failing=self._failing if self._failing != mailbox.failing else None,
            told=mailbox.told,
        )

    async def _work(self) -> None:
        while (due := await self._next()) is not None:
            if self._mailbox.suspicious:
                await self._in_thread(
                    name_suspect, self._tools.database, self._mailbox.lease, due.delivery_id
                )
            await self._deliver(due)
            if len(self._workers) > self._health.width(self._mailbox.max_in_flight):
                return

    async def _next(self) -> Due | None:
        """Return the next delivery whose turn it is, reading another slice when one is used up."""
        queue = self._mailbox.queue
        while not self._over():
            if queue:
                due = queue.popleft()
                if await self._turn(due):
                    return due
                continue
            async with self._refilling:
                if not queue and self._exhausted:
                    return None
                if not queue and not self._over():
                    await self._refill()
        return None

    def _over(self) -> bool:
        return self._stopped or self._tools.stopping() or self._loop.time() >= self._ends_at

    async def _turn(self, due: Due) -> bool:
        """Tell whether a delivery may go now: in its order, at its pace, and while it is wanted."""
        now = self._now()
        give_up_at = self._give_up_at(due)
        if give_up_at is not None and now > give_up_at:
            await self._defer(due, None, "expired")
            return False
        if self._mailbox.ordering == Ordering.SUBJECT:
            if due.subject_id in self._behind:
                self._behind[due.subject_id].append(due)
                return False
            self._behind[due.subject_id] = deque()
        wait_seconds = self._pace.wait_seconds(self._loop.time())
        if self._loop.time() + wait_seconds >= self._ends_at:
            self._stopped = True
            return False
        self._pace.book(self._loop.time())
        if wait_seconds > 0:
            await asyncio.sleep(wait_seconds)
        return True

    def _give_up_at(self, due: Due) -> datetime | None:
        """Return until when a delivery is wanted; whoever asks for a replay wants it still."""
        if due.trigger == Trigger.MANUAL:
            return None
        return self._mailbox.worth_of(due.event).give_up_at(due.created_at)

    async def _refill(self) -> None:
        assert self._last is not None  # a slice that was full had a last row
        found, deferrals, last, exhausted = await self._in_thread(self._read_slice, self._last)
        self._last, self._exhausted = last or self._last, exhausted
        self._mailbox.queue.extend(found)
        for deferral in deferrals:
            await self._tools.writer.put(deferral)
        self._widen(len(found))

    def _read_slice(self, after: Due) -> tuple[list[Due], list[Deferral], Due | None, bool]:
        rows, now = self._tools.settings.slice_rows, self._now()
        with self._tools.database.read() as connection:
            found = next_slice(connection, self._held[0], after, now=now, rows=rows)
            last, exhausted = (found[-1] if found else None), len(found) < rows
            attempts, deferrals = arranged(connection, self._mailbox, found, now)
            return attempts, deferrals, last, exhausted

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._loop.run_in_executor(self._tools.executor, function, *arguments)

    def _now(self) -> datetime:
        return self._tools.clock.now()

    async def _deliver(self, due: Due) -> None:
        """Make one attempt within all limits and hand its settlement to the writer."""
        tools, mailbox = self._tools, self._mailbox
        await tools.tenants.take(mailbox.tenant_id)
        await tools.hosts.take(mailbox.host)
        try:
            async with tools.slots:
                started_at, began = self._now(), self._loop.time()
                outcome = await attempt(
                    due,
                    mailbox,
                    transport=tools.transport,
                    writer=tools.writer,
                    now=started_at,
                )
                duration_ms = round((self._loop.time() - began) * 1000)
        finally:
            tools.hosts.give(mailbox.host)
            tools.tenants.give(mailbox.tenant_id)
        await self._settle(due, outcome, started_at, duration_ms)

    async def _settle(
        self, due: Due, outcome: Outcome, started_at: datetime, duration_ms: int
    ) -> None:
        now, mailbox = self._now(), self._mailbox
        worth = mailbox.worth_of(due.event)
        state, next_attempt_at = decide(
            outcome,
            made=due.attempts - due.attempts_before + 1,
            policy=worth.policy,
            now=now,
            spread=random.random(),  # noqa: S311 - spreads retries, guards nothing
            give_up_at=self._give_up_at(due),
        )
        if mailbox.ordering != Ordering.NONE:
            outcome, state = skip_the_line(
                outcome, state, created_at=due.created_at, now=now, patience=mailbox.patience
            )
            if state is DeliveryState.FAILED:
                next_attempt_at = None
        self._learn(outcome, now)
        await self._tools.writer.put(
            Settlement(
                delivery_id=due.delivery_id,
                endpoint_id=mailbox.lease.endpoint_id,
                lease_token=mailbox.lease.token,
                number=due.attempts + 1,
                trigger=due.trigger,
                started_at=started_at,
                duration_ms=duration_ms,
                outcome=outcome,
                state=state,
                next_attempt_at=next_attempt_at,
                settled_at=None if state is DeliveryState.RETRYING else now,
                holds_line=None
                if mailbox.ordering != Ordering.ENDPOINT
                else state is DeliveryState.RETRYING,
            )
        )
        await self._let_others_follow(due, next_attempt_at)

    def _learn(self, outcome: Outcome, now: datetime) -> None:
        """Let the outcome change the endpoint's health, and stop where it says so."""
        if outcome.verdict is Verdict.SUCCEEDED:
            self._health = self._health.after_success(self._mailbox.max_in_flight)
            self._failing = self._failing.after_success()
            self._widen(len(self._mailbox.queue) + len(self._workers))
        elif outcome.blames_endpoint:
            self._health = self._health.after_failure(self._tools.settings.circuit)
            self._failing = self._failing.after_failure(now)
        self._stop_until(outcome.pause_until)
        self._stop_until(self._health.probe_at(now, self._tools.settings.circuit))
        self._stopped = self._stopped or outcome.disable is not None

    def _stop_until(self, instant: datetime | None) -> None:
        if instant is None:
            return
        self._stopped = True
        if self._blocked_until is None or instant > self._blocked_until:
            self._blocked_until = instant

    async def _let_others_follow(self, due: Due, next_attempt_at: datetime | None) -> None:
        """Let whoever waited behind a delivery go, or move it behind the next attempt."""
        if next_attempt_at is not None and self._mailbox.ordering == Ordering.ENDPOINT:
            self._stop_until(next_attempt_at)
        if self._mailbox.ordering != Ordering.SUBJECT:
            return
        if next_attempt_at is None:
            self._mailbox.queue.extendleft(reversed(self._behind.pop(due.subject_id, deque())))
            return
        # The subject stays taken: what comes of it later in this lease goes behind, too.
        for waiting in self._behind[due.subject_id]:
            await self._defer(waiting, next_attempt_at + BEHIND, None)
        self._behind[due.subject_id].clear()

    async def _defer(self, due: Due, until: datetime | None, error: str | None) -> None:
        await self._tools.writer.put(
            Deferral(due.delivery_id, *self._held, due.attempts, until, error, self._now())
        )
