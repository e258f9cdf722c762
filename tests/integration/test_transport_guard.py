"""The guard at the socket: whatever a name resolves to, no forbidden address is connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from dispatcher import dial, resolve
from dispatcher.addresses import parse_address
from dispatcher.dial import check_peer
from dispatcher.egress import EgressPolicy
from dispatcher.errors import CallbackFailed
from dispatcher.resolve import Lookup, Resolver
from tests.wire import OK, answering, failure_of, on_each_loop, post, receiving_raw, transport_to

#: 127.0.0.2 plays the receiver's public address; 127.0.0.1 is what an attacker is after.
ONE_ADDRESS = EgressPolicy.from_settings(["127.0.0.2/32"], allow_http=True)
CLOSED = EgressPolicy(allow_http=True)
NAME = "hooks.reseller.example"


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the addresses that any socket of this process was connected to."""
    connected: list[str] = []
    connect = socket.socket.connect

    def seen(self: socket.socket, address: Any) -> None:
        connected.append(address[0])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", seen)
    yield connected
    assert "127.0.0.1" not in connected


def resolving(*answers: Sequence[str]) -> Lookup:
    """Return a resolver that gives each answer once and the last one for ever."""
    asked = iter(answers)
    last: list[Sequence[str]] = [()]

    async def lookup(_: str) -> Iterable[str]:
        last[0] = next(asked, last[0])
        return last[0]

    return lookup


@pytest.mark.fault("F36", "F38")
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["93.184.216.34", "::1"],
        ["2606:4700::1111", "10.0.0.1"],
        ["93.184.216.34", "::ffff:127.0.0.1"],
        ["93.184.216.34", "64:ff9b::7f00:1"],
        ["93.184.216.34"] * 999 + ["169.254.169.254"],
        ["168.63.129.16"],
        ["0.0.0.0"],  # noqa: S104  # an address to refuse, nothing is bound
    ],
    ids=lambda addresses: addresses[-1],
)
@on_each_loop
async def test_one_forbidden_address_refuses_the_whole_name(
    sentinel: list[str], addresses: list[str]
) -> None:
    """A public A beside a private AAAA, or one bad among a thousand: no socket at all (F36)."""
    async with transport_to(
        policy=CLOSED, resolver=resolving(addresses), deadline_seconds=10.0
    ) as transport:
        assert await failure_of(transport, f"http://{NAME}/") == "blocked_address"
    assert sentinel == []


@pytest.mark.fault("F36")
@on_each_loop
async def test_rebinding_between_two_calls_is_refused(sentinel: list[str]) -> None:
    """The name leads to its receiver first and to this machine later: the later call is refused."""
    lookup = resolving(["127.0.0.2"], ["127.0.0.1"])
    async with (
        receiving_raw(answering(OK), host="127.0.0.2") as receiver,
        transport_to(policy=ONE_ADDRESS, resolver=lookup) as transport,
    ):
        url = f"http://{NAME}:{receiver.port}/"
        assert (await post(transport, url)).status_code == 200
        transport._resolver._answers.clear()  # thirty seconds later
        assert await failure_of(transport, url) == "blocked_address"
    assert (["127.0.0.2"], 1) == (sentinel, len(receiver.requests))


@pytest.mark.fault("F36")
@on_each_loop
async def test_what_was_vetted_is_what_is_connected_to(sentinel: list[str]) -> None:
    """A resolver that changes its answer on every query is asked once per answer, not again."""
    lookup = resolving(*[["127.0.0.2"], ["127.0.0.1"]] * 50)
    async with (
        receiving_raw(answering(OK), host="127.0.0.2") as receiver,
        transport_to(policy=ONE_ADDRESS, resolver=lookup, deadline_seconds=5.0) as transport,
    ):
        url = f"http://{NAME}:{receiver.port}/"
        for _ in range(20):
            assert (await post(transport, url)).status_code == 200
            await asyncio.gather(*[post(transport, url) for _ in range(5)])
    assert {"127.0.0.2"} == set(sentinel)


@on_each_loop
async def test_an_odd_port_leads_only_into_holes(sentinel: list[str]) -> None:
    """A name on a port of its own choosing is refused as soon as one address is public."""
    lookup = resolving(["127.0.0.2", "93.184.216.34"])
    async with transport_to(policy=ONE_ADDRESS, resolver=lookup) as transport:
        assert await failure_of(transport, f"http://{NAME}:9001/") == "blocked_address"
    assert sentinel == []


@pytest.mark.fault("F38")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001/",
        "http://10.0.0.1/",
        "http://user@example.com/",
        "http://metadata.google.internal/",
        "ftp://example.com/",
    ],
)
@on_each_loop
async def test_a_url_is_vetted_at_each_send(sentinel: list[str], url: str) -> None:
    """A URL that the policy no longer allows fails as blocked, without a lookup or a socket."""

    async def never(_: str) -> Iterable[str]:
        raise AssertionError

    async with transport_to(policy=ONE_ADDRESS, resolver=never) as transport:
        for _ in range(2):
            assert await failure_of(transport, url) == "blocked_address"
    assert sentinel == []


@on_each_loop
async def test_the_next_address_is_tried_when_one_refuses() -> None:
    """A name with a dead address still reaches the one that lives."""
    async with (
        receiving_raw(answering(OK)) as receiver,
        transport_to(resolver=resolving(["127.0.0.9", "127.0.0.1"])) as transport,
    ):
        response = await post(transport, f"http://{NAME}:{receiver.port}/")
        assert (200, "127.0.0.1") == (response.status_code, response.extensions["remote_ip"])


