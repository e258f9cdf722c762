"""Receivers that drip, flood, lie or break off: every call ends, in time and within bounds."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from dispatcher.errors import CallbackFailed
from tests.wire import (
    DEADLINE_SECONDS,
    HEAD,
    OK,
    Conversation,
    Handler,
    answering,
    failure_of,
    on_each_loop,
    post,
    receiving_raw,
    repeating,
    saying,
    transport_to,
)

MEBIBYTE = 1024 * 1024
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
PAUSE_SECONDS = 0.01


async def silent(conversation: Conversation) -> None:
    """Accept and never answer."""
    await conversation.closed()


@pytest.mark.fault("F31")
@pytest.mark.parametrize(
    "handler",
    [
        silent,
        repeating(HEAD + b"content-length: 9999\r\n\r\n", b"x", pause_seconds=PAUSE_SECONDS),
        repeating(HEAD + b"x-drip: ", b"x", pause_seconds=PAUSE_SECONDS),
        repeating(b"", INTERIM, pause_seconds=PAUSE_SECONDS),
        repeating(CHUNKED, b"1\r\nx\r\n", pause_seconds=PAUSE_SECONDS),
        repeating(HEAD + b"\r\n", b"x", pause_seconds=PAUSE_SECONDS),
    ],
    ids=["silent", "body drip", "head drip", "endless 103", "chunk drip", "no length"],
)
@on_each_loop
async def test_a_slow_receiver_ends_at_the_one_deadline(handler: Handler) -> None:
    """However it dawdles, the call fails as a timeout when its time is over, not later (F31)."""
    async with receiving_raw(handler) as receiver, transport_to() as transport:
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert await failure_of(transport, receiver.url) == "timeout"
        assert DEADLINE_SECONDS - 0.05 <= loop.time() - start <= DEADLINE_SECONDS + 1.0


@pytest.mark.fault("F31")
@on_each_loop
async def test_a_receiver_that_stops_reading_ends_at_the_deadline() -> None:
    """A body that is never taken up waits in our buffer until the deadline and goes with it."""

    async def deaf(conversation: Conversation) -> None:
        await conversation.reader.readexactly(1)
        await asyncio.Event().wait()

    async with receiving_raw(deaf) as receiver, transport_to() as transport:
        with pytest.raises(CallbackFailed) as failure:
            await post(transport, receiver.url, bytes(16 * MEBIBYTE))
        assert failure.value.kind == "timeout"


@on_each_loop
async def test_a_call_may_bring_its_own_deadline() -> None:
    """The request's ``deadline_seconds`` counts, not the transport's."""
    async with receiving_raw(silent) as receiver, transport_to(deadline_seconds=60.0) as transport:
        with pytest.raises(CallbackFailed, match="deadline") as failure:
            await asyncio.wait_for(post(transport, receiver.url, deadline_seconds=0.1), 5)
        assert failure.value.kind == "timeout"


@pytest.mark.fault("F31")
@on_each_loop
async def test_a_slow_receiver_delays_nobody_else() -> None:
    """While fifty calls hang, a healthy receiver is answered at once."""
    async with (
        receiving_raw(silent) as hanging,
        receiving_raw(answering(OK)) as healthy,
        transport_to(deadline_seconds=0.4) as transport,
    ):
        loop = asyncio.get_running_loop()
        stuck = [asyncio.create_task(failure_of(transport, hanging.url)) for _ in range(50)]
        start = loop.time()
        for _ in range(20):
            await post(transport, healthy.url)
        assert loop.time() - start < 0.4
        assert ["timeout"] * 50 == await asyncio.gather(*stuck)


@pytest.mark.fault("F32")
@pytest.mark.parametrize(
    "handler",
    [
        saying(HEAD + b"content-length: %d\r\n\r\n" % (10 * MEBIBYTE), bytes(10 * MEBIBYTE)),
        saying(HEAD + b"\r\n", bytes(10 * MEBIBYTE)),
        repeating(CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n"),
        saying(CHUNKED + b"FFFFFFFFFFFFFFFF\r\n", bytes(10 * MEBIBYTE)),
        repeating(CHUNKED + b"1;", b"extension" * 500),
        repeating(CHUNKED + b"0\r\n", b"x-trailer: " + b"t" * 1000 + b"\r\n"),
    ],
    ids=["announced", "unannounced", "endless chunks", "huge chunk", "extension", "trailers"],
)
@on_each_loop
async def test_an_endless_body_counts_by_its_status(handler: Handler) -> None:
    """At most 64 KiB are read and 4 KiB kept; the connection goes, the status stands (F32)."""
    async with (
        receiving_raw(handler) as receiver,
        transport_to(deadline_seconds=5.0) as transport,
    ):
        response = await post(transport, receiver.url)
        assert (200, True) == (response.status_code, response.extensions["truncated"])
        assert len(response.content) <= 4096
        assert transport.counts().idle_connections == 0


@pytest.mark.parametrize(("length", "kept"), [(4096, 4096), (4097, 4096), (65_000, 4096)])
@on_each_loop
async def test_a_body_within_the_bound_keeps_its_connection(length: int, kept: int) -> None:
    """A body of up to 64 KiB is read to its end, so that the connection can be used again."""
    answer = HEAD + b"content-length: %d\r\n\r\n" % length + b"x" * length
    async with (
        receiving_raw(answering(answer)) as receiver,
        transport_to(deadline_seconds=5.0) as transport,
    ):
        for _ in range(2):
            response = await post(transport, receiver.url)
            assert (kept, length > kept) == (
                len(response.content),
                response.extensions["truncated"],
            )
    assert receiver.connections == 1


@pytest.mark.fault("F33")
@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(gzip.compress(bytes(10 * MEBIBYTE), mtime=0), id="a bomb"),
        pytest.param(gzip.compress(b"hi", mtime=0), id="a word"),
        pytest.param(b"not gzip at all", id="not gzip"),
    ],
)
@on_each_loop
async def test_a_compressed_body_is_never_decoded(encoded: bytes) -> None:
    """A bomb stays as small as it came, and damage in it is nobody's concern (F33)."""
    answer = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(encoded) + encoded
    async with receiving_raw(answering(answer)) as receiver, transport_to() as transport:
        response = await post(transport, receiver.url)
        assert encoded[:4096] == response.content == await response.aread()
        assert "gzip" == response.headers["content-encoding"]


