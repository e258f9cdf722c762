"""The command line of pull and proof on both databases: feed, tokens, manifests, the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from config.clock import FixedClock
from dispatcher.feed import read_page
from dispatcher.manifests import close_days
from engine.database import Database
from engine.ids import new_id
from tests.command_line import CommandLine
from tests.dispatching import Dispatching, dispatching
from tests.feeds import everything_readable
from tests.http_interface import EVENTS, Caller, serving

TYPE = "webhook.test"


@dataclass(frozen=True, slots=True)
class Sent:
    """Three events of one endpoint's closed day, and the receiver's files about them."""

    cli: CommandLine
    endpoint: dict[str, Any]
    day: str
    bodies: list[bytes]
    folder: Path

    def manifest(self) -> Path:
        """Write the day's manifest as ``show`` gives it, and return the file."""
        return self.written([self.cli.json("manifest", "show", self.endpoint["id"], self.day)])

    def written(self, documents: list[dict[str, Any]]) -> Path:
        """Write manifests, one a line, and return the file."""
        file = self.folder / "manifests.jsonl"
        file.write_bytes(b"\n".join(orjson.dumps(each) for each in documents))
        return file

    def verify(self, manifest: Path, lines: list[bytes], *secrets: str) -> tuple[int, Any]:
        """Verify lines as received, and return the exit code with the document."""
        file = self.folder / "received.jsonl"
        file.write_bytes(b"".join(line + b"\n" for line in lines))
        given = [
            part for each in secrets or [self.endpoint["secret"]] for part in ("--secret", each)
        ]
        command = ("--manifest", str(manifest), "--received", str(file), "--json")
        answer = self.cli("manifest", "verify", *given, *command)
        return answer.code, answer.document if answer.out else answer.refusal


@pytest.fixture
def sent(cli: CommandLine, database: Database, tmp_path: Path) -> Iterator[Sent]:
    """Return a day that is over: two days ago by the database's clock."""
    began = database.now() - timedelta(days=2)
    with dispatching(database, FixedClock(began)) as dispatch:
        endpoint = dispatch.endpoint(dispatch.tenant(), "http://127.0.0.1:9/hook")
        bodies = publish(dispatch, endpoint["tenant_id"])
        yield Sent(cli, endpoint, began.date().isoformat(), bodies, tmp_path)


def publish(dispatch: Dispatching, tenant_id: str) -> list[bytes]:
    """Publish three events, fan them out and return their bodies."""
    dispatch.publish(tenant_id, 3)
    dispatch.relay.run_until_empty()
    everything_readable(dispatch.database)
    with dispatch.database.read() as connection:
        page = read_page(connection, tenant_id, now=dispatch.clock.now())
    return [event["body"] for event in page.events]


def kinds(document: Any) -> list[tuple[str, str | None]]:
    """Return what kinds of problems were found, and in which event."""
    return [(each["problem"], each["event_id"]) for each in document["problems"]]


def id_of(body: bytes) -> str:
    """Return the id an envelope names."""
    return str(orjson.loads(body)["id"])


def test_the_feed_is_read_on_and_its_bytes_are_exact(sent: Sent) -> None:
    """Pages of two give three events in order; ``--bodies`` writes what was sent."""
    command = ("events", "feed", "--tenant", sent.endpoint["tenant_id"])
    first = sent.cli.json(*command, "--limit", "2")
    rest = sent.cli.json(*command, "--after", first["next_cursor"])
    assert (True, False) == (first["has_more"], rest["has_more"])
    found = [each["id"] for each in first["data"] + rest["data"]]
    assert [id_of(body) for body in sent.bodies] == found
    written = sent.cli(*command, "--bodies").out.encode()
    assert b"".join(body + b"\n" for body in sent.bodies) == written
    people = sent.cli(*command, "--type", TYPE).out
    assert (True, True) == (found[0] in people, "Later: --after" in people)
    answer = sent.cli(*command, "--after", "x", "--json")
    assert (1, "after") == (answer.code, answer.refusal["details"]["field"])
    assert 1 == sent.cli("events", "feed", "--tenant", new_id()).code


def test_a_token_is_made_used_listed_and_revoked(sent: Sent, database: Database) -> None:
    """What ``create`` shows opens the feed until ``revoke``; the list never shows it."""
    tenant_id = sent.endpoint["tenant_id"]
    made = sent.cli.json("tokens", "create", "--tenant", tenant_id, "--scope", "events.read")
    assert ["events.read"] == made["scopes"]
    default = sent.cli.json("tokens", "create", "--tenant", tenant_id, "--expires", "90d")
    assert "codes.read" not in default["scopes"]
    assert datetime.fromisoformat(default["expires_at"]) > database.now() + timedelta(days=89)
    with serving(database, FixedClock(database.now())) as (_, port):
        caller = Caller(port, made["token"])
        assert 200 == caller.get(EVENTS).status
        listed = sent.cli("tokens", "list", "--tenant", tenant_id)
        assert (True, False) == (made["prefix"] in listed.out, made["token"] in listed.out)
        assert sent.cli.json("tokens", "revoke", made["prefix"])["revoked_at"]
        assert 401 == caller.get(EVENTS).status
    shown = sent.cli("tokens", "create", "--tenant", tenant_id).out
    assert "tbk_" in shown
    assert 1 == sent.cli("tokens", "create", "--tenant", tenant_id, "--scope", "all").code
    assert 1 == sent.cli("tokens", "revoke", new_id()).code


