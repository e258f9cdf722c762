"""F10 and F11: the database restarts under load, or dies while it commits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import exists, func, select
from sqlalchemy.exc import DBAPIError

from engine import wallets
from engine.errors import DatabaseUnavailable
from engine.events import EventDraft
from engine.ledger_tables import ledger_transactions
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from tests.faults import oracle
from tests.faults.fleet import fleet
from tests.faults.own_postgresql import FAST, IMMEDIATE, OwnPostgreSQL, own_postgresql
from tests.faults.plugin import Reached
from tests.faults.stage import Listener, Stage, eventually, production
from tests.receivers import receiving

#: With these a commit lasts: its record is written, and flushed only after a while.
LONG_COMMITS = {"fsync": "on", "commit_delay": "20000", "commit_siblings": "0"}
READY_SECONDS = 30


@contextmanager
def standing(
    postgresql: OwnPostgreSQL, redis_url: str, folder: Path
) -> Iterator[tuple[Stage, Client]]:
    """Yield an installation on a server of its own, and a client whose tenant listens."""
    with (
        production(postgresql.url, redis_url, folder) as application,
        receiving(Listener(delay_seconds=0.002)) as listener,
    ):
        assert isinstance(listener, Listener)
        stage = Stage(application, listener)
        yield stage, Client(application.units, stage.endpoint()[0])


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


@pytest.mark.fault("F10")
@pytest.mark.timeout(0)
def test_a_restart_of_the_database_loses_nothing(
    redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """Restarted under load, in order and not: clients and workers go on, no posting is half."""
    restarts, longest = reached.times(2, 30), 0.0
    with (
        own_postgresql() as postgresql,
        standing(postgresql, redis_url, tmp_path) as (stage, client),
        fleet(stage.application, tmp_path) as processes,
    ):
        living = [processes.serving(verb) for verb in ("worker", "scheduler")]
        with client.paying():
            for number in range(restarts):
                client.until_paid(10)
                began = time.monotonic()
                postgresql.restart(IMMEDIATE if number % 2 else FAST)
                client.until_paid(1)
                longest = max(longest, time.monotonic() - began)
        eventually(stage.settled, 120, "everything settled")
        assert all(process.alive for process in living), [each.said() for each in living]
        assert (len(client.keys), len(client.keys)) == counted(stage, client.keys)
        heard = stage.listener.everything()
        assert [] == oracle.broken(stage.database, heard, repeats_max=100 * restarts)
    assert longest <= READY_SECONDS
    reached.says(
        "F10",
        f"{restarts} restarts, {len(client.keys):,} payments and events: lost 0, none half or"
        f" double, {oracle.repeats(heard)} callbacks again, ready after {longest:.1f} s at most",
    )


@pytest.mark.fault("F11")
@pytest.mark.timeout(0)
def test_a_commit_whose_outcome_is_unknown_is_made_once(
    redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """The server dies while it commits; the client asks again with its key and has one effect."""
    deaths, cut = reached.times(3, 200), 0
    seed = random.randrange(10**6)  # noqa: S311  # said with the result, so it can be repeated
    chance = random.Random(seed)  # noqa: S311  # as above
    with (
        own_postgresql(**LONG_COMMITS) as postgresql,
        standing(postgresql, redis_url, tmp_path) as (stage, client),
    ):
        began = time.monotonic()
        client.pay()
        usual_seconds = time.monotonic() - began
        for _ in range(deaths):
            failed, moment = client.failed, chance.uniform(0.3, 1.1) * usual_seconds
            dying = threading.Timer(moment, postgresql.restart, (IMMEDIATE,))
            dying.start()
            client.pay()
            dying.join()
            cut += client.failed > failed
            # Whether it knew or not, a client may ask again.
            client.ask_again()
        assert (deaths + 1, deaths + 1) == counted(stage, client.keys)
        with stage.database.read() as connection:
            assert [] == list(oracle.unbalanced(connection))
    said = (
        f"{deaths} deaths, {cut} of them in a client's transaction, {client.found} of these behind"
        " its commit: one effect each"
    )
    reached.says("F11", said, seed=seed)
