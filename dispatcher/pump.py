"""One leased mailbox being drained: take a delivery, sign, send, classify, decide, settle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.clock import Clock
from config.log import get_logger
from dispatcher.due import Due, next_slice
from dispatcher.errors import CallbackFailed, EndpointUrlRefused
from dispatcher.leasing import DrainSettings, Mailbox, name_suspect
from dispatcher.outcome import Outcome, classify_answer, classify_failure, unprocessable
from dispatcher.profiles import render
from dispatcher.settle_writer import Kept, SettleWriter
from dispatcher.settlement import Settlement, decide
from dispatcher.states import DeliveryState
from dispatcher.transport import CallbackTransport, request_head
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
    executor: Executor
    stopping: Callable[[], bool]


class Pump:
    """Drains one mailbox for one time slice and gives it back."""

    def __init__(self, mailbox: Mailbox, tools: DrainTools) -> None:
        self._mailbox = mailbox
        self._tools = tools
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + tools.settings.slice_seconds
        self._last: Due | None = mailbox.queue[-1] if mailbox.queue else None
        self._exhausted = len(mailbox.queue) < tools.settings.slice_rows
        self._refilling = asyncio.Lock()
        self._disabled = False

    async def run(self) -> None:
        """Drain until nothing is due or the slice is over; the release follows the last settle.

        The mailbox is released even when the database failed a read: only a process that dies lets
        a lease run out, and that is counted against the mailbox.
        """
        width = min(self._mailbox.max_in_flight, len(self._mailbox.queue))
        ends = await asyncio.gather(*(self._work() for _ in range(width)), return_exceptions=True)
        held = self._mailbox.lease
        for error in ends:
            if error is not None:
                log.warning("drain.cut", endpoint_id=held.endpoint_id, reason=repr(error)[:200])
        await self._tools.writer.release(held.endpoint_id, held.token)

    async def _work(self) -> None:
        while (due := await self._next()) is not None:
            if self._mailbox.suspicious:
                await self._in_thread(
                    name_suspect, self._tools.database, self._mailbox.lease, due.delivery_id
                )
            async with self._tools.slots:
                await self._deliver(due)

    async def _next(self) -> Due | None:
        """Return the next due delivery, reading another slice when this one is used up."""
        queue = self._mailbox.queue
        while True:
            if self._disabled or self._tools.stopping() or self._loop.time() >= self._ends_at:
                return None
            if queue:
                return queue.popleft()
            async with self._refilling:
                if not queue and self._exhausted:
                    return None
                if not queue:
                    await self._refill()

    async def _refill(self) -> None:
        assert self._last is not None
        rows = self._tools.settings.slice_rows
        found: list[Due] = await self._in_thread(self._read_slice, self._last, rows)
        self._exhausted = len(found) < rows
        if found:
            self._last = found[-1]
            self._mailbox.queue.extend(found)

    def _read_slice(self, after: Due, rows: int) -> list[Due]:
        now = self._tools.clock.now()
        with self._tools.database.read() as connection:
            return next_slice(
                connection, self._mailbox.lease.endpoint_id, after, now=now, rows=rows
            )

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._loop.run_in_executor(self._tools.executor, function, *arguments)

    async def _deliver(self, due: Due) -> None:
        """Make one attempt and hand its settlement to the writer."""
        started_at = self._tools.clock.now()
        began = self._loop.time()
        try:
            body = await self._body(due)
            outcome = await self._send(due, body, started_at)
        except Exception as error:
            log.exception("delivery.parked", delivery_id=due.delivery_id)
            outcome = unprocessable(f"unprocessable: {type(error).__name__}")
        duration_ms = round((self._loop.time() - began) * 1000)
        self._disabled = self._disabled or outcome.disable is not None
        now = self._tools.clock.now()
        state, next_attempt_at = decide(
            outcome,
            made=due.attempts - due.attempts_before + 1,
            policy=self._mailbox.policy,
            now=now,
            spread=random.random(),  # noqa: S311 - spreads retries, guards nothing
        )
        held = self._mailbox.lease
        await self._tools.writer.put(
            Settlement(
                delivery_id=due.delivery_id,
                endpoint_id=held.endpoint_id,
                lease_token=held.token,
                number=due.attempts + 1,
                trigger=due.trigger,
                started_at=started_at,
                duration_ms=duration_ms,
                outcome=outcome,
                state=state,
                next_attempt_at=next_attempt_at,
                settled_at=None if state is DeliveryState.RETRYING else now,
            )
        )

    async def _body(self, due: Due) -> bytes:
        """Return the exact bytes to send; a profile's rendering is kept at the first attempt."""
        profile = self._mailbox.profile
        if profile == "envelope":
            return due.body
        if due.rendered is not None:
            return due.rendered
        body = render(profile, due.body)
        row = {"event_id": due.event_id, "profile": profile, "body": body}
        await self._tools.writer.put(Kept(row))
        return body

    async def _send(self, due: Due, body: bytes, now: datetime) -> Outcome:
        transport = self._tools.transport
        headers = self._mailbox.signer.headers(
            message_id=due.event_id, event=due.event, body=body, now=now
        )
        deadline_at = self._loop.time() + self._mailbox.deadline_seconds
        try:
            target = transport.target_of(self._mailbox.url)
            head = request_head(target, headers, len(body))
            answer = await transport.send(target, head, body, deadline_at)
        except CallbackFailed as failure:
            return classify_failure(failure.kind)
        except EndpointUrlRefused:
            return classify_failure("blocked_address")
        return classify_answer(answer.status_code, answer.body)