def test_days_are_closed_and_listed_by_hand(sent: Sent) -> None:
    """``make`` makes what is missing once; a day that is not over is refused."""
    assert 1 <= sent.cli.json("manifest", "make")["made"]
    assert {"made": 0, "complete": True} == sent.cli.json("manifest", "make")
    endpoint_id = sent.endpoint["id"]
    listed = sent.cli.json("manifest", "list", "--endpoint", endpoint_id, "--to", sent.day)
    assert [(sent.day, 3)] == [(each["day"], each["events_count"]) for each in listed["data"]]
    assert endpoint_id in sent.cli("manifest", "list", "--from", sent.day).out
    shown = sent.cli("manifest", "show", endpoint_id, sent.day).out
    assert all(id_of(body) in shown for body in sent.bodies)
    assert 1 == sent.cli("manifest", "make", "--until", "2999-01-01").code
    assert 1 == sent.cli("manifest", "show", new_id(), sent.day).code
    assert 2 == sent.cli("manifest", "list", "--from", "yesterday").code


def test_a_complete_day_holds(sent: Sent) -> None:
    """Bodies, what ``listen`` writes, hashes and bare ids are all taken; repeats are no fault."""
    sent.cli.json("manifest", "make")
    manifest = sent.manifest()
    first, second, third = sent.bodies
    listened = orjson.dumps({"id": id_of(second), "body": second.decode(), "status": 200})
    bare = orjson.dumps({"webhook-id": id_of(third).upper()})
    code, found = sent.verify(manifest, [first, listened, bare, first])
    assert (0, True, 3, 1, 1) == (
        code,
        found["holds"],
        found["received"],
        found["repeated"],
        found["without_body"],
    )


def test_what_is_missing_extra_or_altered_is_named(sent: Sent) -> None:
    """Each difference has its kind and its id, and the exit code is 1."""
    sent.cli.json("manifest", "make")
    manifest = sent.manifest()
    first, second, third = sent.bodies
    extra = orjson.dumps({"id": new_id()})
    altered = second.replace(b'"number":1', b'"number":7')
    code, found = sent.verify(manifest, [altered, third, extra])
    assert (1, False) == (code, found["holds"])
    assert [
        ("missing", id_of(first)),
        ("altered", id_of(second)),
        ("extra", orjson.loads(extra)["id"]),
    ] == kinds(found)


def test_a_forged_manifest_is_found(sent: Sent) -> None:
    """A changed body, another's secret, a changed list: each is named."""
    sent.cli.json("manifest", "make")
    shown = orjson.loads(sent.manifest().read_bytes())
    other = "whsec_" + "QUJD" * 8
    code, found = sent.verify(sent.manifest(), sent.bodies, other)
    assert (1, [("signature", None)]) == (code, kinds(found))
    assert 0 == sent.verify(sent.manifest(), sent.bodies, other, sent.endpoint["secret"])[0]
    forged = {**shown, "body": shown["body"].replace('"events_count":3', '"events_count":2')}
    forged["events"] = shown["events"][:2]
    code, found = sent.verify(sent.written([forged]), sent.bodies[:2])
    assert (1, ["signature", "list"]) == (code, [each["problem"] for each in found["problems"]])


def test_a_day_that_was_left_out_is_found(sent: Sent, database: Database) -> None:
    """Of three days in a row none may be missing, and each follows from the one before."""
    tomorrow = database.now() + timedelta(days=2)
    with dispatching(database, FixedClock(tomorrow)) as later:
        close_days(database, later.guard.keyring, tomorrow)
    listed = sent.cli.json("manifest", "list", "--endpoint", sent.endpoint["id"])["data"]
    assert len(listed) >= 3
    days = [sent.cli.json("manifest", "show", sent.endpoint["id"], each["day"]) for each in listed]
    assert 0 == sent.verify(sent.written(days), sent.bodies)[0]
    code, found = sent.verify(sent.written([days[0], days[2]]), sent.bodies)
    assert (1, [("gap", None)]) == (code, kinds(found))


def test_without_a_list_one_day_is_compared_as_a_whole(sent: Sent) -> None:
    """The digest alone tells whether everything came; several days need their lists."""
    sent.cli.json("manifest", "make")
    [line] = sent.cli.json("manifest", "list", "--to", sent.day)["data"]
    assert 0 == sent.verify(sent.written([line]), sent.bodies)[0]
    code, found = sent.verify(sent.written([line]), sent.bodies[:2])
    assert (1, [("digest", None)]) == (code, kinds(found))
    code, refused = sent.verify(sent.written([line, line]), sent.bodies)
    assert (1, "VALIDATION_ERROR") == (code, refused["code"])


@pytest.mark.parametrize("content", ["", "[]", "{", '{"body": "x"}', "3", '{"data": [4]}'])
def test_a_file_that_holds_no_manifest_is_refused(sent: Sent, content: str) -> None:
    """The refusal names the file's option."""
    file = sent.folder / "not.json"
    file.write_text(content)
    code, refused = sent.verify(file, sent.bodies)
    assert (1, "manifest") == (code, refused["details"]["field"])


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"id": 3}'])
def test_a_line_that_names_no_event_is_refused(sent: Sent, line: bytes) -> None:
    """The refusal names the line."""
    sent.cli.json("manifest", "make")
    code, refused = sent.verify(sent.manifest(), [*sent.bodies, line])
    assert (1, "received") == (code, refused["details"]["field"])
    assert "line 4" in refused["error"]
