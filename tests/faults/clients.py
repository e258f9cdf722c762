"""Clients of the engine that ask again, under the same key, when they heard nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import exists, func, select
from sqlalchemy.exc import DBAPIError

from engine import wallets
from engine.errors import DatabaseUnavailable
from engine.events import EventDraft
from engine.ledger_tables import ledger_transactions
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from tests.faults.stage import Stage, eventually

#: How long a database may be away.
READY_SECONDS = 30


@dataclass
class Client:
    """Pays into a wallet and raises an event under a key, until it knows that it did."""

    units: UnitsOfWork
    tenant_id: str
    keys: list[str] = field(default_factory=list)
    failed: int = 0
    #: Of those that failed, how many had been committed all the same.
    found: int = 0

    def pay(self) -> None:
        """Pay once under a new key, asking again as long as it heard nothing."""
        self.keys.append(f"key {len(self.keys)}")
        self.ask_again()

    def ask_again(self) -> None:
        """Ask for the last payment until there is an answer."""
        deadline = time.monotonic() + READY_SECONDS
        again = False
        while not self._asked(again=again):
            again = True
            self.failed += 1
            assert time.monotonic() < deadline, "the database did not come back"
            time.sleep(0.01)

    def _asked(self, *, again: bool) -> bool:
        key = self.keys[-1]
        draft = EventDraft(
            tenant_id=self.tenant_id, type="webhook.test", data={"key": key}, dedupe_key=key
        )
        try:
            with self.units.begin(actor="client") as work:
                stands = select(exists().where(events.c.dedupe_key == key))
                found = again and bool(work.connection.execute(stands).scalar_one())
                wallets.top_up(work, self.tenant_id, 100, idempotency_key=key)
                work.raise_event(draft)
        except (DBAPIError, DatabaseUnavailable):
            return False
        self.found += found
        return True

    @contextmanager
    def paying(self) -> Iterator[None]:
        """Pay again and again while the block runs."""
        ended = threading.Event()

        def pay() -> None:
            while not ended.is_set():
                self.pay()

        thread = threading.Thread(target=pay)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def until_paid(self, more: int) -> float:
        """Wait for so many more payments and return how long they took."""
        count = len(self.keys) + more
        return eventually(lambda: len(self.keys) > count)


def counted(stage: Stage, keys: Sequence[str]) -> tuple[int, int]:
    """Return how many transactions and events stand under keys."""
    with stage.database.read() as connection:
        posted = select(func.count()).where(ledger_transactions.c.kind == "top_up")
        told = select(func.count()).where(events.c.dedupe_key.in_(keys))
        return connection.execute(posted).scalar_one(), connection.execute(told).scalar_one()
