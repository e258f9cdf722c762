"""Kept-alive connections: shared, replaced when stale, given up when their time is over."""

from __future__ import annotations

import asyncio

import pytest

from dispatcher.errors import CallbackFailed
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


@on_each_loop
async def test_calls_share_kept_alive_connections() -> None:
    """A hundred calls, ten at a time, need ten connections; the counts tell so."""
    async with (
        receiving_raw(answering(OK)) as receiver,
        transport_to(deadline_seconds=5.0) as transport,
    ):
        for _ in range(10):
            await asyncio.gather(*[post(transport, receiver.url) for _ in range(10)])
        counts = transport.counts()
    assert (100, 90, 10) == (
        counts.calls,
        counts.calls_on_reused_connections,
        counts.connections_made,
    )
    assert (10, 10, 0) == (
        counts.open_connections,
        counts.idle_connections,
        counts.calls_in_flight,
    )
    assert (10, 100) == (receiver.connections, len(receiver.requests))


@pytest.mark.fault("F41")
@on_each_loop
async def test_a_connection_closed_before_reuse_is_replaced_within_the_same_call() -> None:
    """The receiver hangs up on a second request unanswered: one retry on a new one (F41)."""

    async def once_per_connection(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(OK)
        await conversation.hear()

    async with receiving_raw(once_per_connection) as receiver, transport_to() as transport:
        for _ in range(3):
            assert (await post(transport, receiver.url)).status_code == 200
        counts = transport.counts()
    assert (3, 2, 3) == (
        counts.calls,
        counts.calls_on_reused_connections,
        counts.connections_made,
    )


@on_each_loop
async def test_a_connection_that_died_while_idle_is_not_used() -> None:
    """The receiver closes after its answer; the next call finds no idle connection."""
    async with receiving_raw(saying(OK)) as receiver, transport_to() as transport:
        await post(transport, receiver.url)
        while transport.counts().open_connections:  # noqa: ASYNC110  # it announces no closing
            await asyncio.sleep(0)
        assert transport.counts().idle_connections == 0
        await post(transport, receiver.url)
        assert transport.counts().calls_on_reused_connections == 0
    assert len(receiver.requests) == 2


@on_each_loop
async def test_a_new_connection_closed_unanswered_is_not_retried() -> None:
    """Only a kept-alive connection may be stale; a fresh one that closes is a reset."""
    async with receiving_raw(saying()) as receiver, transport_to() as transport:
        assert await failure_of(transport, receiver.url) == "reset"
    assert receiver.connections == 1


@on_each_loop
async def test_a_connection_that_closes_before_it_is_asked_fails_at_once() -> None:
    """A receiver that hangs up while we connect does not cost the whole deadline."""

    async def hangs_up(_: Conversation) -> None:
        """Close as soon as it is accepted."""

    async with receiving_raw(hangs_up) as receiver, transport_to() as transport:
        target = transport.target_of(receiver.url)
        connection = await transport._dialer.dial(
            transport, target, ("127.0.0.1",), asyncio.get_running_loop().time() + 5
        )
        while transport.counts().open_connections:  # noqa: ASYNC110  # it announces no closing
            await asyncio.sleep(0)
        with pytest.raises(CallbackFailed) as failure:
            await asyncio.wait_for(connection.ask(b"POST / HTTP/1.1\r\n\r\n"), 5)
        assert failure.value.kind == "reset"


@pytest.mark.fault("F40")
@pytest.mark.parametrize("cut", [1, 12, len(HEAD) + 10, len(OK) - 1])
@on_each_loop
async def test_an_answer_cut_short_on_a_reused_connection_is_a_reset(cut: int) -> None:
    """Once a byte of the answer came, asking again would not be the same attempt (F40)."""

    async def cut_the_second(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(OK)
        await conversation.hear()
        await conversation.say(OK[:cut])

    async with receiving_raw(cut_the_second) as receiver, transport_to() as transport:
        await post(transport, receiver.url)
        assert await failure_of(transport, receiver.url) == "reset"
    assert (1, 2) == (receiver.connections, len(receiver.requests))


@on_each_loop
async def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    """The receiver sees the end of the stream after the idle time, each time anew."""
    closed = asyncio.Semaphore(0)

    async def until_closed(conversation: Conversation) -> None:
        while await conversation.hear():
            await conversation.say(OK)
        closed.release()

    async with (
        receiving_raw(until_closed) as receiver,
        transport_to(connections_idle_seconds=0.05) as transport,
    ):
        for _ in range(3):
            await post(transport, receiver.url)
            await asyncio.wait_for(closed.acquire(), 5)


@on_each_loop
async def test_more_idle_connections_than_allowed_are_closed() -> None:
    """Of five connections to one address two stay."""
    async with (
        receiving_raw(answering(OK)) as receiver,
        transport_to(deadline_seconds=5.0, connections_idle_per_address_max=2) as transport,
    ):
        await asyncio.gather(*[post(transport, receiver.url) for _ in range(5)])
        assert (2, 5) == (transport.counts().idle_connections, receiver.connections)
