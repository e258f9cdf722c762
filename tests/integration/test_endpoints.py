"""Endpoints on both databases: made, looked at, changed, and each wrong value refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from config.errors import TillbellError
from dispatcher import endpoint_state, endpoints, subscriptions
from dispatcher.egress import EgressPolicy
from dispatcher.endpoints import EndpointGuard
from dispatcher.errors import EndpointUrlRefused
from dispatcher.tables import endpoint_secrets
from dispatcher.tables import subscriptions as heard
from engine.catalogue import CATALOGUE
from engine.database import Database
from engine.errors import InvalidInput, NotFound
from engine.events import EventDraft
from engine.ids import new_id
from engine.unit_of_work import UnitOfWork
from tests.chains import dump
from tests.dispatching import Dispatching, dispatching

URL = "http://127.0.0.1:9/hook"

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def act(dispatch: Dispatching, action: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Do one thing in a transaction of its own."""
    with dispatch.units.begin(actor="test") as work:
        return action(work, *given, **named)


def register(work: UnitOfWork, name: str) -> int:
    """Register an event type without a schema."""
    return subscriptions.register_type(work.connection, name, None, work.now)


def shown(dispatch: Dispatching, endpoint_id: str) -> dict[str, Any]:
    """Return one endpoint."""
    with dispatch.database.read() as connection:
        return endpoints.get(connection, endpoint_id)


def listed(dispatch: Dispatching, **narrowed: Any) -> list[str]:
    """Return the ids of the endpoints a listing shows."""
    with dispatch.database.read() as connection:
        return [row["id"] for row in endpoints.listing(connection, **narrowed)]


def test_a_new_endpoint_stands_as_it_was_asked_for(dispatch: Dispatching) -> None:
    """Defaults: everything, the envelope, ten in flight, active; options replace them."""
    tenant_id = dispatch.tenant()
    plain = dispatch.endpoint(tenant_id, URL)
    assert (["*"], "envelope", 10, "active", None) == (
        plain["events"],
        plain["profile"],
        plain["max_in_flight"],
        plain["state"],
        plain["state_reason"],
    )
    other = dispatch.endpoint(tenant_id, URL, events=["wallet.*"], profile="flat", max_in_flight=1)
    assert {**other, "events": ["wallet.*"], "profile": "flat", "max_in_flight": 1} == other
    assert [plain["id"], other["id"]] == listed(dispatch)


def test_a_secret_is_shown_once_and_stored_sealed(dispatch: Dispatching) -> None:
    """Only the answer to create holds it: no row, no listing and no later look does."""
    created = dispatch.endpoint(dispatch.tenant(), URL)
    assert created["secret"].startswith("whsec_")
    assert created == {**shown(dispatch, created["id"]), "secret": created["secret"]}
    with dispatch.database.read() as connection:
        assert "secret" not in endpoints.listing(connection)[0]
        [row] = connection.execute(select(endpoint_secrets)).all()
    assert created["secret"] not in repr(dump(dispatch.database))
    assert created["secret"].encode() not in row.ciphertext


