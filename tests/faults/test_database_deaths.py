"""F10 and F11: the database restarts under load, or dies while it commits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import oracle
from tests.faults.clients import READY_SECONDS, Client, counted
from tests.faults.fleet import fleet
from tests.faults.own_postgresql import FAST, IMMEDIATE, OwnPostgreSQL, own_postgresql
from tests.faults.plugin import Reached
from tests.faults.stage import Listener, Stage, eventually, production, within
from tests.receivers import receiving

#: With these a commit lasts: its record is written, and flushed only after a while.
LONG_COMMITS = {"fsync": "on", "commit_delay": "100000", "commit_siblings": "0"}
LONGEST_SECONDS = 300.0


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
        client.pay()  # the first connects too
        began = time.monotonic()
        client.pay()
        usual_seconds = time.monotonic() - began
        for _ in within(LONGEST_SECONDS, range(deaths)):
            failed, moment = client.failed, chance.uniform(0.3, 1.0) * usual_seconds
            dying = threading.Timer(moment, postgresql.restart, (IMMEDIATE,))
            dying.start()
            client.pay()
            dying.join()
            cut += client.failed > failed
            # Whether it knew or not, a client may ask again.
            client.ask_again()
        count = len(client.keys)
        assert (count, count) == counted(stage, client.keys)
        with stage.database.read() as connection:
            assert [] == list(oracle.unbalanced(connection))
    said = (
        f"{count - 2} deaths, {cut} of them in a client's transaction, {client.found} of these"
        " behind its commit: one effect each"
    )
    reached.says("F11", said, seed=seed)
