"""The drainer of a process: one event loop, one transport, one settle writer, many mailboxes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import DBAPIError

from config.clock import Clock
from config.log import get_logger
from dispatcher.facts import UNWATCHED, Watch
from dispatcher.gate import Gate
from dispatcher.leased_mailbox import Mailbox
from dispatcher.leasing import DrainSettings, take_mailboxes
from dispatcher.poison import Trial
from dispatcher.pump import DrainTools, Pump
from dispatcher.settle_writer import SettleWriter
from dispatcher.transport import CallbackTransport
from engine.database import Database
from engine.errors import DatabaseUnavailable
from engine.sealing import KeyRing

log = get_logger("drain")

READERS = 4


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop where it exists, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class Drainer:
    """Leases mailboxes and drains them on its own thread; ``take`` never waits for a delivery."""

    def __init__(
        self,
        database: Database,
        keyring: KeyRing,
        *,
        transport: Callable[[], CallbackTransport],
        settings: DrainSettings,
        clock: Clock,
        watch: Watch = UNWATCHED,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._make_transport = transport
        self._settings = settings
        self._clock = clock
        self._watch = watch
        self._writer = SettleWriter(database, clock, watch)
        self._executor = ThreadPoolExecutor(READERS, thread_name_prefix="drain-read")
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="drain", daemon=True)
        self._taking = threading.Lock()
        self._counting = threading.Lock()
        self._active = 0
        self._more = False
        # Mailboxes that somebody asked for and that the next taking leases, in order of asking.
        self._wanted: dict[str, None] = {}
        self._asked = False
        self._stopping = False
        self._idle = threading.Event()
        self._idle.set()
        self._tools: DrainTools | None = None

    @property
    def active(self) -> int:
        """How many mailboxes are being drained right now."""
        return self._active

    def start(self) -> None:
        """Start the loop and the settle writer."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._prepare(), self._loop).result()

    def take(self, endpoint_ids: Sequence[str] | None = None) -> int:
        """Lease due mailboxes, those named or any, as far as there is room; return how many.

        Whoever waits here for another's taking has its mailboxes leased together with those of all
        who wait: a taking costs a commit, and one for each hint would be a queue.
        """
        if self._stopping:
            return 0
        if endpoint_ids is not None:
            self._want(endpoint_ids)
        with self._taking:
            if endpoint_ids is not None:
                endpoint_ids = self._wanted_now()
                if not endpoint_ids:
                    return 0
            room = self._settings.mailboxes_max - self._active
            if room <= 0:
                self._more = True
                return 0
            self._clock.sync()
            ready, leased = take_mailboxes(
                self._database,
                self._keyring,
                self._settings,
                now=self._clock.now(),
                limit=room,
                endpoint_ids=endpoint_ids,
                emit=self._watch.emit,
                give_back=self._writer.give_back,
            )
            with self._counting:
                self._more = self._more or leased >= room
                self._active += len(ready)
                if ready:
                    self._idle.clear()
        if ready:
            self._loop.call_soon_threadsafe(self._begin, ready)
        return leased

    def take_soon(self, endpoint_ids: Sequence[str]) -> bool:
        """Lease these mailboxes on another thread; False when others had better do it."""
        if self._stopping or self._active * 2 > self._settings.mailboxes_max:
            return False
        if self._want(endpoint_ids):
            self._executor.submit(self._take_wanted)
        return True

    def _want(self, endpoint_ids: Sequence[str]) -> bool:
        """Add to what the next taking leases; True when nobody was asked to take yet."""
        with self._counting:
            first, self._asked = not self._asked, True
            self._wanted.update(dict.fromkeys(endpoint_ids))
        return first

    def _wanted_now(self) -> list[str]:
        with self._counting:
            wanted, self._wanted, self._asked = list(self._wanted), {}, False
        return wanted

    def _take_wanted(self) -> None:
        self._take_if_possible([])

    def _take_if_possible(self, endpoint_ids: Sequence[str] | None = None) -> None:
        """Take them, or leave them to the sweep while the database is away."""
        try:
            self.take(endpoint_ids)
        except (DatabaseUnavailable, DBAPIError) as error:
            log.warning("drain.not_taken", reason=str(error)[:200])

    def run_once(self) -> int:
        """Drain every mailbox that is due now and return how many attempts were settled."""
        before = self._writer.settled
        while self.take() or self._active or self._wanted:
            self._idle.wait()
        return self._writer.settled - before

    def stop(self, grace_seconds: float = 30.0) -> bool:
        """Take nothing new, finish or release what is in flight; False when time ran out."""
        deadline = time.monotonic() + grace_seconds
        self._stopping = True
        if self._taking.acquire(timeout=grace_seconds):  # what is being leased now is drained too
            self._taking.release()
        finished = self._idle.wait(max(0.0, deadline - time.monotonic()))
        finished = self._writer.stop(max(0.1, deadline - time.monotonic())) and finished
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._executor.shutdown(wait=False)
        if not self._thread.is_alive():
            self._loop.close()
        return finished

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _prepare(self) -> None:
        self._writer.start(self._loop)
        self._tools = DrainTools(
            self._database,
            self._clock,
            self._make_transport(),
            self._writer,
            self._watch.emit,
            self._settings,
            Gate(
                in_flight_max=self._settings.in_flight_max,
                tenant_max=self._settings.tenant_in_flight_max,
                host_max=self._settings.host_in_flight_max,
            ),
            Trial(self._database, self._executor),
            self._executor,
            lambda: self._stopping,
        )

    async def _close(self) -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        if self._tools is not None:
            self._tools.gate.close()
            await self._tools.transport.aclose()

    def _begin(self, ready: Sequence[Mailbox]) -> None:
        assert self._tools is not None
        for mailbox in ready:
            task = self._loop.create_task(Pump(mailbox, self._tools).run())
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[str | None]) -> None:
        due_id: str | None = None
        if not task.cancelled() and task.exception() is not None:
            # The lease runs out by itself and counts against the mailbox.
            log.error("drain.failed", reason=repr(task.exception()))
        elif not task.cancelled():
            due_id = task.result() if not self._stopping else None
        # Its hint came while it was leased, and no other will: it is taken again at once.
        first = due_id is not None and self._want([due_id])
        with self._counting:
            self._active -= 1
            if self._active == 0:
                self._idle.set()
            more = self._more and not self._stopping
            self._more = False
        if more:
            self._executor.submit(self._take_if_possible)
        if first:
            self._executor.submit(self._take_wanted)
