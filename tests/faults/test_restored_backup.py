"""F62: the database is what it was an hour ago; Redis and the receivers know what came since."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import URL, create_engine, select, text
from sqlalchemy.pool import NullPool

from engine.tables import events
from tests.chains import top_up
from tests.faults import oracle
from tests.faults.fleet import Fleet, fleet
from tests.faults.plugin import Reached
from tests.faults.stage import Listener, Stage, eventually, production
from tests.receivers import receiving
from worker.broker import QUEUE


class Backup:
    """A copy of a database beside it, and the way back to it; nobody may be connected."""

    def __init__(self, url: URL) -> None:
        self._name = url.database
        self._server = url.set(database="postgres")

    def take(self) -> None:
        """Copy the database."""
        self._run(f"CREATE DATABASE {self._name}_backup TEMPLATE {self._name}")

    def restore(self) -> None:
        """Put the copy in the place of the database."""
        self._run(f"DROP DATABASE {self._name}")
        self._run(f"ALTER DATABASE {self._name}_backup RENAME TO {self._name}")

    def _run(self, statement: str) -> None:
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))


def worked(stage: Stage, processes: Fleet) -> None:
    """Let processes do everything there is to do, and end."""
    everything = processes.serving("serve")
    eventually(stage.settled, what="everything settled")
    assert 0 == everything.stop()
    stage.database.dispose()


@pytest.mark.fault("F62")
@pytest.mark.timeout(0)
def test_a_restored_backup_invents_nothing(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """What was open at the backup goes out again as it was; what came later is not made up."""
    restores, again, gone = reached.times(1, 3), 0, 0
    with (
        production(postgresql_url, redis_url, tmp_path) as application,
        receiving(Listener()) as listener,
        fleet(application, tmp_path) as processes,
        Redis.from_url(redis_url) as redis,
    ):
        assert isinstance(listener, Listener)
        stage, backup = Stage(application, listener), Backup(application.database.url)
        for _ in range(restores):
            tenant_id, endpoint_id = stage.endpoint()
            stage.publish(tenant_id, 10)
            worked(stage, processes)
            open_ids = stage.publish(tenant_id, 10)
            top_up(application.units, tenant_id, 1000)
            stage.database.dispose()
            backup.take()
            # The hour that will be lost: calls, money, an endpoint, and hints nobody reads.
            top_up(application.units, tenant_id, 5000)
            lost_ids = stage.publish(tenant_id, 10) + stage.publish(stage.endpoint()[0], 5)
            worked(stage, processes)
            stage.publish(stage.endpoint()[0], 5)
            application.hints.drain([endpoint_id])
            eventually(lambda: redis.llen(f"{QUEUE}:{QUEUE}") > 0, what="a hint in Redis")
            stage.database.dispose()
            backup.restore()
            before = len(listener.everything())
            worked(stage, processes)
            later = listener.everything()[before:]
            # Old ids, and only those that were open: nothing was invented or settled twice.
            assert sorted(open_ids) == sorted(each.event_id for each in later)
            with stage.database.read() as connection:
                assert [] == [*oracle.invented(connection, later), *oracle.unfinished(connection)]
                assert [] == [*oracle.altered(connection, later), *oracle.unbalanced(connection)]
                known = set(connection.execute(select(events.c.id)).scalars())
            heard = {each.event_id for each in listener.everything()[:before]}
            # What receivers have and the database has not: the list of the lost hour.
            assert set(lost_ids) <= heard - known
            again, gone = again + len(later), gone + len(lost_ids)
    reached.says(
        "F62",
        f"{restores} restores: {again} callbacks again with their old ids and bytes, none invented;"
        f" {gone} callbacks of the lost time are known to receivers alone",
    )
