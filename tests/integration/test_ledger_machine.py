"""Random histories of the ledger on both databases, every step beside a model."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from engine.database import Database, metadata
from tests.conftest import empty
from tests.ledger_histories import LedgerHistories

#: A night's run takes thousands.
HISTORIES = int(os.environ.get("TILLBELL_TEST_HISTORIES", "15"))
STEPS = 20


class InMemory(LedgerHistories):
    """Each history on a database of its own."""

    def __init__(self) -> None:
        """Make the database."""
        database = Database("sqlite://")
        metadata.create_all(database.engine)
        super().__init__(database)

    def teardown(self) -> None:
        """Close the database: Python 3.13 warns of a connection left open."""
        self.database.dispose()


def tried(histories: int, steps: int) -> settings:
    """Return how many histories of how many steps are tried."""
    return settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_histories_keep_every_invariant() -> None:
    """L1 to L6 after each step of each history, and what the engine refuses the model refuses."""
    run_state_machine_as_test(InMemory, settings=tried(HISTORIES, STEPS))
    assert InMemory.histories >= HISTORIES


def test_histories_keep_every_invariant_in_production(postgresql_url: str) -> None:
    """The same on PostgreSQL, shorter."""
    database = Database(postgresql_url)

    class OnServer(LedgerHistories):
        """Each history on the same database, emptied."""

        def __init__(self) -> None:
            """Empty the database."""
            with database.write() as connection:
                empty(connection)
            super().__init__(database)

    run_state_machine_as_test(OnServer, settings=tried(max(HISTORIES // 5, 1), STEPS))
    database.dispose()
