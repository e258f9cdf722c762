"""Whole calls to a real receiver: each profile, every credential, and a rotation under way."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from config.clock import FixedClock
from dispatcher import endpoints
from dispatcher.egress import EgressPolicy
from dispatcher.endpoint_secrets import Kind
from dispatcher.endpoints import EndpointGuard
from dispatcher.errors import EndpointUrlRefused
from dispatcher.key_pairs import decode_public_key
from dispatcher.signing import verify
from dispatcher.tables import endpoints as endpoint_table
from engine.database import Database
from engine.events import EventDraft
from engine.money import json_amount
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Callback, Receiver, receiving

HEADERS = {"Authorization": "Bearer of-the-owner", "X-Shop": "north; wind"}
STANDARD = {"webhook-id", "webhook-timestamp", "webhook-signature"}


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database, whose clock public verifiers accept."""
    clock.set(database.now())
    with dispatching(database, clock) as it:
        yield it


def change(dispatch: Dispatching, endpoint_id: str, **options: Any) -> dict[str, Any]:
    """Change an endpoint."""
    with dispatch.units.begin(actor="test") as work:
        return endpoints.change(work, dispatch.guard, endpoint_id, **options)


def raise_event(dispatch: Dispatching, tenant_id: str, type_name: str, data: Any) -> str:
    """Raise one event and return its id."""
    draft = EventDraft(tenant_id=tenant_id, type=type_name, data=data)
    with dispatch.units.begin(actor="test") as work:
        work.raise_event(draft)
    return draft.id


def accepted(secret: str, callback: Callback) -> bool:
    """Let the public library judge a call by one secret; it raises where it refuses."""
    Webhook(secret).verify(callback.body, dict(callback.headers))
    return True


def test_every_credential_arrives_and_verifies(dispatch: Dispatching) -> None:
    """One call bears v1, v1a, the API key and the owner's headers, each by its own check."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(
            tenant_id,
            receiver.url,
            profile="flat",
            signatures=["v1", "v1a"],
            apikey=True,
            headers=HEADERS,
        )
        dispatch.publish(tenant_id)
        assert 1 == dispatch.run_once()
    [callback] = receiver.callbacks
    assert accepted(made["secret"], callback)
    keys = [decode_public_key(made["public_key"])]
    verify([], callback.headers, callback.body, dispatch.clock.now(), public_keys=keys)
    assert made["apikey"] == callback.headers["apikey"]
    assert HEADERS == {name: callback.headers[name.lower()] for name in HEADERS}


def test_a_shoppex_receiver_verifies_as_its_documentation_says(dispatch: Dispatching) -> None:
    """Every attempt has the same id and body and its own time, and both signatures fit."""
    data = {"amount": json_amount(11800, "INR"), "amount_minor": 11800, "note": "₹"}
    with receiving(Receiver(statuses=(500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(tenant_id, receiver.url, profile="shoppex")
        event_id = raise_event(dispatch, tenant_id, "remittance.created", data)
        dispatch.run_once()
        dispatch.clock.advance(timedelta(seconds=5))
        dispatch.run_once()
    first, second = receiver.callbacks
    assert first.body == second.body
    assert b'"data":{"amount":118.00,"amount_minor":11800,"note":"\xe2\x82\xb9"}' in first.body
    document = orjson.loads(first.body)
    assert ["event", "data", "created_at"] == list(document)
    assert "remittance:created" == document["event"]
    for callback in (first, second):
        sent = callback.headers
        at = sent["x-shoppex-timestamp"]
        signed = f"{sent['x-shoppex-delivery']}.{at}.".encode() + callback.body
        digest = hmac.new(made["secret"].encode(), signed, hashlib.sha256).hexdigest()
        assert f"v1,t={at},h={digest}" == sent["x-shoppex-signature-v2"]
        assert (event_id, "remittance:created", at) == (
            sent["x-shoppex-delivery"],
            sent["x-shoppex-event"],
            sent["webhook-timestamp"],
        )
        assert accepted(made["secret"], callback)
    assert 5 == int(second.headers["x-shoppex-timestamp"]) - int(
        first.headers["x-shoppex-timestamp"]
    )


@pytest.mark.parametrize("profile", ["envelope", "flat", "shoppex"])
def test_a_profile_sends_its_own_headers_only(dispatch: Dispatching, profile: str) -> None:
    """The standard three always; document 002's for it alone; no API key where none was asked."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, profile=profile)
        dispatch.publish(tenant_id)
        dispatch.run_once()
    names = set(receiver.callbacks[0].headers)
    assert STANDARD <= names
    assert (profile == "shoppex") == any(name.startswith("x-shoppex-") for name in names)
    assert "apikey" not in names


