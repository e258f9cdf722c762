"""Tokens of the HTTP interface on both databases: shown once, checked silently, never leaked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from config.clock import FixedClock
from engine import api_tokens, tenants
from engine.database import Database
from engine.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound
from engine.ids import new_id
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump
from tests.http_interface import EVENTS, Caller, serving, token


@pytest.fixture
def tenant(units: UnitsOfWork) -> str:
    """Return the id of a tenant."""
    with units.begin(actor="test") as work:
        return str(tenants.create(work, name="Reseller")["id"])


@pytest.fixture
def port(database: Database, clock: FixedClock) -> Iterator[int]:
    """Return the port of the interface."""
    with serving(database, clock) as (_, port):
        yield port


def authenticate(database: Database, header: str | None, now: datetime) -> api_tokens.Access:
    """Check one header."""
    with database.read() as connection:
        return api_tokens.authenticate(connection, header, now)


def test_a_token_is_shown_once_and_only_its_hash_is_kept(
    database: Database, units: UnitsOfWork, tenant: str
) -> None:
    """No row and no listing holds the value; the prefix names the token."""
    made = token(units, tenant)
    _, prefix, value = made["token"].split("_", 2)
    assert (prefix, 43) == (made["prefix"], len(value))
    assert value not in repr(dump(database))
    with database.read() as connection:
        [listed] = api_tokens.listing(connection, tenant_id=tenant)
    assert {name: made[name] for name in made if name != "token"} == listed


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}", "{}", "  Bearer {}  "])
def test_every_spelling_of_the_header_is_taken(
    units: UnitsOfWork, tenant: str, database: Database, clock: FixedClock, form: str
) -> None:
    """Bearer in any case, or the bare token (domain.md 2.6)."""
    made = token(units, tenant, ["events.read"])
    access = authenticate(database, form.format(made["token"]), clock.now())
    assert (made["id"], tenant, frozenset({"events.read"})) == (
        access.token_id,
        access.tenant_id,
        access.scopes,
    )


def test_every_invalid_token_gets_the_same_answer(
    units: UnitsOfWork, tenant: str, port: int, clock: FixedClock
) -> None:
    """Missing, malformed, wrong by one digit, unknown, expired and revoked are not told apart."""
    good = token(units, tenant)["token"]
    expired = token(units, tenant, expires_at=clock.now() + timedelta(seconds=1))["token"]
    revoked = token(units, tenant)
    with units.begin(actor="test") as work:
        api_tokens.revoke(work, revoked["prefix"])
    clock.advance(timedelta(seconds=1))
    wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
    unknown = "tbk_" + "0" * 12 + good[16:]
    offered = [None, "", "Bearer", "Bearer x", "Basic YTpi", wrong, unknown, expired]
    answers = []
    for each in [*offered, revoked["token"], good + " " + good, "é"]:
        reply = Caller(port).get(EVENTS, each)
        assert (401, "UNAUTHORIZED", "Bearer") == (
            reply.status,
            reply.code,
            reply.headers["www-authenticate"],
        )
        answers.append({**reply.document["error"], "request_id": None})
    assert [answers[0]] * len(answers) == answers
    assert 200 == Caller(port).get(EVENTS, good).status


def test_a_token_in_a_url_is_never_read(units: UnitsOfWork, tenant: str, port: int) -> None:
    """URLs end up in logs and histories: whatever the parameter is called, it opens nothing."""
    good = token(units, tenant)["token"]
    for name in ("token", "access_token", "api_key", "authorization", "Authorization"):
        assert 401 == Caller(port).get(f"{EVENTS}?{name}={good}").status


def test_a_token_and_its_hash_are_in_no_log_and_no_answer(
    units: UnitsOfWork, tenant: str, port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither a refusal nor a failure repeats what was shown."""
    made = token(units, tenant, ["endpoints.read"])
    caller = Caller(port, f"Bearer {made['token']}")
    replies = [caller.get(path) for path in (EVENTS, f"{EVENTS}?limit=x", "/nowhere")]
    replies.append(Caller(port).get(EVENTS, made["token"] + "x"))
    out, err = capfd.readouterr()
    value = made["token"].split("_", 2)[2]
    for text in (out, err, *(reply.body.decode() for reply in replies)):
        assert value not in text


def test_a_scope_that_is_lacking_is_named(units: UnitsOfWork, tenant: str, port: int) -> None:
    """403, and the details say which scope would do."""
    caller = Caller(port, token(units, tenant, ["manifests.read"])["token"])
    reply = caller.get(EVENTS)
    assert (403, "FORBIDDEN") == (reply.status, reply.code)
    assert {"scope": "events.read"} == reply.document["error"]["details"]
    assert 200 == caller.get("/api/v1/webhooks/manifests").status


def test_a_use_is_noted_once_a_minute(
    database: Database, units: UnitsOfWork, tenant: str, port: int, clock: FixedClock
) -> None:
    """``last_used_at`` follows, and of many at once one writes."""
    made = token(units, tenant)
    caller = Caller(port, made["token"])

    def last_used() -> datetime:
        with database.read() as connection:
            found: datetime = api_tokens.listing(connection)[0]["last_used_at"]
        return found

    first = clock.now()
    caller.get(EVENTS)
    clock.advance(timedelta(seconds=59))
    caller.get(EVENTS)
    assert first == last_used()
    clock.advance(timedelta(seconds=1))
    access = authenticate(database, made["token"], clock.now())

    def mark(_number: int) -> bool:
        with database.write() as connection:
            return api_tokens.mark_used(connection, access, clock.now())

    with ThreadPoolExecutor(6) as pool:
        assert 1 == sum(pool.map(mark, range(6)))
    assert clock.now() == last_used()


def test_a_revoked_token_stays_revoked(
    units: UnitsOfWork, tenant: str, database: Database, clock: FixedClock
) -> None:
    """By id or prefix, at once; a second time keeps the first time; the value names nothing."""
    made = token(units, tenant)
    first = clock.now()
    for name in (made["id"], made["prefix"]):
        with units.begin(actor="test") as work:
            assert first == api_tokens.revoke(work, name)["revoked_at"]
        clock.advance(timedelta(hours=1))
    with pytest.raises(NotAuthenticated):
        authenticate(database, made["token"], first)
    for name in (new_id(), made["token"]):
        with units.begin(actor="test") as work, pytest.raises(NotFound) as refused:
            api_tokens.revoke(work, name)
        assert name not in refused.value.message


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["events.read", "events.write"]}, "scopes"),
        ({"label": ""}, "label"),
        ({"label": "x" * 201}, "label"),
        ({"expires_at": datetime.fromisoformat("2026-03-02T09:30:00Z")}, "expires_at"),
    ],
)
def test_a_token_that_cannot_be_is_refused_by_its_field(
    database: Database, units: UnitsOfWork, tenant: str, options: dict[str, Any], field: str
) -> None:
    """Nothing is issued."""
    with pytest.raises(InvalidInput) as refused:
        token(units, tenant, **options)
    assert field == refused.value.details["field"]
    with database.read() as connection:
        assert [] == api_tokens.listing(connection)


def test_only_a_tenant_has_tokens(units: UnitsOfWork) -> None:
    """An unknown tenant is not found."""
    with pytest.raises(NotFound):
        token(units, new_id())


def test_the_narrow_default_leaves_codes_out() -> None:
    """Nobody gets to read what was sold without having been given that right by name."""
    access = api_tokens.Access("", "", frozenset(api_tokens.SCOPES_DEFAULT), None)
    with pytest.raises(Forbidden):
        access.require("codes.read")
