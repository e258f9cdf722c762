"""F12: the connection to the database is reset between a commit and its answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.faults import oracle
from tests.faults.clients import Client, counted
from tests.faults.plugin import Reached
from tests.faults.proxy import proxied, through
from tests.faults.stage import Listener, Stage, production
from tests.receivers import receiving
from worker.bootstrap import build


@pytest.mark.fault("F12")
@pytest.mark.timeout(0)
def test_a_commit_whose_answer_is_lost_is_made_once(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """A client that heard nothing asks again with its key, and there is one effect."""
    resets = reached.times(10, 500)
    address = make_url(postgresql_url)
    with (
        production(postgresql_url, redis_url, tmp_path) as application,
        receiving(Listener()) as listener,
        proxied(address.host or "127.0.0.1", address.port or 5432) as proxy,
    ):
        assert isinstance(listener, Listener)
        stage = Stage(application, listener)
        tenant_id, _ = stage.endpoint()
        away = through(proxy, application.settings.database_url)
        remote = build(application.settings.model_copy(update={"database_url": away}))
        client = Client(remote.units, tenant_id)
        try:
            for number in range(1, resets + 1):
                proxy.unanswered, proxy.unanswered_max = b"COMMIT", number
                client.pay()
        finally:
            remote.close()
        assert (resets, resets) == (proxy.counts.unanswered, client.failed)
        # Each was made the first time it was asked for.
        assert (resets, (resets, resets)) == (client.found, counted(stage, client.keys))
        with stage.database.read() as connection:
            assert [] == list(oracle.unbalanced(connection))
    reached.says(
        "F12",
        f"{resets} answers of a commit lost, {client.failed} noticed: one transaction, one event"
        " each",
    )
