"""The CONNECT proxy: every call goes through it, and the guard still judges where to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
import trustme

from dispatcher.errors import CallbackFailed
from engine.errors import InvalidInput
from tests.integration.test_transport_tls import serving, trusting
from tests.wire import (
    OK,
    Conversation,
    Handler,
    answering,
    failure_of,
    on_each_loop,
    post,
    receiving_raw,
    saying,
    transport_to,
)

NAME = "hooks.reseller.example"


async def to_loopback(_: str) -> Iterable[str]:
    """Resolve every name to this machine."""
    return ["127.0.0.1"]


async def tunnel(conversation: Conversation) -> None:
    """Connect to what CONNECT asks for and carry bytes both ways."""
    request = await conversation.hear()
    host, port = request.split(b" ")[1].rsplit(b":", 1)
    reader, writer = await asyncio.open_connection(host.decode(), int(port))
    await conversation.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # one end broke off: so does the other
        finally:
            sink.transport.abort()

    await asyncio.gather(carry(conversation.reader, writer), carry(reader, conversation.writer))


def proxy_url(port: int, credentials: str = "") -> str:
    """Return the setting for a proxy on this machine."""
    return f"http://{credentials}127.0.0.1:{port}"


@on_each_loop
async def test_a_plain_call_goes_through_the_tunnel() -> None:
    """The proxy is given the pinned address, not the name; the receiver sees the name as Host."""
    async with receiving_raw(answering(OK)) as receiver, receiving_raw(tunnel) as proxy:
        async with transport_to(
            proxy=proxy_url(proxy.port), resolver=to_loopback, deadline_seconds=5.0
        ) as transport:
            for _ in range(2):
                response = await post(transport, f"http://{NAME}:{receiver.port}/hook")
                assert (200, b"ok") == (response.status_code, response.content)
        place = b"127.0.0.1:%d" % receiver.port
        assert [b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (place, place)] == proxy.requests
    assert b"host: %b:%d" % (NAME.encode(), receiver.port) in receiver.requests[0]
    assert (1, 2) == (receiver.connections, len(receiver.requests))


@on_each_loop
async def test_a_tls_call_is_end_to_end() -> None:
    """The certificate that counts is the receiver's, behind the proxy."""
    authority = trustme.CA()
    async with (
        receiving_raw(answering(OK), tls=serving(authority.issue_cert(NAME))) as receiver,
        receiving_raw(tunnel) as proxy,
        transport_to(
            proxy=proxy_url(proxy.port),
            resolver=to_loopback,
            ssl_context=trusting(authority),
            deadline_seconds=5.0,
        ) as transport,
    ):
        assert (await post(transport, f"https://{NAME}:{receiver.port}/")).status_code == 200
        assert await failure_of(transport, f"https://other.example:{receiver.port}/") == "tls"


@on_each_loop
async def test_credentials_are_sent_to_the_proxy_only() -> None:
    """User and password become Basic authorization on CONNECT and nowhere else."""
    async with receiving_raw(answering(OK)) as receiver, receiving_raw(tunnel) as proxy:
        async with transport_to(
            proxy=proxy_url(proxy.port, "user:p%40ss@"), deadline_seconds=5.0
        ) as transport:
            await post(transport, receiver.url)
        assert b"proxy-authorization: Basic dXNlcjpwQHNz\r\n" in proxy.requests[0]
    assert b"authorization" not in receiver.requests[0]


@on_each_loop
async def test_a_forbidden_name_never_reaches_the_proxy() -> None:
    """The guard judges before the proxy is asked."""

    async def to_metadata(_: str) -> Iterable[str]:
        return ["169.254.169.254"]

    async with (
        receiving_raw(tunnel) as proxy,
        transport_to(proxy=proxy_url(proxy.port), resolver=to_metadata) as transport,
    ):
        assert await failure_of(transport, f"http://{NAME}/") == "blocked_address"
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "handler",
    [
        saying(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        saying(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!"),
        saying(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5_000 + b"\r\n"),
        saying(b"garbage"),
        saying(),
    ],
    ids=["407", "403", "answer of its own", "endless head", "garbage", "closed"],
)
@on_each_loop
async def test_a_proxy_that_refuses_is_a_failure_to_connect(handler: Handler) -> None:
    """No tunnel, no call: the receiver hears nothing."""
    async with (
        receiving_raw(answering(OK)) as receiver,
        receiving_raw(handler) as proxy,
        transport_to(proxy=proxy_url(proxy.port), deadline_seconds=5.0) as transport,
    ):
        assert await failure_of(transport, receiver.url) == "connect"
        assert receiver.connections == 0


@on_each_loop
async def test_a_proxy_that_hangs_ends_at_the_deadline() -> None:
    """The tunnel is part of the call's one deadline."""

    async def silent(conversation: Conversation) -> None:
        await conversation.closed()

    async with (
        receiving_raw(silent) as proxy,
        transport_to(proxy=proxy_url(proxy.port), deadline_seconds=0.2) as transport,
    ):
        with pytest.raises(CallbackFailed) as failure:
            await post(transport, "http://127.0.0.1:9/")
        assert failure.value.kind == "timeout"


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:3128", "https://proxy:3128", "http://proxy", "socks5://proxy:1", "http://[::1"],
)
def test_a_proxy_that_cannot_be_used_is_refused_at_the_start(url: str) -> None:
    """The setting is named, and no call is made around a proxy that was asked for."""

    async def story() -> None:
        with pytest.raises(InvalidInput) as refusal:
            async with transport_to(proxy=url):
                pass
        assert refusal.value.details["field"] == "egress_proxy"

    asyncio.run(story())
