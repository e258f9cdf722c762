"""The receiver on real connections, and as a process of its own that logs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from dispatcher.signing import new_secret
from tests.processes import free_port, running, until
from tests.unit.worker.test_receiver import BODY, signed
from worker.receiver import Callback, Receiver, Secrets
from worker.receiver_connection import BODY_BYTES_MAX

Exchange = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def request(body: bytes = BODY, headers: dict[str, str] | None = None, *, extra: str = "") -> bytes:
    """Return a POST as a sender writes it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    length = f"content-length: {len(body)}\r\n"
    return f"POST /hook HTTP/1.1\r\nhost: x\r\n{length}{lines}{extra}\r\n".encode() + body


def talk(receiver: Receiver, exchange: Exchange) -> None:
    """Run one conversation with a receiver."""

    async def story() -> None:
        server = await receiver.start(0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.wait_for(exchange(reader, writer), 10)
        writer.close()
        server.close()

    asyncio.run(story())


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Return the status line of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b"\r\n")[0]


def test_a_connection_is_kept_alive_and_answers_in_turn() -> None:
    """Several requests over one connection, two of them at once, are each answered in order."""
    secret, taken = new_secret(), list[Callback]()
    receiver = Receiver(taken.append, secrets=Secrets([secret]), respond=(500, 200, 299))

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request(headers=signed(secret)) * 2)
        assert b"HTTP/1.1 500 Internal Server Error" == await answer(reader)
        assert b"HTTP/1.1 200 OK" == await answer(reader)
        writer.write(request())
        assert b"HTTP/1.1 299 Unnamed" == await answer(reader)

    talk(receiver, exchange)
    assert [True, True, False] == [callback.verified for callback in taken]
    assert [("0191-x", "webhook.test", "/hook")] * 2 == [
        (callback.id, callback.event, callback.path) for callback in taken[:2]
    ]


def test_a_body_may_come_in_pieces() -> None:
    """A chunked body is put together before it is verified."""
    secret, taken = new_secret(), list[Callback]()
    head = request(b"", signed(secret)).replace(b"content-length: 0", b"transfer-encoding: chunked")

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for piece in (BODY[:5], BODY[5:]):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert b"HTTP/1.1 200 OK" == await answer(reader)

    talk(Receiver(taken.append, secrets=Secrets([secret])), exchange)
    assert [(BODY, True)] == [(callback.body, callback.verified) for callback in taken]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (request(b"x" * (BODY_BYTES_MAX + 1)), b"HTTP/1.1 413 Request Entity Too Large"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_closed(sent: bytes, status: bytes) -> None:
    """Broken HTTP and a body beyond the limit are no callbacks."""
    taken = list[Callback]()

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        found = await answer(reader)
        assert status.split()[:2] == found.split()[:2]
        assert b"" == await reader.read()

    talk(Receiver(taken.append), exchange)
    assert [] == taken


def test_a_sender_that_asks_for_it_is_disconnected() -> None:
    """``connection: close`` is honoured after the answer."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request(extra="connection: close\r\n"))
        assert b"HTTP/1.1 200 OK" == await answer(reader)
        assert b"" == await reader.read()

    talk(Receiver(list[Callback]().append), exchange)


def test_an_answer_held_back_is_counted_though_the_sender_is_gone() -> None:
    """What was accepted is accepted, whether or not its sender waited to hear so."""
    taken = asyncio.Queue[Callback]()
    receiver = Receiver(taken.put_nowait, delay_seconds=0.05)

    async def exchange(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request())
        await writer.drain()
        writer.close()
        callback = await taken.get()
        assert 200 == callback.status

    talk(receiver, exchange)


def test_the_process_logs_one_line_per_callback(tmp_path: Path) -> None:
    """``python -m worker.receiver`` verifies with its file, answers in turn, and ends in order."""
    secret, port, log = new_secret(), free_port(), tmp_path / "calls.jsonl"
    (tmp_path / "secrets").write_text(secret)
    arguments = ["--port", str(port), "--log", str(log), "--respond", "500,200"]
    arguments += ["--secret-file", str(tmp_path / "secrets"), "--delay", "0.01"]

    async def post(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count):
            writer.write(request(headers=signed(secret)))
            await answer(reader)
        writer.close()

    def listening() -> bool:
        try:
            asyncio.run(post(0))
        except OSError:
            return False
        return True

    with running(arguments, {}, module="worker.receiver") as process:
        until(listening)
        asyncio.run(post(3))
        assert 0 == process.stop(signal.SIGTERM)
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    assert [500, 200, 200] == [line["status"] for line in lines]
    assert all(line["verified"] for line in lines)
