"""``tillbell retention``: what it would remove, what it removes, and how long things are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from config.clock import FixedClock
from dispatcher.tables import attempts, deliveries
from engine.database import Database
from engine.tables import events
from tests.command_line import CommandLine
from tests.dispatching import dispatching
from tests.receivers import Receiver, receiving

KINDS = [
    *("bodies", "deliveries", "attempts", "events", "secrets", "runs", "inbound_messages"),
    *("courier_lines", "courier_differences", "courier_files"),
]


@pytest.fixture
def event_id(database: Database) -> str:
    """Return the id of an event that was delivered 31 days ago."""
    clock = FixedClock(datetime.now(UTC))
    with dispatching(database, clock) as found, receiving(Receiver()) as receiver:
        tenant_id = found.tenant()
        found.endpoint(tenant_id, receiver.url)
        (event_id,) = found.publish(tenant_id)
        found.run_once()
    then = datetime.now(UTC) - timedelta(days=31)
    with database.write() as connection:
        connection.execute(update(events).values(created_at=then))
        connection.execute(update(deliveries).values(created_at=then, settled_at=then))
        connection.execute(update(attempts).values(started_at=then))
    return event_id


def test_a_dry_run_counts_and_a_run_removes(cli: CommandLine, event_id: str) -> None:
    """Both name every kind; afterwards the event is still there, without its body."""
    planned = cli.json("retention", "run", "--dry-run")
    assert (True, KINDS) == (planned["dry_run"], list(planned["counts"]))
    assert cli.json("events", "show", event_id)["body"] is not None
    removed = cli.json("retention", "run")
    assert planned["counts"] == removed["counts"]
    assert {"bodies": 1} == {kind: count for kind, count in removed["counts"].items() if count}
    shown = cli.json("events", "show", event_id)
    assert (event_id, None) == (shown["id"], shown["body"])


def test_a_replay_without_a_body_sends_nothing(cli: CommandLine, event_id: str) -> None:
    """What retention removed cannot be sent again, and the replay says that it armed none."""
    cli.json("retention", "run")
    (delivery,) = cli.json("deliveries", "list", "--event", event_id)["data"]
    record = cli.json("deliveries", "replay", delivery["id"])
    assert 0 == record["armed"]
    assert "succeeded" == cli.json("deliveries", "show", delivery["id"])["state"]
    story = cli.json("deliveries", "explain", delivery["id"])["story"]
    assert "body_pruned" == story[0]["code"]


def test_the_settings_are_shown(
    cli: CommandLine, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days and what is older than them, as the settings of this moment say."""
    assert event_id
    monkeypatch.setenv("TILLBELL_RETAIN_BODIES_DAYS", "60")
    rows = {row["kind"]: row for row in cli.json("retention", "show")["data"]}
    assert [60, 90, 90, 400, 0, 90, 90, 400, 400, 400] == [rows[kind]["days"] for kind in KINDS]
    assert 0 == rows["bodies"]["rows"]
    lines = cli("retention", "show").out.splitlines()
    assert max(map(len, lines)) <= 100


def test_events_may_not_go_before_what_refers_to_them(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dedupe keys outlive bodies and attempts, or the settings are refused."""
    monkeypatch.setenv("TILLBELL_RETAIN_DEDUPE_DAYS", "80")
    answer = cli("retention", "show", "--json")
    assert (1, "SETTINGS_INVALID") == (answer.code, answer.refusal["code"])
    assert "TILLBELL_RETAIN_DEDUPE_DAYS" in answer.refusal["error"]
