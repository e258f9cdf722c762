"""The transport's ordinary life: exact bytes out, raw answers in, nobody left waiting."""

from __future__ import annotations

import asyncio

import pytest

from dispatcher.errors import CallbackFailed
from dispatcher.http_types import Request
from dispatcher.transport import request_head
from tests.wire import (
    HEAD,
    OK,
    Conversation,
    answering,
    failure_of,
    on_each_loop,
    post,
    receiving_raw,
    saying,
    transport_to,
)


@pytest.mark.fault("F39")
@on_each_loop
async def test_a_request_goes_out_as_exactly_these_bytes() -> None:
    """The transport owns host, length and encoding; everything else is the caller's, in order."""
    headers = [("Host", "evil"), ("webhook-id", "msg_1"), ("Cookie", "a=b"), ("x-custom", "plain")]
    async with receiving_raw(answering(OK)) as receiver, transport_to() as transport:
        url = receiver.url + "?a=1"
        await transport.handle_async_request(
            Request("POST", url, headers=headers, content=b'{"a":1}', extensions={})
        )
    assert [
        b"POST /hook?a=1 HTTP/1.1\r\n"
        b"host: 127.0.0.1:%d\r\n"
        b"accept-encoding: identity\r\n"
        b"content-length: 7\r\n"
        b"webhook-id: msg_1\r\n"
        b"x-custom: plain\r\n"
        b'\r\n{"a":1}' % receiver.port
    ] == receiver.requests


@on_each_loop
async def test_the_lower_door_sends_the_same_bytes() -> None:
    """Head and body given as bytes bring the same answer without httpx's objects."""
    async with receiving_raw(answering(OK)) as receiver, transport_to() as transport:
        target = transport.target_of(receiver.url)
        head = request_head(target, [(b"webhook-id", b"msg_1")], 2)
        deadline_at = asyncio.get_running_loop().time() + 1
        answer = await transport.send(target, head, b"{}", deadline_at)
    assert (200, b"ok", False, "127.0.0.1") == (
        answer.status_code,
        answer.body,
        answer.truncated,
        answer.remote_ip,
    )
    assert [(b"content-length", b"2")] == answer.headers
    assert [head + b"{}"] == receiver.requests


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 206 Partial\r\ncontent-length: 1\r\n\r\nx", 206, b"x"),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 410\r\ncontent-length: 0\r\n\r\n", 410, b""),
        (b"HTTP/1.1 503 Busy\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n", 503, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3 + OK, 200, b"ok"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", 200, b"ok!"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\ntrailer: x\r\n\r\n", 200, b""),
    ],
)
@on_each_loop
async def test_an_answer_is_read_as_it_is(answer: bytes, status: int, body: bytes) -> None:
    """Status and raw body come back for each framing, and the connection is kept."""
    async with receiving_raw(answering(answer)) as receiver, transport_to() as transport:
        for _ in range(2):
            response = await post(transport, receiver.url)
            assert (status, body) == (response.status_code, response.content)
        assert transport.counts().idle_connections == 1
    assert receiver.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"\r\nthe end",
        b"HTTP/1.0 200 OK\r\n\r\nthe end",
        HEAD + b"connection: close\r\ncontent-length: 7\r\n\r\nthe end",
        b"HTTP/1.0 200 OK\r\ncontent-length: 7\r\n\r\nthe end",
    ],
)
@on_each_loop
async def test_an_answer_may_end_by_closing(answer: bytes) -> None:
    """A body without a length ends with the connection, which is not kept."""
    async with receiving_raw(saying(answer)) as receiver, transport_to() as transport:
        response = await post(transport, receiver.url)
        assert (200, b"the end") == (response.status_code, response.content)
        assert transport.counts().idle_connections == 0


@on_each_loop
async def test_the_answers_headers_are_kept_raw() -> None:
    """Repeated names, order and letter case survive; nothing is added."""
    answer = HEAD + b"X-A: 1\r\nx-a: 2\r\nSet-Cookie: s=1\r\nContent-Length: 0\r\n\r\n"
    async with receiving_raw(answering(answer)) as receiver, transport_to() as transport:
        response = await post(transport, receiver.url)
        assert [
            (b"X-A", b"1"),
            (b"x-a", b"2"),
            (b"Set-Cookie", b"s=1"),
            (b"Content-Length", b"0"),
        ] == response.headers.raw
        assert {"truncated": False, "remote_ip": "127.0.0.1"} == response.extensions
        await post(transport, receiver.url)
    assert not any(b"cookie" in request for request in receiver.requests)


@on_each_loop
async def test_a_cancelled_call_drops_its_connection() -> None:
    """A caller that gives up leaves no connection behind that could answer somebody else."""
    asked = asyncio.Event()

    async def never(conversation: Conversation) -> None:
        await conversation.hear()
        asked.set()
        await conversation.closed()

    async with receiving_raw(never) as receiver, transport_to(deadline_seconds=5.0) as transport:
        call = asyncio.create_task(post(transport, receiver.url))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert transport.counts().calls_in_flight == 0
        assert transport.counts().idle_connections == 0


@on_each_loop
async def test_closing_fails_the_calls_in_flight_and_refuses_new_ones() -> None:
    """Nobody waits for ever on a transport that closes."""
    asked = asyncio.Event()

    async def never(conversation: Conversation) -> None:
        await conversation.hear()
        asked.set()
        await conversation.closed()

    async with receiving_raw(never) as receiver, transport_to(deadline_seconds=5.0) as transport:
        call = asyncio.create_task(post(transport, receiver.url))
        await asked.wait()
        await transport.aclose()
        with pytest.raises(CallbackFailed) as failure:
            await call
        assert failure.value.kind == "reset"
        assert await failure_of(transport, receiver.url) == "reset"


@pytest.mark.fault("F39")
@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "a\0b"])
@on_each_loop
async def test_a_header_cannot_break_out_of_its_line(value: str) -> None:
    """A line break or NUL in a header fails the call before a connection is made (F39)."""
    async with receiving_raw(answering(OK)) as receiver, transport_to() as transport:
        request = Request("POST", receiver.url, headers={"x-custom": value}, content=b"{}")
        with pytest.raises(CallbackFailed) as failure:
            await transport.handle_async_request(request)
        assert failure.value.kind == "protocol"
    assert receiver.connections == 0
