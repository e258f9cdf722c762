"""Where a simulation plays: a database in memory, set back by a copy; no chance but the seed."""

from __future__ import annotations

import random
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from typing import Any
from unittest.mock import patch

from engine.database import metadata
from tests.simulation.faults import FaultyDatabase
from tests.simulation.virtual_time import VirtualClock, VirtualLoop

#: What the clock in an identifier tells apart: a 4,096th of a millisecond.
ID_STEP_NANOSECONDS = 250
START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Stage:
    """A database with a world in it; each simulation begins with a copy of the same."""

    def __init__(self, url: str = "sqlite:///:memory:") -> None:
        """Open the database and make its schema where there is none."""
        self.database = FaultyDatabase(url)
        if self.database.sqlite:
            metadata.create_all(self.database.engine)
        self._template: bytes | None = None

    def keep(self) -> None:
        """Let what is in the database be what every simulation begins with."""
        self._template = self._driver().serialize()

    def set_back(self) -> None:
        """Put back what was kept, if anything was: a server's database is emptied by its user."""
        if self._template is not None:
            self._driver().deserialize(self._template)

    def _driver(self) -> Any:
        connection = self.database.engine.raw_connection()
        try:
            return connection.driver_connection
        finally:
            connection.close()


@contextmanager
def virtual(clock: VirtualClock, loop: VirtualLoop, chance: random.Random) -> Iterator[None]:
    """Replace time and randomness below the product for as long as the block runs.

    Whatever asks for them directly is listed here; everything else gets a clock or a loop.
    """
    ids = random.Random(chance.random())  # noqa: S311  # identifiers, not secrets
    last_nanoseconds = 0

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.now().astimezone(tz)

    def time_ns() -> int:
        # Ids of one instant sort in the order in which they were made.
        nonlocal last_nanoseconds
        now = int(clock.now().timestamp() * 1_000_000) * 1000
        last_nanoseconds = max(now, last_nanoseconds + ID_STEP_NANOSECONDS)
        return last_nanoseconds

    time = types.SimpleNamespace(
        time_ns=time_ns, monotonic=loop.time, sleep=loop.pass_by, time=loop.time
    )
    replaced = {
        "engine.ids.time": time,
        "engine.ids.os": types.SimpleNamespace(urandom=ids.randbytes),
        "engine.database.datetime": Now,
        "engine.database.time": time,
        "dispatcher.pump.random": types.SimpleNamespace(random=chance.random),
        "dispatcher.settle_writer.time": time,
        "dispatcher.relay.time": time,
        "reconciler.runner.time": time,
        "reconciler.schedule.time": time,
        "dispatcher.drain.new_event_loop": lambda: loop,
    }
    with ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(patch(name, value))
        yield
