"""Raw receivers on loopback for the transport: they say any bytes, well-formed or not."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from dispatcher.egress import EgressPolicy
from dispatcher.errors import CallbackFailed
from dispatcher.http_types import Request, Response
from dispatcher.transport import CallbackTransport

LOOPBACK = EgressPolicy.from_settings(["127.0.0.0/8"], allow_http=True)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"
DEADLINE_SECONDS = 0.3

Handler = Callable[["Conversation"], Awaitable[None]]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}


def on_each_loop(story: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test on uvloop and on asyncio's own loop."""

    def test(loop_name: str, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(story(**fixtures))

    own = inspect.signature(story)
    added = inspect.Parameter("loop_name", inspect.Parameter.KEYWORD_ONLY)
    test.__signature__ = own.replace(parameters=[*own.parameters.values(), added])  # type: ignore[attr-defined]  # pytest asks for the signature
    test.__name__, test.__doc__, test.__module__ = story.__name__, story.__doc__, story.__module__
    marked: Callable[..., None] = pytest.mark.parametrize("loop_name", LOOPS)(test)
    return marked


@dataclass
class Conversation:
    """One accepted connection as its handler sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    receiver: RawReceiver

    async def hear(self) -> bytes:
        """Read one request whole and keep it; b"" when the caller closed instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        request = head + await self.reader.readexactly(length)
        self.receiver.requests.append(request)
        return request

    async def say(self, *parts: bytes) -> None:
        """Write and wait until the caller takes it."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def closed(self) -> None:
        """Wait until the caller closes its end."""
        await self.reader.read()


@dataclass
class RawReceiver:
    """A listening socket; ``requests`` are kept whole, in the order they came."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Return where it listens, in plain HTTP."""
        return f"http://127.0.0.1:{self.port}/hook"


@asynccontextmanager
async def receiving_raw(
    handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawReceiver]:
    """Serve ``handler`` once per connection while the block runs; the socket closes after it."""
    receiver = RawReceiver()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        task = asyncio.current_task()
        assert task is not None
        receiver.tasks.add(task)
        task.add_done_callback(receiver.tasks.discard)
        try:
            await handler(Conversation(reader, writer, receiver))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the caller went away, or the test is over
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tuple(receiver.tasks):
            task.cancel()
        await asyncio.gather(*receiver.tasks, return_exceptions=True)
        await asyncio.sleep(0)


def answering(*answers: bytes) -> Handler:
    """Return a handler that gives one answer per request, the last one for ever."""

    async def handler(conversation: Conversation) -> None:
        while await conversation.hear():
            position = min(len(conversation.receiver.requests), len(answers)) - 1
            await conversation.say(answers[position])

    return handler


def saying(*parts: bytes) -> Handler:
    """Return a handler that hears one request, says ``parts`` and closes."""

    async def handler(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(*parts)

    return handler


def repeating(start: bytes, again: bytes, *, pause_seconds: float = 0.0) -> Handler:
    """Return a handler that says ``start`` and then ``again`` without end."""

    async def handler(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(start)
        while not conversation.writer.is_closing():
            await conversation.say(again)
            await asyncio.sleep(pause_seconds)

    return handler


@asynccontextmanager
async def transport_to(**options: Any) -> AsyncIterator[CallbackTransport]:
    """Return a transport that may call this machine, and close it; short deadline by default."""
    policy = options.pop("policy", LOOPBACK)
    transport = CallbackTransport(policy, **{"deadline_seconds": DEADLINE_SECONDS, **options})
    try:
        yield transport
    finally:
        await transport.aclose()
        assert transport.counts().open_connections == 0


async def post(
    transport: CallbackTransport, url: str, body: bytes = b"{}", **extra: Any
) -> Response:
    """Call ``url`` once."""
    request = Request("POST", url, content=body, extensions=extra)
    return await transport.handle_async_request(request)


async def failure_of(transport: CallbackTransport, url: str) -> str:
    """Call ``url`` and return the kind of failure it must end in."""
    with pytest.raises(CallbackFailed) as failure:
        await post(transport, url)
    return failure.value.kind
