"""Signing secrets on both databases: brought, rotated, scheduled and ended."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from config.clock import FixedClock
from dispatcher import endpoint_secrets, endpoints
from dispatcher.endpoint_secrets import Kind
from dispatcher.errors import SignatureRefused, TooManySecrets
from dispatcher.signing import decode_secret, encode_secret, verify
from dispatcher.tables import endpoint_secrets as stored
from engine.database import Database
from engine.errors import InvalidInput, NotFound
from engine.ids import new_id
from tests.chains import dump
from tests.dispatching import Dispatching, dispatching
from tests.signers import BODY, act, headers, rotate, signer

URL = "http://127.0.0.1:9/hook"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


@pytest.fixture
def endpoint(dispatch: Dispatching) -> dict[str, Any]:
    """Return an endpoint with its first secret."""
    return dispatch.endpoint(dispatch.tenant(), URL)


def signing(dispatch: Dispatching, endpoint: dict[str, Any], *secrets: str) -> list[str]:
    """Return which of these secrets a call made now is signed with."""
    held = signer(dispatch, endpoint)
    assert held is not None
    found = []
    sent = headers(dispatch, held)
    for secret in secrets:
        try:
            verify([decode_secret(secret)], sent, BODY, dispatch.clock.now())
        except SignatureRefused:
            continue
        found.append(secret)
    assert len(found) == len(sent["webhook-signature"].split())
    return found


def test_an_owner_may_bring_a_secret(dispatch: Dispatching) -> None:
    """Its own text signs from the first call on, and comes back as it was given."""
    mine = encode_secret(b"m" * 24)
    made = dispatch.endpoint(dispatch.tenant(), URL, secret=mine)
    assert mine == made["secret"]
    assert [mine] == signing(dispatch, made, mine)
    brought = encode_secret(b"n" * 64)
    assert brought == rotate(dispatch, made, secret=brought, overlap=timedelta(0))
    assert [brought] == signing(dispatch, made, mine, brought)


@pytest.mark.parametrize(
    "text", ["", "secret", "whsec_", encode_secret(b"x" * 23), encode_secret(b"x" * 65)]
)
def test_a_secret_that_is_none_is_refused_unseen(
    dispatch: Dispatching, endpoint: dict[str, Any], text: str
) -> None:
    """Neither create nor rotate takes it, nothing changes, and the refusal does not repeat it."""
    before = dump(dispatch.database)
    for attempt in (
        lambda: dispatch.endpoint(endpoint["tenant_id"], URL, secret=text),
        lambda: rotate(dispatch, endpoint, secret=text),
    ):
        with pytest.raises(InvalidInput) as refusal:
            attempt()
        assert {"field": "secret"} == refusal.value.details
    assert before == dump(dispatch.database)


def test_both_sign_for_the_overlap_and_then_the_new_one_alone(
    dispatch: Dispatching, endpoint: dict[str, Any]
) -> None:
    """To the second: the old one signs until the overlap ends, and not at its end."""
    old, new = endpoint["secret"], rotate(dispatch, endpoint, overlap=2 * HOUR)
    assert [old, new] == signing(dispatch, endpoint, old, new)
    dispatch.clock.advance(2 * HOUR - timedelta(seconds=1))
    assert [old, new] == signing(dispatch, endpoint, old, new)
    dispatch.clock.advance(timedelta(seconds=1))
    assert [new] == signing(dispatch, endpoint, old, new)


def test_the_newest_signs_first(dispatch: Dispatching, endpoint: dict[str, Any]) -> None:
    """The order of signatures is that of the secrets, also of those made at one instant."""
    secrets = [endpoint["secret"], *(rotate(dispatch, endpoint) for _ in range(3))]
    held = signer(dispatch, endpoint)
    assert held is not None
    assert [decode_secret(each) for each in reversed(secrets)] == [
        each.plain for each in held.secrets
    ]


def test_without_overlap_every_old_secret_ends_at_once(
    dispatch: Dispatching, endpoint: dict[str, Any]
) -> None:
    """A secret that leaked is ended, and so are those of rotations still under way."""
    older, old = endpoint["secret"], rotate(dispatch, endpoint, overlap=7 * DAY)
    new = rotate(dispatch, endpoint, overlap=timedelta(0))
    assert [new] == signing(dispatch, endpoint, older, old, new)


def test_a_scheduled_rotation_switches_at_its_instant(
    dispatch: Dispatching, endpoint: dict[str, Any]
) -> None:
    """Until then the old one signs alone, then both, then the new one: within one lease too."""
    at = dispatch.clock.now() + 3 * HOUR
    old, new = endpoint["secret"], rotate(dispatch, endpoint, starts_at=at, overlap=HOUR)
    held = signer(dispatch, endpoint)
    assert held is not None
    counts = []
    for wait in (timedelta(0), 3 * HOUR - timedelta(seconds=1), timedelta(seconds=1), HOUR):
        dispatch.clock.advance(wait)
        counts.append(len(headers(dispatch, held)["webhook-signature"].split()))
    assert [1, 1, 2, 1] == counts
    assert [new] == signing(dispatch, endpoint, old, new)


def test_a_scheduled_secret_that_is_rotated_away_never_signs(
    dispatch: Dispatching, endpoint: dict[str, Any]
) -> None:
    """Rotating at once without overlap calls off what was arranged."""
    planned = rotate(dispatch, endpoint, starts_at=dispatch.clock.now() + DAY)
    now = rotate(dispatch, endpoint, overlap=timedelta(0))
    for _ in range(3):
        assert [now] == signing(dispatch, endpoint, endpoint["secret"], planned, now)
        dispatch.clock.advance(DAY)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"overlap": timedelta(seconds=-1)}, "overlap"),
        ({"overlap": timedelta(days=7, seconds=1)}, "overlap"),
        ({"starts_at": timedelta(0)}, "starts_at"),
        ({"starts_at": -HOUR}, "starts_at"),
        ({"starts_at": timedelta(days=31)}, "starts_at"),
        ({"kind": Kind.ED25519}, "key_pair"),
    ],
)
def test_a_rotation_that_cannot_be_is_named_and_changes_nothing(
    dispatch: Dispatching, endpoint: dict[str, Any], options: dict[str, Any], field: str
) -> None:
    """Overlap and switch have their bounds; a key pair must exist to be renewed."""
    if "starts_at" in options:
        options = {"starts_at": dispatch.clock.now() + options["starts_at"]}
    before = dump(dispatch.database)
    with pytest.raises(InvalidInput) as refusal:
        rotate(dispatch, endpoint, **options)
    assert field == refusal.value.details["field"]
    assert before == dump(dispatch.database)


def test_five_secrets_are_alive_at_most(dispatch: Dispatching, endpoint: dict[str, Any]) -> None:
    """The sixth is refused with when there is room again; then, or without overlap, it is made."""
    for hours in range(1, 5):
        rotate(dispatch, endpoint, overlap=hours * HOUR)
    before = dump(dispatch.database)
    with pytest.raises(TooManySecrets, match="without overlap") as refusal:
        rotate(dispatch, endpoint)
    assert "2026-03-02T10:30:00Z" == refusal.value.details["next_end_at"]
    assert before == dump(dispatch.database)
    dispatch.clock.advance(HOUR)
    rotate(dispatch, endpoint)
    new = rotate(dispatch, endpoint, overlap=timedelta(0))
    assert [new] == signing(dispatch, endpoint, new)


def test_secrets_that_ended_are_destroyed_by_the_next_rotation(
    dispatch: Dispatching, endpoint: dict[str, Any]
) -> None:
    """Nothing sealed is kept for longer than it counts."""
    for _ in range(20):
        rotate(dispatch, endpoint, overlap=HOUR)
        dispatch.clock.advance(2 * HOUR)
    with dispatch.database.read() as connection:
        assert 2 == connection.execute(select(func.count()).select_from(stored)).scalar_one()


def test_many_rotations_at_once_leave_five_alive(
    dispatch: Dispatching, endpoint: dict[str, Any]
) -> None:
    """Of rotations that race, as many succeed as there is room for; every one of them signs."""

    def attempt(_: int) -> str | None:
        try:
            return rotate(dispatch, endpoint)
        except TooManySecrets:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = [each for each in pool.map(attempt, range(12)) if each is not None]
    assert 4 == len(made)
    assert 5 == len(signing(dispatch, endpoint, endpoint["secret"], *made))


@pytest.mark.parametrize("endpoint_id", ["nonsense", UNKNOWN])
def test_an_unknown_endpoint_has_nothing_to_rotate(dispatch: Dispatching, endpoint_id: str) -> None:
    """Neither has one that was deleted meanwhile."""
    with pytest.raises(NotFound):
        act(dispatch, endpoints.rotate, endpoint_id)
    with dispatch.units.begin(actor="test") as work, pytest.raises(NotFound):
        endpoint_secrets.rotate(work, dispatch.guard.keyring, new_id(), new_id())