@pytest.mark.fault("F32", "F34")
@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        HEAD + b"content-length: -2\r\n\r\nok",
        HEAD + b"content-length: two\r\n\r\nok",
        CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"FFFFFFFFFFFFFFFFF\r\nok\r\n0\r\n\r\n",
        HEAD + b"a: b\0c\r\n\r\n",
        HEAD + b"a: b\rc\r\n\r\n",
        HEAD + b"a: b\nc: d\r\n\r\n",
        HEAD + b"a: b\r\n folded\r\n\r\n",
        HEAD + b"a" * 70_000 + b": b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
        HEAD + b"x: y\r\n" * 100_000 + b"content-length: 0\r\n\r\n",
        HEAD + b"".join(b"x-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
        INTERIM * 5_000 + OK,
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"<html>hello</html>",
    ],
)
@on_each_loop
async def test_an_answer_that_is_not_http_fails_as_protocol(answer: bytes) -> None:
    """Smuggling, garbage and oversized heads are failures, never half-read successes (F32, F34)."""
    async with (
        receiving_raw(saying(answer)) as receiver,
        transport_to(deadline_seconds=5.0) as transport,
    ):
        assert await failure_of(transport, receiver.url) == "protocol"
        assert transport.counts().idle_connections == 0


@pytest.mark.fault("F34")
@on_each_loop
async def test_a_header_of_any_length_is_not_swallowed() -> None:
    """A single endless header is cut at 64 KiB."""
    handler = repeating(HEAD + b"x: ", b"y" * 65_536)
    async with (
        receiving_raw(handler) as receiver,
        transport_to(deadline_seconds=5.0) as transport,
    ):
        assert await failure_of(transport, receiver.url) == "protocol"


@pytest.mark.fault("F40")
@pytest.mark.parametrize("cut", [1, 9, 15, len(HEAD) + 8, len(OK) - 1])
@on_each_loop
async def test_an_answer_broken_off_is_a_reset(cut: int) -> None:
    """At whatever byte the receiver closes, a part of an answer is no answer (F40)."""
    async with receiving_raw(saying(OK[:cut])) as receiver, transport_to() as transport:
        assert await failure_of(transport, receiver.url) == "reset"


@pytest.mark.fault("F37")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@on_each_loop
async def test_a_redirect_is_returned_not_followed(status: int) -> None:
    """The place a redirect points to hears nothing (F37)."""
    async with receiving_raw(answering(OK)) as inner:
        redirect = (
            f"HTTP/1.1 {status} Moved\r\nlocation: {inner.url}\r\ncontent-length: 0\r\n\r\n"
        ).encode()
        async with receiving_raw(answering(redirect)) as outer, transport_to() as transport:
            assert status == (await post(transport, outer.url)).status_code
        assert inner.connections == 0


@pytest.mark.parametrize("surplus", [OK, b"HTTP/1.1 200 OK\r\n", b"garbage", bytes(200_000)])
@on_each_loop
async def test_a_second_answer_nobody_asked_for_is_given_to_nobody(surplus: bytes) -> None:
    """The first answer counts and the connection goes, so that no answer is taken for another's."""
    async with receiving_raw(answering(OK + surplus, OK)) as receiver, transport_to() as transport:
        assert (await post(transport, receiver.url)).content == b"ok"
        assert transport.counts().idle_connections == 0
        assert (await post(transport, receiver.url)).content == b"ok"
    assert receiver.connections == 2


@on_each_loop
async def test_an_answer_before_the_question_is_not_believed() -> None:
    """Bytes that wait on an idle connection close it instead of answering the next call."""
    spoken = asyncio.Event()

    async def early(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(OK)
        await spoken.wait()
        await conversation.say(b"HTTP/1.1 299 Forged\r\ncontent-length: 0\r\n\r\n")
        await conversation.closed()

    async with receiving_raw(early) as receiver, transport_to() as transport:
        await post(transport, receiver.url)
        spoken.set()
        while transport.counts().open_connections:  # noqa: ASYNC110  # it announces no closing
            await asyncio.sleep(0)
        assert (await post(transport, receiver.url)).status_code == 200


def open_files() -> int:
    """Count the files and sockets this process holds."""
    return len(list(Path("/dev/fd").iterdir()))


@on_each_loop
async def test_failed_calls_leave_no_socket_open() -> None:
    """After a hundred failures of every kind the files are back to the start plus ten (R1)."""
    before = open_files()
    async with (
        receiving_raw(silent) as hanging,
        receiving_raw(saying(b"garbage")) as lying,
        receiving_raw(saying()) as closing,
        transport_to(deadline_seconds=3.0) as transport,
    ):
        urls = [hanging.url, lying.url, closing.url, "http://127.0.0.1:1/"] * 25
        kinds = await asyncio.gather(*[failure_of(transport, url) for url in urls])
        assert {"timeout", "protocol", "reset", "connect"} == set(kinds)
    for _ in range(200):  # the receivers' sockets close in the loop's next rounds
        if open_files() <= before + 10:
            break
        await asyncio.sleep(0.01)
    assert open_files() <= before + 10
