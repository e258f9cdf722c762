"""Key pairs, API keys and headers on both databases: made, changed, destroyed, and never shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from config.clock import FixedClock
from config.errors import TillbellError
from dispatcher import endpoints
from dispatcher.due import endpoint_rows
from dispatcher.endpoint_secrets import Kind
from dispatcher.key_pairs import decode_public_key
from dispatcher.signing import decode_secret, new_secret, verify
from dispatcher.tables import endpoint_secrets as stored
from dispatcher.tables import endpoints as endpoint_table
from engine.database import Database
from engine.errors import InvalidInput
from tests.chains import dump
from tests.dispatching import Dispatching, dispatching
from tests.signers import BODY, act, headers, signer

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


@pytest.fixture
def endpoint(dispatch: Dispatching) -> dict[str, Any]:
    """Return an endpoint with its first secret."""
    return dispatch.endpoint(dispatch.tenant(), URL)


def test_a_deleted_endpoint_keeps_what_proves_its_last_day(dispatch: Dispatching) -> None:
    """Key pair, API key and headers are destroyed with it, its signing secret two days later."""
    made = dispatch.endpoint(
        dispatch.tenant(),
        URL,
        profile="flat",
        signatures=["v1", "v1a"],
        apikey=True,
        headers={"X-Token": "t"},
    )
    with dispatch.units.begin(actor="test") as work:
        endpoints.delete(work, made["id"])
    with dispatch.database.read() as connection:
        [kept] = connection.execute(select(stored)).all()
        assert ("signing", dispatch.clock.now() + timedelta(days=2)) == (kept.kind, kept.expires_at)
        [row] = endpoint_rows(connection, [made["id"]]).values()
    assert (None, None, None) == (row.header_names, row.headers_key_id, row.headers_sealed)


def test_a_key_pair_is_made_renewed_and_destroyed_as_asked(dispatch: Dispatching) -> None:
    """Its public key is shown at any time, its private never; both sign while they overlap."""
    made = dispatch.endpoint(dispatch.tenant(), URL, signatures=["v1", "v1a"])
    held = signer(dispatch, made)
    assert held is not None
    private = held.key_pairs[0].plain
    assert made["public_key"].startswith("whpk_")
    assert private[:32] not in b"".join(
        bytes(value)
        for row in dump(dispatch.database)["endpoint_secrets"]
        for value in row
        if isinstance(value, bytes | memoryview)
    )
    renewed = act(dispatch, endpoints.rotate, made["id"], kind=Kind.ED25519)
    assert "secret" not in renewed
    held = signer(dispatch, made)
    assert held is not None
    sent = headers(dispatch, held)
    for public_key in (made["public_key"], renewed["public_key"]):
        key = decode_public_key(public_key)
        verify([], sent, BODY, dispatch.clock.now(), public_keys=[key])
    assert made["public_key"] != renewed["public_key"]
    plain = act(dispatch, endpoints.change, made["id"], signatures=["v1"])
    assert (None, ["v1"]) == (plain["public_key"], plain["signatures"])
    again = act(dispatch, endpoints.change, made["id"], signatures=["v1", "v1a"])
    assert again["public_key"] not in {made["public_key"], renewed["public_key"], None}


def test_a_key_pair_is_not_switched_at_an_instant(dispatch: Dispatching) -> None:
    """Its public key is known at once: both halves sign from now on."""
    made = dispatch.endpoint(dispatch.tenant(), URL, signatures=["v1", "v1a"])
    for options in (
        {"starts_at": dispatch.clock.now() + timedelta(days=1)},
        {"secret": new_secret()},
    ):
        with pytest.raises(InvalidInput):
            act(dispatch, endpoints.rotate, made["id"], kind=Kind.ED25519, **options)


def test_what_is_sealed_as_one_kind_opens_as_no_other(
    dispatch: Dispatching, endpoint: dict[str, Any]
) -> None:
    """An API key relabelled as a signing secret signs nothing."""
    act(dispatch, endpoints.change, endpoint["id"], profile="flat", apikey="k" * 32)
    with dispatch.database.write() as connection:
        for was, becomes in (("signing", "gone"), ("apikey", "signing")):
            connection.execute(update(stored).where(stored.c.kind == was).values(kind=becomes))
        connection.execute(stored.delete().where(stored.c.kind == "gone"))
    assert signer(dispatch, endpoint) is None


@pytest.mark.parametrize("kind", ["signing", "ed25519", "apikey", "headers"])
def test_an_endpoint_that_cannot_say_what_it_must_says_nothing(
    dispatch: Dispatching, kind: str
) -> None:
    """One thing that cannot be opened, and there is no signer: no call its receiver must refuse."""
    made = dispatch.endpoint(
        dispatch.tenant(),
        URL,
        profile="flat",
        signatures=["v1", "v1a"],
        apikey=True,
        headers={"X-Token": "t"},
    )
    assert signer(dispatch, made) is not None
    damaged = (
        update(endpoint_table).values(headers_sealed=b"damaged")
        if kind == "headers"
        else update(stored).where(stored.c.kind == kind).values(ciphertext=b"damaged")
    )
    with dispatch.database.write() as connection:
        connection.execute(damaged)
    assert signer(dispatch, made) is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"apikey": "whsec_" + "A" * 32}, "apikey"),
        ({"apikey": "short"}, "apikey"),
        ({"apikey": "with a blank"}, "apikey"),
        ({"apikey": "line\nbreak"}, "apikey"),
        ({"apikey": "x" * 257}, "apikey"),
        ({"apikey": True, "profile": "envelope"}, "apikey"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"signatures": ["v1a"]}, "signatures"),
    ],
)
def test_a_wrong_credential_is_named_and_changes_nothing(
    dispatch: Dispatching, endpoint: dict[str, Any], options: dict[str, Any], field: str
) -> None:
    """Create and change refuse alike, and leave every row as it was."""
    options = {"profile": "flat", **options}
    before = dump(dispatch.database)
    attempts: list[Callable[[], Any]] = [
        lambda: dispatch.endpoint(endpoint["tenant_id"], URL, **options),
        lambda: act(dispatch, endpoints.change, endpoint["id"], **options),
    ]
    for attempt in attempts:
        with pytest.raises(TillbellError) as refusal:
            attempt()
        assert field == refusal.value.details["field"]
    assert before == dump(dispatch.database)


def test_nothing_shows_what_is_secret(dispatch: Dispatching) -> None:
    """No row, no look and no representation of a signer holds what was shown once."""
    made = dispatch.endpoint(
        dispatch.tenant(), URL, profile="flat", apikey="canary-key", headers={"X-A": "canary-value"}
    )
    with dispatch.database.read() as connection:
        shown = [endpoints.get(connection, made["id"]), *endpoints.listing(connection)]
    held = signer(dispatch, made)
    for text in (repr(shown), repr(dump(dispatch.database)), repr(held)):
        assert "canary" not in text
        assert made["secret"].removeprefix("whsec_") not in text
        assert repr(decode_secret(made["secret"])) not in text
    assert ["X-A"] == shown[0]["header_names"]
    assert {"signing", "apikey"} == {each["kind"] for each in shown[0]["credentials"]}