def test_a_listing_is_narrowed_by_tenant_and_state(dispatch: Dispatching) -> None:
    """Each tenant sees its own; a state that cannot be, or an unknown tenant, is refused."""
    mine, other = dispatch.tenant("mine"), dispatch.tenant("other")
    first, second = (dispatch.endpoint(tenant, URL)["id"] for tenant in (mine, other))
    act(dispatch, endpoint_state.pause, second)
    assert [first] == listed(dispatch, tenant_id=mine)
    assert [second] == listed(dispatch, state="paused")
    assert [] == listed(dispatch, tenant_id=mine, state="paused")
    with pytest.raises(InvalidInput, match="asleep"):
        listed(dispatch, state="asleep")
    with pytest.raises(NotFound):
        listed(dispatch, tenant_id=new_id())


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"url": "https://10.0.0.1/hook"}, EndpointUrlRefused, "url"),
        ({"url": "ftp://example.com/"}, EndpointUrlRefused, "url"),
        ({"url": ""}, EndpointUrlRefused, "url"),
        ({"profile": "xml"}, InvalidInput, "profile"),
        ({"max_in_flight": 0}, InvalidInput, "max_in_flight"),
        ({"max_in_flight": 1001}, InvalidInput, "max_in_flight"),
        ({"events": ["wallet.*", "nothing.*"]}, InvalidInput, "events"),
        ({"events": []}, InvalidInput, "events"),
    ],
)
def test_a_wrong_value_is_named_and_changes_nothing(
    dispatch: Dispatching, change: dict[str, Any], error: type[TillbellError], field: str
) -> None:
    """Create and change refuse alike, each with its field, and leave every row as it was."""
    tenant_id = dispatch.tenant()
    standing = dispatch.endpoint(tenant_id, URL)["id"]
    before = dump(dispatch.database)
    with pytest.raises(error) as refusal:
        dispatch.endpoint(tenant_id, **{"url": URL, **change})
    assert field == refusal.value.details["field"]
    with pytest.raises(error) as refusal:
        act(dispatch, endpoints.change, dispatch.guard, standing, **change)
    assert field == refusal.value.details["field"]
    assert before == dump(dispatch.database)


@pytest.mark.parametrize("tenant_id", ["nonsense", UNKNOWN])
def test_an_unknown_tenant_gets_no_endpoint(dispatch: Dispatching, tenant_id: str) -> None:
    """An endpoint belongs to a tenant that exists."""
    before = dump(dispatch.database)
    with pytest.raises(NotFound, match=tenant_id):
        dispatch.endpoint(tenant_id, URL)
    assert before == dump(dispatch.database)


@pytest.mark.parametrize(
    "action",
    [
        endpoint_state.pause,
        endpoint_state.resume,
        endpoint_state.enable,
        endpoint_state.disable,
        endpoint_state.send_test,
        endpoints.delete,
    ],
)
def test_an_unknown_endpoint_is_not_found(
    dispatch: Dispatching, action: Callable[..., Any]
) -> None:
    """Whatever is asked of it, and whether its id could be one or not; a deleted one is unknown."""
    gone = dispatch.endpoint(dispatch.tenant(), URL)["id"]
    act(dispatch, endpoints.delete, gone)
    before = dump(dispatch.database)
    for endpoint_id in ("nonsense", new_id(), gone):
        with pytest.raises(NotFound) as refusal:
            act(dispatch, action, endpoint_id)
        assert endpoint_id == refusal.value.details["value"]
    assert before == dump(dispatch.database)


def test_a_change_touches_what_is_given(dispatch: Dispatching, clock: FixedClock) -> None:
    """Each field alone; the secret and the rest stay."""
    created = dispatch.endpoint(dispatch.tenant(), URL)
    clock.advance(timedelta(minutes=1))
    changed = act(
        dispatch, endpoints.change, dispatch.guard, created["id"].upper(), max_in_flight=3
    )
    expected = {**created, "max_in_flight": 3, "updated_at": clock.now()}
    del expected["secret"]
    assert expected == changed == shown(dispatch, created["id"])
    changed = act(
        dispatch, endpoints.change, dispatch.guard, created["id"], events=["order.*"], url=f"{URL}2"
    )
    assert (["order.*"], f"{URL}2", 3) == (
        changed["events"],
        changed["url"],
        changed["max_in_flight"],
    )


def test_changed_patterns_count_from_the_next_event(dispatch: Dispatching) -> None:
    """What was fanned out stays; what comes is matched by the new patterns."""
    tenant_id = dispatch.tenant()
    endpoint = dispatch.endpoint(tenant_id, URL, events=["webhook.*"])
    dispatch.publish(tenant_id)
    dispatch.relay.run_until_empty()
    act(dispatch, endpoints.change, dispatch.guard, endpoint["id"], events=["wallet.*"])
    dispatch.publish(tenant_id)
    dispatch.relay.run_until_empty()
    assert 1 == len(dispatch.rows())


