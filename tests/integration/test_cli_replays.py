"""``tillbell replays``, ``endpoints enable`` and ``endpoints test``, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from config.clock import FixedClock
from dispatcher import endpoint_state, replay_steps
from engine.database import Database
from tests.command_line import CommandLine
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

UNKNOWN = "01900000-0000-7000-8000-000000000000"
HEARD = ["webhook.*", "remittance.*"]


@dataclass
class Scene:
    """A dispatcher, a receiver that accepts, and one tenant's endpoint."""

    dispatching: Dispatching
    receiver: Receiver
    tenant_id: str
    endpoint_id: str

    def attempt(self) -> int:
        """Make one round of attempts at what is due now."""
        self.dispatching.clock.set(datetime.now(UTC))
        return self.dispatching.run_once()

    def publish(self, count: int) -> None:
        """Publish events and attempt them."""
        self.dispatching.clock.set(datetime.now(UTC))
        self.dispatching.publish(self.tenant_id, count)
        self.attempt()

    def step(self) -> int:
        """Make one step of a replay, as the scheduler does."""
        return replay_steps.run_once(self.dispatching.units, datetime.now(UTC))


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    """Set the scene on the database of the command line."""
    clock = FixedClock(datetime.now(UTC))
    with dispatching(database, clock) as found, receiving() as receiver:
        tenant_id = found.tenant()
        endpoint_id = found.endpoint(tenant_id, receiver.url, events=HEARD)["id"]
        yield Scene(found, receiver, tenant_id, endpoint_id)


def test_a_dry_run_counts_and_leaves_no_trace(cli: CommandLine, scene: Scene) -> None:
    """The count by endpoint and state is shown; no replay is there afterwards."""
    scene.publish(3)
    found = cli.json("replays", "create", "--state", "succeeded", "--dry-run")
    group = {
        "endpoint_id": scene.endpoint_id,
        "url": scene.receiver.url,
        "endpoint_state": "active",
        "state": "succeeded",
        "count": 3,
    }
    assert {"matched": 3, "left_alone": 0, "groups": [group]} == found
    shown = cli("replays", "create", "--tenant", scene.tenant_id, "--dry-run").out
    assert "3 deliveries match; nothing was changed." in shown
    assert scene.endpoint_id in shown
    assert [] == cli.json("replays", "list")["data"]


def test_a_replay_is_followed_from_its_making_to_its_end(cli: CommandLine, scene: Scene) -> None:
    """It says who, why, of what, how far; a step arms it, and the callbacks arrive again."""
    scene.publish(3)
    command = ("replays", "create", "--type", "webhook.*", "--reason", "asked for")
    made = cli.json(*command, "--rate", "2", "--endpoint", scene.endpoint_id)
    assert ("running", 3, 0, 0) == tuple(
        made[name] for name in ("state", "matched", "armed", "percent")
    )
    assert ("asked for", 2.0, False) == (made["reason"], made["rate_per_second"], made["new_ids"])
    assert {"event": "webhook.*", "endpoint_id": scene.endpoint_id} == made["selection"]
    assert made["actor"].startswith("cli:")
    assert 2 == scene.step()
    half = cli.json("replays", "show", made["id"])
    assert (2, 66, "running") == (half["armed"], half["percent"], half["state"])
    assert 2 == scene.attempt()
    assert 5 == len(scene.receiver.callbacks)
    shown = cli("replays", "show", made["id"]).out
    assert "2 of 3 (66 %)" in shown
    assert "at most 2 a second" in shown
    assert [made["id"]] == [row["id"] for row in cli.json("replays", "list")["data"]]
    assert [] == cli.json("replays", "list", "--state", "paused")["data"]


def test_a_replay_is_paused_resumed_and_cancelled(cli: CommandLine, scene: Scene) -> None:
    """Each verb moves it, and one that does not fit says what is allowed."""
    scene.publish(1)
    replay_id = cli.json("replays", "create", "--state", "succeeded")["id"]
    assert "paused" == cli.json("replays", "pause", replay_id)["state"]
    assert 0 == scene.step()
    assert "running" == cli.json("replays", "resume", replay_id)["state"]
    cancelled = cli.json("replays", "cancel", replay_id)
    assert "cancelled" == cancelled["state"]
    assert ["pause", "resume", "cancel"] == [each["verb"] for each in cancelled["changes"]]
    shown = " ".join(cli("replays", "show", replay_id).out.split())
    assert "cancelled " in shown
    assert f" by {cancelled['changes'][0]['actor']}; resumed" in shown
    answer = cli("replays", "resume", replay_id, "--json")
    assert (1, "INVALID_STATUS", []) == (
        answer.code,
        answer.refusal["code"],
        answer.refusal["details"]["allowed"],
    )
    assert 0 == scene.step()


