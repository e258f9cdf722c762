"""The receiver's side of HTTP/1.1: whole requests in, answers out in the order of the requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from http import HTTPStatus
from typing import Protocol, cast

import httptools

BODY_BYTES_MAX = 1024 * 1024
#: An answer with one of these has no body, and says no length.
BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request as it arrived: its headers in their order and spelling, its exact bytes."""

    method: bytes
    path: str
    headers: Sequence[Header]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered; length and connection are the connection's own headers."""

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What the application behind a tunnel answered; ``error`` says why it gave no answer."""

    reply: Reply
    error: str | None
    duration_ms: int


class Tunnel(Protocol):
    """Hands requests on to an application and returns its answers (``worker.forwarding``)."""

    async def forward(self, incoming: Incoming) -> Forwarded:
        """Hand one request on."""
        ...

    async def aclose(self) -> None:
        """End what is on its way."""
        ...


@dataclass(slots=True)
class _Turn:
    """A request that waits for its answer, and for those before it."""

    keep_alive: bool
    reply: Reply | None = field(default=None)


class Connection(asyncio.Protocol):
    """One connection, kept alive; httptools calls back the ``on_`` methods as it parses.

    ``take`` is given each request and a function that must be called once with its answer.
    """

    def __init__(self, take: Callable[[Incoming, Callable[[Reply], None]], None]) -> None:
        self._take = take
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._turns: deque[_Turn] = deque()
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        # uvloop's transports have the methods of asyncio.Transport without being one.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse; what is no HTTP is answered 400 and ends the connection."""
        assert self._transport is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(render(Reply(400), keep_alive=False))
            self._transport.close()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._path = ""
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._length = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, as far as it is kept."""
        self._length += len(body)
        if self._length <= BODY_BYTES_MAX:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the request on; one whose body is too large ends the connection."""
        fits = self._length <= BODY_BYTES_MAX
        turn = _Turn(keep_alive=fits and self._parser.should_keep_alive())
        self._turns.append(turn)
        answer = partial(self._answer, turn)
        if fits:
            body = b"".join(self._body)
            method = self._parser.get_method()
            self._take(Incoming(method, self._path, self._headers, body), answer)
        else:
            answer(Reply(413))

    def _answer(self, turn: _Turn, reply: Reply) -> None:
        """Write what is ready, the oldest request first."""
        turn.reply = reply
        while self._turns and (ready := self._turns[0].reply) is not None:
            self._write(ready, keep_alive=self._turns.popleft().keep_alive)

    def _write(self, reply: Reply, *, keep_alive: bool) -> None:
        # The sender may have given up while the answer was held back.
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(render(reply, keep_alive=keep_alive))
        if not keep_alive:
            self._transport.close()


@cache
def _start(status: int, *, keep_alive: bool) -> bytes:
    connection = "" if keep_alive else "connection: close\r\n"
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unnamed"
    return f"HTTP/1.1 {status} {phrase}\r\n{connection}".encode()


def render(reply: Reply, *, keep_alive: bool) -> bytes:
    """Return the bytes of an answer."""
    lines = b"".join(b"%b: %b\r\n" % header for header in reply.headers)
    start = _start(reply.status, keep_alive=keep_alive) + lines
    if reply.status in BODILESS:
        return start + b"\r\n"
    return start + b"content-length: %d\r\n\r\n%b" % (len(reply.body), reply.body)
