"""``tillbell deliveries explain``: the life of real deliveries in words, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete

from config.clock import FixedClock
from dispatcher import endpoint_state
from dispatcher.tables import attempts
from engine.database import Database
from tests.command_line import CommandLine
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving


class Scene:
    """A dispatcher whose receiver fails once, then accepts; and one tenant's endpoint."""

    def __init__(self, found: Dispatching, url: str, cli: CommandLine) -> None:
        """Create the tenant and the endpoint."""
        self.dispatching = found
        self.cli = cli
        self.tenant_id = found.tenant()
        self.endpoint_id = found.endpoint(self.tenant_id, url, events=["webhook.*"])["id"]

    def attempt(self) -> None:
        """Make one round of attempts at what is due now."""
        self.dispatching.clock.set(datetime.now(UTC))
        self.dispatching.run_once()

    def published(self) -> str:
        """Publish an event, attempt it once, and return its delivery's id."""
        self.dispatching.publish(self.tenant_id)
        self.attempt()
        (found,) = self.cli.json("deliveries", "list")["data"]
        return str(found["id"])

    def told(self, delivery_id: str) -> Any:
        """Return the explanation as a document."""
        return self.cli.json("deliveries", "explain", delivery_id)


@pytest.fixture
def scene(database: Database, cli: CommandLine) -> Iterator[Scene]:
    """Set the scene on the database of the command line."""
    clock = FixedClock(datetime.now(UTC))
    with (
        dispatching(database, clock) as found,
        receiving(Receiver(statuses=(500, 200))) as receiver,
    ):
        yield Scene(found, receiver.url, cli)


def codes(document: Any, about: str) -> list[str]:
    """Return the codes of the sentences about one thing."""
    return [each["code"] for each in document["story"] if each["about"] == about]


def test_a_delivery_is_explained_from_its_event_to_its_next_attempt(scene: Scene) -> None:
    """Event, pattern, the attempt that failed, and when the second of twelve is due."""
    delivery_id = scene.published()
    document = scene.told(delivery_id)
    assert (delivery_id, "retrying") == (document["id"], document["state"])
    abouts = ["event", "match", "attempt", "next"]
    assert abouts == list(dict.fromkeys(each["about"] for each in document["story"]))
    assert (["raised"], ["pattern"], ["retried"]) == (
        codes(document, "event"),
        codes(document, "match"),
        codes(document, "attempt"),
    )
    shown = scene.cli.json("deliveries", "show", delivery_id)
    assert shown["next_attempt_at"] == document["next"]["at"]
    text = scene.cli("deliveries", "explain", delivery_id).out
    assert "webhook.*" in text
    assert "Attempt 2 of 12" in " ".join(text.split())


def test_a_replay_is_named_as_the_cause_of_its_attempt(scene: Scene) -> None:
    """Who asked for it and why stand in the sentence of the attempt; then it is delivered."""
    delivery_id = scene.published()
    scene.cli.json("deliveries", "replay", delivery_id, "--reason", "they asked")
    scene.attempt()
    document = scene.told(delivery_id)
    assert ["retried", "succeeded"] == codes(document, "attempt")
    assert {"at": None, "codes": ["succeeded"]} == document["next"]
    told = [each["text"] for each in document["story"] if each["about"] == "attempt"]
    assert "they asked" in told[1]


def test_a_test_is_told_as_one(scene: Scene) -> None:
    """What was sent to one endpoint alone does not claim a pattern."""
    with scene.dispatching.units.begin(actor="test") as work:
        delivery_id = endpoint_state.send_test(work, scene.endpoint_id)
    assert ["test"] == codes(scene.told(delivery_id), "match")
    scene.attempt()
    assert ["test"] == codes(scene.told(delivery_id), "match")


@pytest.mark.parametrize(("verb", "code"), [("pause", "paused"), ("disable", "endpoint_disabled")])
def test_an_endpoint_that_is_not_called_is_the_reason(scene: Scene, verb: str, code: str) -> None:
    """A pause holds the delivery, a disabled endpoint will have it cancelled."""
    delivery_id = scene.published()
    scene.cli.json("endpoints", verb, scene.endpoint_id)
    assert code in scene.told(delivery_id)["next"]["codes"]


def test_a_pruned_history_is_told_as_such(scene: Scene) -> None:
    """Without its attempts the delivery still says what became of it."""
    delivery_id = scene.published()
    with scene.dispatching.database.write() as connection:
        connection.execute(delete(attempts))
    assert ["pruned"] == codes(scene.told(delivery_id), "attempt")


def test_an_unknown_delivery_is_refused(scene: Scene) -> None:
    """An id that does not exist, and one that is no id, are the same refusal."""
    for given in (scene.endpoint_id, "x"):
        answer = scene.cli("deliveries", "explain", given, "--json")
        assert (1, "NOT_FOUND") == (answer.code, answer.refusal["code"])
