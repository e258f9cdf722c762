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
from dispatcher.facts import DeliveryParked, Emit
from dispatcher.gate import Gate, Place
from dispatcher.leased_mailbox import Mailbox
from dispatcher.leasing import DrainSettings, arranged
from dispatcher.limits import Pace
from dispatcher.order import BEHIND, Ordering
from dispatcher.outcome import Outcome
from dispatcher.poison import Trial
from dispatcher.settle_batch import Parting
from dispatcher.settle_writer import SettleWriter
from dispatcher.settlement import Deferral, Settlement, decide, skip_the_line
from dispatcher.standing import Standing
from dispatcher.states import DeliveryState
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
    emit: Emit
    settings: DrainSettings
    gate: Gate
    trial: Trial
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
        self._standing = Standing(mailbox, tools.settings.circuit, tools.emit)
        self._pace = Pace(mailbox.rate_per_second, self._loop.time())
        # Subjects whose turn somebody has, and who waits behind each.
        self._behind: dict[str, deque[Due]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        # Who waits at the gate, and what ends that when the slice is over.
        self._queueing: set[asyncio.Task[Any]] = set()
        self._patience: asyncio.TimerHandle | None = None
        self._out_of_patience = False

    async def run(self) -> str | None:
        """Drain until nothing is due or the slice is over; the release follows the last settle.

        Return the endpoint's id when its mailbox is due again: fed meanwhile, or deep.
        The mailbox is released even when the database failed a read: only a process that dies lets
        a lease run out, and that is counted against the mailbox.
        """
        for deferral in self._mailbox.deferrals:
            await self._tools.writer.put(deferral)
        self._widen(1)
        while self._workers:
            # A copy: a worker that succeeds may add others meanwhile.
            done, _ = await asyncio.wait(set(self._workers), return_when=asyncio.FIRST_COMPLETED)
            self._workers -= done
            for error in filter(None, (task.exception() for task in done)):
                log.warning("drain.cut", endpoint_id=self._held[0], reason=repr(error)[:200])
        if self._patience is not None:
            self._patience.cancel()
        due_at = await self._tools.writer.release(*self._held, self._parting())
        return self._held[0] if due_at is not None and due_at <= self._now() else None

    @property
    def _held(self) -> tuple[str, int]:
        return self._mailbox.lease.endpoint_id, self._mailbox.lease.token

    def _widen(self, wanted: int) -> None:
        """Have as many workers as the endpoint's health allows, and no more than are wanted.

        A pump begins with one and has another whenever a call went out and the gate has room still:
        among many mailboxes none has workers that only wait.
        """
        width = min(self._standing.width, wanted)
        for _ in range(width - len(self._workers)):
            self._workers.add(self._loop.create_task(self._work()))

    def _parting(self) -> Parting:
        """Say what to remember; a pace that is used up holds the mailbox back."""
        if self._mailbox.rate_per_second is not None and self._standing.blocked_until is None:
            wait_seconds = self._pace.wait_seconds(self._loop.time())
            if wait_seconds > 0:
                self._standing.stop_until(self._now() + timedelta(seconds=wait_seconds))
        return self._standing.parting()

    async def _work(self) -> None:
        while (due := await self._next()) is not None:
            left = self._ends_at - self._loop.time()
            if not self._mailbox.suspicious:
                await self._deliver(due)
            elif not await self._tools.trial.of(self._mailbox.lease, due, self._deliver, left):
                return
            if len(self._workers) > self._standing.width:
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
        ended = self._out_of_patience or self._loop.time() >= self._ends_at
        return ended or self._standing.stopped or self._tools.stopping()

    async def _turn(self, due: Due) -> bool:
        """Tell whether a delivery may go now: in its order, at its pace, and while it is wanted."""
        if (unwanted := self._mailbox.unwanted(due, self._now())) is not None:
            await self._defer(due, None, *unwanted)
            return False
        if self._mailbox.ordering == Ordering.SUBJECT:
            if due.subject_id in self._behind:
                self._behind[due.subject_id].append(due)
                return False
            self._behind[due.subject_id] = deque()
        wait_seconds = self._pace.wait_seconds(self._loop.time())
        if self._loop.time() + wait_seconds >= self._ends_at:
            self._standing.stopped = True
            return False
        self._pace.book(self._loop.time())
        if wait_seconds > 0:
            await asyncio.sleep(wait_seconds)
        return True

    async def _refill(self) -> None:
        assert self._last is not None  # a slice that was full had a last row
        found, deferrals, last, exhausted = await self._in_thread(self._read_slice, self._last)
        self._last, self._exhausted = last or self._last, exhausted
        self._mailbox.queue.extend(found)
        for deferral in deferrals:
            await self._tools.writer.put(deferral)

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
        place = tools.gate.enter_now(mailbox.tenant_id, mailbox.host) or await self._queue_up()
        if place is None:
            return
        if tools.gate.has_room and mailbox.queue:
            self._widen(len(self._workers) + 1)
        try:
            started_at, began = self._now(), self._loop.time()
            outcome = await attempt(
                due, mailbox, transport=tools.transport, writer=tools.writer, now=started_at
            )
            duration_ms = round((self._loop.time() - began) * 1000)
        finally:
            tools.gate.leave(place)
        await self._settle(due, outcome, started_at, duration_ms)

    async def _queue_up(self) -> Place | None:
        """Wait for a place at the gate, until the slice ends.

        Whoever waited longer might call what another worker holds by then.
        """
        if self._out_of_patience:
            return None
        task = asyncio.current_task()
        assert task is not None
        if self._patience is None:
            self._patience = self._loop.call_at(self._ends_at, self._leave_the_queue)
        self._queueing.add(task)
        try:
            return await self._tools.gate.enter(self._mailbox.tenant_id, self._mailbox.host)
        except asyncio.CancelledError:
            if not self._out_of_patience:
                raise
            task.uncancel()
            return None
        finally:
            self._queueing.discard(task)

    def _leave_the_queue(self) -> None:
        # Remembered, for a timer may strike a little before its time.
        self._out_of_patience = True
        for task in self._queueing:
            task.cancel()

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
            give_up_at=mailbox.give_up_at(due),
        )
        if mailbox.ordering != Ordering.NONE:
            outcome, state = skip_the_line(
                outcome, state, created_at=due.created_at, now=now, patience=mailbox.patience
            )
            if state is DeliveryState.FAILED:
                next_attempt_at = None
        self._standing.learn(outcome, now)
        if outcome.parks:
            reason = outcome.error or ""
            self._tools.emit(DeliveryParked(delivery_id=due.delivery_id, reason=reason))
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
                due_at=due.next_attempt_at,
            )
        )
        await self._let_others_follow(due, next_attempt_at)

    async def _let_others_follow(self, due: Due, next_attempt_at: datetime | None) -> None:
        """Let whoever waited behind a delivery go, or move it behind the next attempt."""
        if next_attempt_at is not None and self._mailbox.ordering == Ordering.ENDPOINT:
            self._standing.stop_until(next_attempt_at)
        if self._mailbox.ordering != Ordering.SUBJECT:
            return
        if next_attempt_at is None:
            self._mailbox.queue.extendleft(reversed(self._behind.pop(due.subject_id, deque())))
            return
        # The subject stays taken: what comes of it later in this lease goes behind, too.
        for waiting in self._behind[due.subject_id]:
            await self._defer(waiting, next_attempt_at + BEHIND, None)
        self._behind[due.subject_id].clear()

    async def _defer(
        self,
        due: Due,
        until: datetime | None,
        error: str | None,
        ends_as: DeliveryState = DeliveryState.FAILED,
    ) -> None:
        fence = (due.delivery_id, *self._held, due.attempts)
        await self._tools.writer.put(Deferral(*fence, until, error, self._now(), ends_as))