def test_a_scheduled_rotation_reaches_the_wire_at_its_instant(dispatch: Dispatching) -> None:
    """Before it only the old secret verifies, then both, then only the new one."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(tenant_id, receiver.url)
        with dispatch.units.begin(actor="test") as work:
            renewed = endpoints.rotate(
                work,
                dispatch.guard,
                made["id"],
                starts_at=dispatch.clock.now() + timedelta(minutes=1),
                overlap=timedelta(minutes=2),
            )
        for _ in range(3):
            dispatch.publish(tenant_id)
            dispatch.run_once()
            dispatch.clock.advance(timedelta(minutes=1, seconds=30))
    before, both, after = receiver.callbacks
    assert [1, 2, 1] == [
        len(each.headers["webhook-signature"].split()) for each in receiver.callbacks
    ]
    assert accepted(made["secret"], before)
    assert accepted(made["secret"], both)
    assert accepted(renewed["secret"], both)
    assert accepted(renewed["secret"], after)


def test_a_key_pair_asked_for_later_signs_from_then_on(dispatch: Dispatching) -> None:
    """Both halves of a renewed pair sign while they overlap; asked away, none does."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(tenant_id, receiver.url)
        for step in (None, ["v1", "v1a"], "renew", ["v1"]):
            if step == "renew":
                with dispatch.units.begin(actor="test") as work:
                    endpoints.rotate(work, dispatch.guard, made["id"], kind=Kind.ED25519)
            elif step is not None:
                change(dispatch, made["id"], signatures=step)
            dispatch.publish(tenant_id)
            dispatch.run_once()
    assert [0, 1, 2, 0] == [
        each.headers["webhook-signature"].count("v1a,") for each in receiver.callbacks
    ]


def test_headers_are_replaced_and_cleared(dispatch: Dispatching) -> None:
    """What is given at a change is all there is; none at all clears them."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(tenant_id, receiver.url, headers=HEADERS)
        for headers in (None, {"X-Other": "1"}, {}):
            if headers is not None:
                change(dispatch, made["id"], headers=headers)
            dispatch.publish(tenant_id)
            dispatch.run_once()
    owners = [
        {name for name in each.headers if name in {"authorization", "x-shop", "x-other"}}
        for each in receiver.callbacks
    ]
    assert [{"authorization", "x-shop"}, {"x-other"}, set()] == owners


def test_an_api_key_is_replaced_taken_back_and_lost_with_its_profile(
    dispatch: Dispatching,
) -> None:
    """There is never more than one, and another profile never sends it."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(tenant_id, receiver.url, profile="flat", apikey="first-key")
        for options in (
            {},
            {"apikey": "second-key"},
            {"profile": "envelope"},
            {"profile": "flat"},
            {"apikey": "third-key"},
            {"apikey": False},
        ):
            change(dispatch, made["id"], **options)
            dispatch.publish(tenant_id)
            dispatch.run_once()
    sent = [each.headers.get("apikey") for each in receiver.callbacks]
    assert ["first-key", "second-key", None, None, "third-key", None] == sent


def test_an_api_key_never_goes_over_plain_http_unless_that_is_allowed(
    dispatch: Dispatching,
) -> None:
    """Without TILLBELL_ALLOW_HTTP there is no endpoint it could be read from on the way."""
    strict = EndpointGuard(
        EgressPolicy.from_settings(["127.0.0.0/8"], allow_http=False), dispatch.guard.keyring
    )
    tenant_id = dispatch.tenant()
    with dispatch.units.begin(actor="test") as work, pytest.raises(EndpointUrlRefused):
        endpoints.create(
            work,
            strict,
            tenant_id=tenant_id,
            url="http://127.0.0.1:9/",
            profile="flat",
            apikey=True,
        )


def test_an_endpoint_whose_headers_cannot_be_opened_is_not_called(
    dispatch: Dispatching, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its deliveries wait, and no log line holds a value."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(tenant_id, receiver.url, headers={"X-Token": "canary-value"})
        with dispatch.database.write() as connection:
            connection.execute(endpoint_table.update().values(headers_key_id="0" * 16))
        dispatch.publish(tenant_id)
        assert 0 == dispatch.run_once()
        change(dispatch, made["id"], headers={"X-Token": "renewed"})
        dispatch.clock.advance(timedelta(seconds=61))
        assert 1 == dispatch.run_once()
    [callback] = receiver.callbacks
    assert "renewed" == callback.headers["x-token"]
    said = "".join(capsys.readouterr())
    assert "headers.unreadable" in said
    assert "canary" not in said
