"""``tillbell deliveries`` and ``replays``: how callbacks went, and sending them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.clock import FixedClock
from engine.database import Database
from tests.command_line import CommandLine
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

#: The JSON names of a delivery and of an attempt (design §6).
DELIVERY = {
    "id",
    "event_id",
    "event",
    "endpoint_id",
    "tenant_id",
    "state",
    "attempts",
    "next_attempt_at",
    "last_status_code",
    "last_error",
    "created_at",
    "settled_at",
}
ATTEMPT = {
    "number",
    "started_at",
    "duration_ms",
    "status_code",
    "error",
    "response_excerpt",
    "trigger",
}


@dataclass
class Scene:
    """A dispatcher, a receiver that fails once and then accepts, and one tenant's endpoint."""

    dispatching: Dispatching
    receiver: Receiver
    tenant_id: str
    endpoint_id: str

    def attempt(self) -> None:
        """Make one round of attempts at what is due now."""
        self.dispatching.clock.set(datetime.now(UTC))
        self.dispatching.run_once()


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    """Set the scene on the database of the command line."""
    clock = FixedClock(datetime.now(UTC))
    with (
        dispatching(database, clock) as found,
        receiving(Receiver(statuses=(500, 200))) as receiver,
    ):
        tenant_id = found.tenant()
        endpoint_id = found.endpoint(tenant_id, receiver.url)["id"]
        yield Scene(found, receiver, tenant_id, endpoint_id)


def test_a_delivery_is_listed_and_shown_with_its_attempts(cli: CommandLine, scene: Scene) -> None:
    """The design's names are there, the count is a number, and the attempts are its history."""
    scene.dispatching.publish(scene.tenant_id)
    scene.attempt()
    listed = cli.json("deliveries", "list")
    assert {"data", "next_cursor"} == set(listed)
    (delivery,) = listed["data"]
    assert DELIVERY == set(delivery)
    assert ("retrying", 1, 500) == (
        delivery["state"],
        delivery["attempts"],
        delivery["last_status_code"],
    )
    shown = cli.json("deliveries", "show", delivery["id"])
    assert delivery == {name: shown[name] for name in DELIVERY}
    (attempt,) = shown["history"]
    assert ATTEMPT <= set(attempt)
    assert (1, 500, "scheduled") == (attempt["number"], attempt["status_code"], attempt["trigger"])


@pytest.mark.parametrize("option", ["--state", "--endpoint", "--event", "--tenant", "--type"])
def test_a_list_is_narrowed_by_each_filter(cli: CommandLine, scene: Scene, option: str) -> None:
    """A filter that fits keeps the delivery, one that does not leaves none."""
    (event_id,) = scene.dispatching.publish(scene.tenant_id)
    scene.attempt()
    other = "01900000-0000-7000-8000-000000000000"
    fitting, unfitting = {
        "--state": ("retrying", "failed"),
        "--endpoint": (scene.endpoint_id, other),
        "--event": (event_id, other),
        "--tenant": (scene.tenant_id, other),
        "--type": ("webhook.test", "remittance.due"),
    }[option]
    assert 1 == len(cli.json("deliveries", "list", option, fitting)["data"])
    assert [] == cli.json("deliveries", "list", option, unfitting)["data"]


def test_a_list_begins_where_it_is_told(cli: CommandLine, scene: Scene) -> None:
    """``--since`` takes an instant or a span, ``--limit`` and ``--after`` make pages."""
    scene.dispatching.publish(scene.tenant_id, 3)
    scene.attempt()
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    assert 3 == len(cli.json("deliveries", "list", "--since", "1d")["data"])
    assert [] == cli.json("deliveries", "list", "--since", later)["data"]
    first = cli.json("deliveries", "list", "--limit", "2")
    rest = cli.json("deliveries", "list", "--limit", "2", "--after", first["next_cursor"])
    assert (2, 1, None) == (len(first["data"]), len(rest["data"]), rest["next_cursor"])


@pytest.mark.parametrize(
    "arguments", [["--state", "lost"], ["--endpoint", "x"], ["--limit", "0"], ["--after", "x"]]
)
def test_a_filter_that_cannot_be_is_refused(cli: CommandLine, arguments: list[str]) -> None:
    """A mistyped filter is an error, never an empty list."""
    answer = cli("deliveries", "list", *arguments, "--json")
    assert (1, "VALIDATION_ERROR") == (answer.code, answer.refusal["code"])


def test_a_delivery_is_sent_again_by_its_id(cli: CommandLine, scene: Scene) -> None:
    """The replay is recorded with who and why, and the same event goes out once more."""
    scene.dispatching.publish(scene.tenant_id)
    scene.attempt()
    (delivery,) = cli.json("deliveries", "list")["data"]
    record = cli.json("deliveries", "replay", delivery["id"], "--reason", "asked for")
    assert ("completed", 1, 1, "asked for") == (
        record["state"],
        record["matched"],
        record["armed"],
        record["reason"],
    )
    assert record["actor"].startswith("cli:")
    scene.attempt()
    assert "succeeded" == cli.json("deliveries", "show", delivery["id"])["state"]
    first, second = scene.receiver.callbacks
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert [record["id"]] == [each["id"] for each in cli.json("replays", "list")["data"]]


def test_deliveries_are_sent_again_by_filter(cli: CommandLine, scene: Scene) -> None:
    """What a filter does not cover is left alone."""
    scene.dispatching.publish(scene.tenant_id, 2)
    scene.attempt()
    command = ("deliveries", "replay", "--endpoint", scene.endpoint_id, "--state")
    assert 0 == cli.json(*command, "cancelled")["armed"]
    states = [each["state"] for each in cli.json("deliveries", "list")["data"]]
    assert ["retrying", "succeeded"] == sorted(states)
    assert 1 == cli.json(*command, "succeeded")["armed"]


def test_an_unknown_delivery_is_not_sent_again(cli: CommandLine, scene: Scene) -> None:
    """A replay of an id that does not exist is refused and leaves no record."""
    unknown = scene.endpoint_id
    answer = cli("deliveries", "replay", unknown, "--json")
    assert (1, "NOT_FOUND") == (answer.code, answer.refusal["code"])
    assert [] == cli.json("replays", "list")["data"]


def test_people_see_states_answers_and_whole_ids(cli: CommandLine, scene: Scene) -> None:
    """The tables of deliveries, of one delivery and of replays fit 100 columns."""
    scene.dispatching.publish(scene.tenant_id, 2)
    scene.attempt()
    delivery: dict[str, Any] = cli.json("deliveries", "list")["data"][0]
    cli.json("deliveries", "replay", delivery["id"], "--reason", "asked for")
    for command in (
        ("deliveries", "list"),
        ("deliveries", "show", delivery["id"]),
        ("replays", "list"),
    ):
        lines = cli(*command).out.splitlines()
        assert max(map(len, lines)) <= 100, command
    assert delivery["id"] in cli("deliveries", "list").out