def test_a_new_type_is_heard_by_the_patterns_that_cover_it(dispatch: Dispatching) -> None:
    """Wildcards hear what is registered after them; exact names, others and the deleted do not."""
    tenant_id = dispatch.tenant()
    everything = dispatch.endpoint(tenant_id, URL)["id"]
    dispatch.endpoint(tenant_id, URL, events=["wallet.*"])
    gone = dispatch.endpoint(tenant_id, URL)["id"]
    act(dispatch, endpoints.delete, gone)
    assert 1 == act(dispatch, register, "invoice.paid")
    family = dispatch.endpoint(tenant_id, URL, events=["invoice.*"])["id"]
    assert 2 == act(dispatch, register, "invoice.sent")

    for name in ("invoice.paid", "invoice.sent"):
        draft = EventDraft(tenant_id=tenant_id, type=name, data={})
        act(dispatch, UnitOfWork.raise_event, draft)
    dispatch.relay.run_until_empty()
    heard = sorted((row.event, row.endpoint_id) for row in dispatch.rows())
    expected = [
        (name, each) for name in ("invoice.paid", "invoice.sent") for each in (everything, family)
    ]
    assert sorted(expected) == heard


def test_a_type_registered_beside_a_new_endpoint_is_heard(dispatch: Dispatching) -> None:
    """Whichever of the two commits first, the other sees it: no wildcard misses a type."""
    tenant_id, ends = dispatch.tenant(), list[str]()

    def make(work: UnitOfWork) -> None:
        made = endpoints.create(work, dispatch.guard, tenant_id=tenant_id, url=URL)
        ends.append(made["id"])

    pairs: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
        (make, lambda work: register(work, "invoice.first")),
        (lambda work: register(work, "invoice.second"), make),
    ]
    for first, second in pairs:
        beside = threading.Thread(target=act, args=(dispatch, second))
        with dispatch.units.begin(actor="test") as work:
            first(work)
            beside.start()
            beside.join(0.2)  # time enough to read too early, were it not made to wait
        beside.join(10)
    with dispatch.database.read() as connection:
        rows = connection.execute(select(heard.c.endpoint_id, heard.c.event_type)).all()
    invoices = {tuple(row) for row in rows if row.event_type.startswith("invoice.")}
    assert {(end, f"invoice.{name}") for end in ends for name in ("first", "second")} == invoices


def test_many_changes_at_once_leave_one_of_them(dispatch: Dispatching) -> None:
    """Whoever changes the patterns last is heard whole: row and subscriptions agree."""
    endpoint_id = dispatch.endpoint(dispatch.tenant(), URL)["id"]
    families = ["wallet.*", "remittance.*", "*", "chain_order.*"] * 10

    def change(pattern: str) -> None:
        act(dispatch, endpoints.change, dispatch.guard, endpoint_id, events=[pattern])

    with ThreadPoolExecutor(4) as pool:
        assert 40 == len(list(pool.map(change, families)))
    with dispatch.database.read() as connection:
        found = set(connection.execute(select(heard.c.event_type)).scalars())
    patterns = shown(dispatch, endpoint_id)["events"]
    assert set(subscriptions.expand(patterns, sorted(CATALOGUE))) == found


def test_a_guard_that_allows_no_holes_refuses_loopback(dispatch: Dispatching) -> None:
    """Without TILLBELL_EGRESS_ALLOW an address of this machine is no callback URL."""
    strict = EndpointGuard(EgressPolicy.from_settings([], allow_http=True), dispatch.guard.keyring)
    with pytest.raises(EndpointUrlRefused) as refusal:
        act(dispatch, endpoints.create, strict, tenant_id=dispatch.tenant(), url=URL)
    assert "URL_REFUSED" == refusal.value.code
