"""The tenant's HTTP routes on both databases: true to their OpenAPI, and to their tenant alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher import manifests
from engine import api_tokens
from engine.database import Database
from engine.events import EventDraft
from engine.ids import new_id
from engine.tables import events
from tests.dispatching import Dispatching, dispatching
from tests.feeds import everything_readable
from tests.http_interface import EVENTS, Caller, Reply, serving, token
from tests.receivers import receiving

WEBHOOKS = "/api/v1/webhooks"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant with one endpoint, two delivered events, and a caller in its name."""

    id: str
    endpoint_id: str
    event_ids: list[str]
    delivery_id: str
    caller: Caller

    def paths(self, day: str) -> dict[str, str]:
        """Return every route that names something of this tenant, filled in."""
        return {
            "/events/{event_id}/body": f"/events/{self.event_ids[0]}/body",
            "/endpoints/{endpoint_id}": f"/endpoints/{self.endpoint_id}",
            "/deliveries/{delivery_id}": f"/deliveries/{self.delivery_id}",
            "/manifests/{endpoint_id}/{day}": f"/manifests/{self.endpoint_id}/{day}",
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """Two tenants of one installation, a day later, and the interface that serves both."""

    app: FastAPI
    dispatch: Dispatching
    mine: Tenant
    other: Tenant
    day: str


@pytest.fixture
def stage(database: Database, clock: FixedClock) -> Iterator[Stage]:
    """Return two tenants to whom the same happened, each to its own."""
    day = clock.now().date().isoformat()
    with (
        dispatching(database, clock) as dispatch,
        receiving() as receiver,
        serving(database, clock) as (app, port),
    ):
        made = [dispatch.endpoint(dispatch.tenant(), receiver.url) for _ in range(2)]
        published = [dispatch.publish(each["tenant_id"], 2) for each in made]
        dispatch.run_once()
        clock.advance(timedelta(days=1))
        manifests.close_days(database, dispatch.guard.keyring, clock.now())
        everything_readable(database)
        deliveries = {row.endpoint_id: row.id for row in dispatch.rows()}
        mine, other = (
            Tenant(
                endpoint["tenant_id"],
                endpoint["id"],
                event_ids,
                deliveries[endpoint["id"]],
                Caller(port, token(dispatch.units, endpoint["tenant_id"])["token"]),
            )
            for endpoint, event_ids in zip(made, published, strict=True)
        )
        yield Stage(app, dispatch, mine, other, day)


def test_every_answer_is_what_openapi_describes(stage: Stage) -> None:
    """Each route of the tenant answers 200 with a document of exactly the described shape."""
    described = stage.app.openapi()
    routes = [path for path in described["paths"] if path.startswith(WEBHOOKS)]
    filled = stage.mine.paths(stage.day)
    for path in routes:
        short = path.removeprefix(WEBHOOKS)
        reply = stage.mine.caller.get(WEBHOOKS + filled.get(short, short))
        assert (200, "application/json") == (reply.status, reply.headers["content-type"]), path
        check(described, described["paths"][path]["get"]["responses"]["200"], reply.document)
        if "data" in reply.document:
            assert reply.document["data"], path
    assert {"get"} == {method for path in routes for method in described["paths"][path]}
    assert 8 == len(routes)


def check(described: dict[str, Any], response: dict[str, Any], document: Any) -> None:
    """Hold a document against its schema in OpenAPI."""
    schema = response["content"]["application/json"]["schema"]
    whole = {**schema, "components": described["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(document)


def test_every_refusal_is_what_openapi_describes(stage: Stage) -> None:
    """Wrong values are 400 with the field named, on every route, in the one shape."""
    described = stage.app.openapi()
    for path, status, field in (
        ("/events?after=x", 400, "after"),
        ("/events?limit=0", 400, "limit"),
        ("/events?limit=ten", 400, "limit"),
        ("/events?type=%00", 400, "type"),
        ("/endpoints?after=x", 400, "after"),
        ("/endpoints?state=asleep", 400, "state"),
        ("/deliveries?state=lost", 400, "state"),
        ("/deliveries?endpoint_id=x", 400, "endpoint_id"),
        ("/deliveries?since=2026-03-02T09:30:00", 400, "since"),
        ("/deliveries?after=x", 400, "after"),
        ("/manifests?from=yesterday", 400, "from"),
        ("/manifests?endpoint_id=x", 400, "endpoint_id"),
        ("/manifests?after=x", 400, "after"),
        (f"/manifests/{stage.mine.endpoint_id}/2026-02-30", 400, "day"),
        (f"/events/{new_id()}/body", 404, "id"),
        ("/events/x/body", 404, "id"),
        ("/deliveries/x", 404, "id"),
    ):
        reply = stage.mine.caller.get(WEBHOOKS + path)
        assert status == reply.status, path
        assert field in reply.document["error"]["fields"], path
        assert reply.headers["x-request-id"] == reply.document["error"]["request_id"]
        route = described["paths"][f"{WEBHOOKS}/events"]["get"]["responses"]["default"]
        check(described, route, reply.document)
    unknown = stage.mine.caller.get("/api/v1/nothing")
    assert (404, "NOT_FOUND") == (unknown.status, unknown.code)


def test_a_tenant_sees_only_its_own_on_every_route(stage: Stage) -> None:
    """Lists hold nothing of the other; what the other has is as missing as what never was."""
    mine, other = stage.mine, stage.other
    for path in ("/events", "/endpoints", "/deliveries", "/manifests"):
        listed = mine.caller.get(WEBHOOKS + path)
        assert other.caller.get(WEBHOOKS + path).document["data"], path
        for each in (other.id, other.endpoint_id, other.delivery_id, *other.event_ids):
            assert each.encode() not in listed.body, path
    for narrowed in (
        f"/deliveries?endpoint_id={other.endpoint_id}",
        f"/deliveries?event_id={other.event_ids[0]}",
        f"/manifests?endpoint_id={other.endpoint_id}",
        f"/events?subject_id={other.event_ids[0]}",
    ):
        assert [] == mine.caller.get(WEBHOOKS + narrowed).document["data"]
    nobody = Tenant("", new_id(), [new_id()], new_id(), mine.caller)
    theirs, missing = other.paths(stage.day), nobody.paths(stage.day)
    routes = {each for each in stage.app.openapi()["paths"] if each.startswith(WEBHOOKS + "/")}
    assert set(theirs) == {each.removeprefix(WEBHOOKS) for each in routes if "{" in each}
    for route, path in theirs.items():
        hidden, absent = (mine.caller.get(WEBHOOKS + each) for each in (path, missing[route]))
        assert (404, "NOT_FOUND", "NOT_FOUND") == (hidden.status, hidden.code, absent.code)
        assert without_names(hidden, other) == without_names(absent, nobody), route


def without_names(reply: Reply, asked: Tenant) -> str:
    """Return a refusal without what was asked for and the number of the request."""
    said = reply.body.decode()
    request_id = reply.document["error"]["request_id"]
    for name in (request_id, asked.event_ids[0], asked.delivery_id, asked.endpoint_id):
        said = said.replace(name, "…")
    return said


def test_the_feed_embeds_the_bytes_that_were_sent(stage: Stage) -> None:
    """Page and single body are the stored bytes, which are the signed and delivered ones."""
    with stage.dispatch.database.read() as connection:
        query = select(events.c.id, events.c.body).where(events.c.tenant_id == stage.mine.id)
        stored = {row.id: row.body for row in connection.execute(query)}
    page = stage.mine.caller.get(EVENTS)
    assert set(stored) == {each["id"] for each in page.document["data"]}
    for event_id, body in stored.items():
        assert b'"body":' + body + b"}" in page.body
        assert body == stage.mine.caller.get(f"{EVENTS}/{event_id}/body").body


def test_the_feed_is_read_on_page_by_page(stage: Stage) -> None:
    """Each page's cursor leads to the next, and the last one waits for what comes."""
    first = stage.mine.caller.get(f"{EVENTS}?limit=1").document
    assert (True, [stage.mine.event_ids[0]]) == (
        first["has_more"],
        [each["id"] for each in first["data"]],
    )
    second = stage.mine.caller.get(f"{EVENTS}?after={first['next_cursor']}").document
    assert (False, [stage.mine.event_ids[1]]) == (
        second["has_more"],
        [each["id"] for each in second["data"]],
    )
    [third] = stage.dispatch.publish(stage.mine.id)
    everything_readable(stage.dispatch.database)
    after = stage.mine.caller.get(f"{EVENTS}?after={second['next_cursor']}").document
    assert [third] == [each["id"] for each in after["data"]]


def test_a_cursor_that_is_too_old_is_gone(stage: Stage) -> None:
    """410 tells a reader to begin anew, instead of passing over what was purged."""
    cursor = stage.mine.caller.get(EVENTS).document["next_cursor"]
    stage.dispatch.clock.advance(timedelta(days=32))
    reply = stage.mine.caller.get(f"{EVENTS}?after={cursor}")
    assert (410, "CURSOR_EXPIRED") == (reply.status, reply.code)


def test_codes_are_masked_for_whom_they_are_not_meant(stage: Stage) -> None:
    """Without ``codes.read`` what was sold is left out and said to be; with it the bytes stand."""
    line = {"deliver_id": "d", "order_detail_id": 1, "status": 1, "delivery_data": ["PIN-1234"]}
    draft = EventDraft(tenant_id=stage.mine.id, type="order.line_updated", data=line)
    with stage.dispatch.units.begin(actor="test") as work:
        work.raise_event(draft)
    everything_readable(stage.dispatch.database)
    narrow = token(stage.dispatch.units, stage.mine.id, api_tokens.SCOPES_DEFAULT)["token"]
    path = f"{EVENTS}?type=order.line_updated"
    masked = stage.mine.caller.get(path, narrow)
    [event] = masked.document["data"]
    assert (True, None) == (event["masked"], event["body"]["data"]["delivery_data"])
    refused = stage.mine.caller.get(f"{EVENTS}/{draft.id}/body", narrow)
    assert (403, "FORBIDDEN") == (refused.status, refused.code)
    for reply in (masked, refused):
        assert b"PIN-1234" not in reply.body
    whole = stage.mine.caller.get(path)
    assert (False, ["PIN-1234"]) == (
        whole.document["data"][0]["masked"],
        whole.document["data"][0]["body"]["data"]["delivery_data"],
    )


def test_lists_go_on_after_their_cursor(stage: Stage) -> None:
    """Endpoints and deliveries come page by page, each once."""
    for _ in range(2):
        stage.dispatch.endpoint(stage.mine.id, "http://127.0.0.1:9/hook")
    for path, count in (("/endpoints", 3), ("/deliveries", 2)):
        found, after = [], ""
        while True:
            page = stage.mine.caller.get(f"{WEBHOOKS}{path}?limit=1{after}").document
            found += [each["id"] for each in page["data"]]
            if page["next_cursor"] is None:
                break
            after = f"&after={page['next_cursor']}"
        assert (count, count) == (len(found), len(set(found))), path


def test_an_unforeseen_failure_is_answered_in_the_one_shape(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours is a 500 that names nothing but its request."""

    def fail(*_given: object, **_named: object) -> None:
        message = "a secret of the inside"
        raise RuntimeError(message)

    monkeypatch.setattr("api.webhooks.feed.read_page", fail)
    reply = stage.mine.caller.get(EVENTS)
    assert (500, "INTERNAL_ERROR") == (reply.status, reply.code)
    assert b"inside" not in reply.body