def test_copies_have_new_ids_and_say_what_they_repeat(cli: CommandLine, scene: Scene) -> None:
    """With --new-ids the receiver sees another id, and explain names the event it repeats."""
    scene.publish(1)
    cli.json("replays", "create", "--state", "succeeded", "--new-ids")
    assert 1 == scene.step()
    assert 1 == scene.attempt()
    old, new = (each.headers["webhook-id"] for each in scene.receiver.callbacks)
    assert old != new
    (copy,) = cli.json("events", "show", new)["deliveries"]
    told = cli("deliveries", "explain", copy["id"]).out
    assert f"A replay sent event {old} again" in " ".join(told.split())


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ([], "selection"),
        (["--state", "lost"], "state"),
        (["--endpoint", "x"], "endpoint_id"),
        (["--tenant", "x"], "tenant_id"),
        (["--type", "Remittance"], "event"),
        (["--type", ""], "event"),
        (["nonsense"], "ids"),
        (["--since", "1h", "--until", "2h"], "until"),
        (["--state", "failed", "--rate", "0"], "rate_per_second"),
        (["--state", "failed", "--rate", "nan"], "rate_per_second"),
        (["--state", "failed", "--rate", "1e9"], "rate_per_second"),
        (["--state", "failed", "--reason", "x" * 501], "reason"),
        (["--state", "failed", "--reason", "\udcff"], "reason"),
    ],
)
def test_every_malformed_filter_is_named_and_nothing_changes(
    cli: CommandLine, scene: Scene, arguments: list[str], field: str
) -> None:
    """The field that cannot be is in the refusal; no replay is made."""
    scene.publish(1)
    answer = cli("replays", "create", *arguments, "--json")
    assert (1, "VALIDATION_ERROR", field) == (
        answer.code,
        answer.refusal["code"],
        answer.refusal["details"]["field"],
    )
    assert [] == cli.json("replays", "list")["data"]


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "cancel"])
@pytest.mark.parametrize("given", ["x", UNKNOWN])
def test_an_unknown_replay_is_not_found(
    cli: CommandLine, scene: Scene, verb: str, given: str
) -> None:
    """Whatever is asked of it."""
    assert scene
    answer = cli("replays", verb, given, "--json")
    assert (1, "NOT_FOUND") == (answer.code, answer.refusal["code"])


def held(scene: Scene, count: int) -> None:
    """Disable the endpoint and publish what it then misses."""
    with scene.dispatching.units.begin(actor="test") as work:
        endpoint_state.disable(work, scene.endpoint_id)
    scene.publish(count)


def test_enabling_says_what_was_held_and_how_to_send_it(cli: CommandLine, scene: Scene) -> None:
    """The count is there, and the command that is shown sends exactly that."""
    held(scene, 2)
    said = cli("endpoints", "enable", scene.endpoint_id).out
    assert "2 deliveries were held while it was disabled" in said
    command = f"tillbell replays create --held --endpoint {scene.endpoint_id}"
    assert command in said
    made = cli.json(*command.split()[1:])
    assert 2 == made["matched"]
    assert 2 == scene.step()
    assert 2 == scene.attempt()


def test_enabling_sends_what_was_held_when_asked_to(cli: CommandLine, scene: Scene) -> None:
    """With --replay-held the replay is made in the same transaction."""
    held(scene, 2)
    answer = cli.json("endpoints", "enable", scene.endpoint_id, "--replay-held")
    assert ("active", 2) == (answer["state"], answer["held"])
    assert answer["replay_id"] == cli.json("replays", "list")["data"][0]["id"]
    assert 2 == scene.step()


def test_enabling_where_nothing_was_held_makes_no_replay(cli: CommandLine, scene: Scene) -> None:
    """Nothing to send is said, and no empty job is left behind."""
    held(scene, 0)
    answer = cli.json("endpoints", "enable", scene.endpoint_id, "--replay-held")
    assert (0, None) == (answer["held"], answer["replay_id"])
    assert [] == cli.json("replays", "list")["data"]


def try_out(cli: CommandLine, scene: Scene, *options: str) -> tuple[int, Any]:
    """Run ``endpoints test`` while a worker delivers; return its exit code and document."""
    done = threading.Event()

    def deliver() -> None:
        while not done.wait(0.02):
            scene.attempt()

    worker = threading.Thread(target=deliver)
    worker.start()
    try:
        answer = cli("endpoints", "test", scene.endpoint_id, "--json", *options)
    finally:
        done.set()
        worker.join()
    return answer.code, answer.document


def test_an_example_of_any_type_is_sent_and_its_answer_shown(
    cli: CommandLine, scene: Scene
) -> None:
    """The receiver gets a signed example of the type asked for, and exit code 0 says so."""
    code, document = try_out(cli, scene, "--type", "remittance.overdue")
    assert (0, "succeeded", None) == (code, document["state"], document["not_yet"])
    (callback,) = scene.receiver.callbacks
    assert b'"days_overdue":1' in callback.body
    assert 200 == document["history"][0]["status_code"]


def test_a_refused_example_is_an_exit_code(cli: CommandLine, scene: Scene) -> None:
    """A script can rely on it."""
    scene.receiver.statuses = (500,)
    code, document = try_out(cli, scene)
    assert (1, 500) == (code, document["last_status_code"])


def test_what_holds_an_example_back_is_said(cli: CommandLine, scene: Scene) -> None:
    """A pause is named, and a disabled endpoint or an unknown type is refused at once."""
    with scene.dispatching.units.begin(actor="test") as work:
        endpoint_state.pause(work, scene.endpoint_id)
    answer = cli("endpoints", "test", scene.endpoint_id, "--wait", "0")
    assert (1, True) == (answer.code, "The endpoint is paused (manual)" in answer.err)
    unknown = cli("endpoints", "test", scene.endpoint_id, "--type", "no.such", "--json")
    assert "UNKNOWN_EVENT_TYPE" == unknown.refusal["code"]
    held(scene, 0)
    refused = cli("endpoints", "test", scene.endpoint_id, "--json")
    assert ("INVALID_STATUS", ["enable"]) == (
        refused.refusal["code"],
        refused.refusal["details"]["allowed"],
    )