@on_each_loop
async def test_an_ipv4_address_is_tried_before_an_ipv6_one() -> None:
    """Networks without IPv6 are common, and silent about it."""
    async with (
        receiving_raw(answering(OK)) as receiver,
        transport_to(
            policy=EgressPolicy.from_settings(["127.0.0.0/8", "::1/128"], allow_http=True),
            resolver=resolving(["::1", "127.0.0.1"]),
        ) as transport,
    ):
        response = await post(transport, f"http://{NAME}:{receiver.port}/")
        assert response.extensions["remote_ip"] == "127.0.0.1"


@on_each_loop
async def test_a_refused_connection_is_a_failure_to_connect() -> None:
    """Nobody listens: the class says no more than that there was no connection."""
    async with transport_to() as transport:
        assert await failure_of(transport, "http://127.0.0.1:1/") == "connect"


def test_a_peer_that_is_not_the_pinned_address_is_dropped() -> None:
    """After connecting, who is at the other end is compared with who was meant."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        good = socket.create_connection(server.getsockname())
        check_peer(good, parse_address("127.0.0.1"))
        with pytest.raises(CallbackFailed) as failure:
            check_peer(good, parse_address("127.0.0.2"))
    assert ("blocked_address", -1) == (failure.value.kind, good.fileno())


@pytest.mark.fault("F38")
@on_each_loop
async def test_the_peer_is_checked_before_a_byte_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that connects us to somebody else gets no request."""
    connect = dial._connect

    async def diverted(_: str, port: int, version: int) -> socket.socket:
        return await connect("127.0.0.1", port, version)

    monkeypatch.setattr(dial, "_connect", diverted)
    async with receiving_raw(answering(OK)) as receiver, transport_to() as transport:
        url = f"http://127.0.0.2:{receiver.port}/"
        assert await failure_of(transport, url) == "blocked_address"
        assert receiver.requests == []


@pytest.mark.fault("F38")
@on_each_loop
async def test_an_address_is_judged_again_when_it_is_connected_to(sentinel: list[str]) -> None:
    """Even an address that came past every other check meets the policy at the socket."""
    async with transport_to(policy=ONE_ADDRESS) as transport:
        target = transport.target_of("http://hooks.example:9001/")
        for literal in ("127.0.0.1", "::ffff:127.0.0.1", "93.184.216.34"):
            with pytest.raises(CallbackFailed) as failure:
                await transport._dialer.dial(transport, target, (literal,), float("inf"))
            assert failure.value.kind == "blocked_address"
    assert sentinel == []


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), OSError("SERVFAIL")]
)
@on_each_loop
async def test_a_name_that_does_not_resolve_fails_as_dns(error: Exception) -> None:
    """NXDOMAIN, SERVFAIL and names the system cannot encode are one class."""

    async def fails(_: str) -> Iterable[str]:
        raise error

    async with transport_to(resolver=fails) as transport:
        assert await failure_of(transport, f"http://{NAME}/") == "dns"


@on_each_loop
async def test_a_name_without_addresses_fails_as_dns() -> None:
    """An empty answer is no answer."""
    async with transport_to(resolver=resolving([])) as transport:
        assert await failure_of(transport, f"http://{NAME}/") == "dns"


@pytest.mark.fault("F36")
@pytest.mark.parametrize(
    ("lookup_seconds", "deadline_seconds", "kind"), [(0.1, 5.0, "dns"), (5.0, 0.1, "timeout")]
)
@on_each_loop
async def test_a_lookup_that_hangs_ends(
    monkeypatch: pytest.MonkeyPatch, lookup_seconds: float, deadline_seconds: float, kind: str
) -> None:
    """A lookup has its own bound, and the call's deadline covers it (F36)."""
    monkeypatch.setattr(resolve, "LOOKUP_SECONDS", lookup_seconds)
    asked = []

    async def hangs(host: str) -> Iterable[str]:
        asked.append(host)
        await asyncio.Event().wait()
        return []

    async with transport_to(resolver=hangs, deadline_seconds=deadline_seconds) as transport:
        calls = [failure_of(transport, f"http://{NAME}/") for _ in range(50)]
        assert [kind] * 50 == await asyncio.gather(*calls)
    assert [NAME] == asked


@on_each_loop
async def test_closing_ends_a_call_that_waits_for_a_name() -> None:
    """A call still at its lookup fails as reset when the transport closes."""
    asked = asyncio.Event()

    async def hangs(_: str) -> Iterable[str]:
        asked.set()
        await asyncio.Event().wait()
        return []

    async with transport_to(resolver=hangs, deadline_seconds=5.0) as transport:
        call = asyncio.create_task(failure_of(transport, f"http://{NAME}/"))
        await asked.wait()
        await transport.aclose()
        assert await call == "reset"


@pytest.mark.parametrize("holes", [["127.0.0.0/8"], ["127.0.0.1/32", "::1/128"]])
@on_each_loop
async def test_localhost_is_this_machine_without_asking_anybody(holes: list[str]) -> None:
    """The name leads to the loopback addresses that are opened, whatever a hosts file says."""
    async with (
        receiving_raw(answering(OK)) as receiver,
        transport_to(
            policy=EgressPolicy.from_settings(holes, allow_http=True),
            resolver=resolving(["10.0.0.1"]),
        ) as transport,
    ):
        response = await post(transport, f"http://localhost:{receiver.port}/")
        assert (200, "127.0.0.1") == (response.status_code, response.extensions["remote_ip"])


@on_each_loop
async def test_the_systems_resolver_answers_with_addresses() -> None:
    """Without an injected resolver the system is asked, in a thread of ours."""
    resolver = Resolver(CLOSED)
    assert "127.0.0.1" in set(await resolver._ask_system("localhost"))
    resolver.close()
