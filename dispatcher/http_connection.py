"""One HTTP/1.1 connection that asks and hears one answer at a time, within fixed bounds.

At most 64 KiB of head (interim answers included) and 64 KiB of body are read, 4 KiB are kept, as
the raw bytes they are: nothing is decoded or followed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Hashable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from config import crash_points
from dispatcher.errors import CallbackFailed, FailureKind

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 64 * 1024
KEPT_BYTES_MAX = 4096

MESSAGES: dict[FailureKind, str] = {
    "timeout": "the answer was not complete before the deadline",
    "protocol": "the answer is not valid HTTP/1.1, or its head is too large",
    "reset": "the connection was closed before the answer was complete",
    "tls": "the TLS connection was refused",
}


class Answer(NamedTuple):
    """What a receiver answered; ``truncated`` tells that the body was longer than what is kept."""

    status_code: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    truncated: bool
    remote_ip: str


class StaleConnection(Exception):
    """A kept-alive connection was closed before the first byte of an answer: ask on a new one."""


class Owner(Protocol):
    """Who holds connections and hears what becomes of them."""

    @property
    def kept_bytes_max(self) -> int:
        """How much of an answer's body is kept; what is read has a bound of its own."""
        ...

    def connection_opened(self, connection: HttpConnection) -> None:
        """Hear that the connection can be asked."""
        ...

    def connection_free(self, connection: HttpConnection, *, reusable: bool) -> None:
        """Hear that the exchange is over; a connection that is not reusable closes itself."""
        ...

    def connection_closed(self, connection: HttpConnection) -> None:
        """Hear that the connection is gone."""
        ...


class HttpConnection(asyncio.Protocol):
    """The protocol behind one socket; ``key`` and ``remote_ip`` say what it is connected to."""

    __slots__ = (
        "_answer",
        "_asked",
        "_body_length",
        "_head_complete",
        "_headers",
        "_kept",
        "_loop",
        "_owner",
        "_parser",
        "_received",
        "_result",
        "_reusable",
        "_transport",
        "key",
        "remote_ip",
    )

    def __init__(self, owner: Owner, key: Hashable, remote_ip: str) -> None:
        """Wait for the socket."""
        self.key = key
        self.remote_ip = remote_ip
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Answer] | None = None
        self._asked = 0
        self._reset()

    def _reset(self) -> None:
        self._result: Answer | None = None
        self._reusable = False
        self._head_complete = False
        self._received = 0
        self._body_length = 0
        self._kept: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []

    # -- asked by the transport ------------------------------------------------------------------

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send ``request`` and return the future of its answer.

        It fails with CallbackFailed, or with StaleConnection when asking again elsewhere is safe.
        """
        self._reset()
        self._asked += 1
        answer = self._answer = self._loop.create_future()
        if self._transport.is_closing():
            self._fail("reset")
        else:
            crash_points.send(self._transport, request)
        return answer

    def waits_for(self, answer: asyncio.Future[Answer]) -> bool:
        """Tell whether ``answer`` is still outstanding on this connection."""
        return self._answer is answer

    def is_closing(self) -> bool:
        """Tell whether the connection can no longer be asked."""
        return self._transport.is_closing()

    @property
    def certificate_ends_at(self) -> datetime | None:
        """Until when the certificate lasts that the receiver showed; None in plain HTTP."""
        shown = self._transport.get_extra_info("peercert")
        if not shown:
            return None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)

    def close(self) -> None:
        """Close an idle connection politely."""
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection now; an outstanding answer fails as reset."""
        self._fail("reset")

    def expire(self) -> None:
        """Drop the connection because its call ran out of time."""
        self._fail("timeout")

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take hold of the socket."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.connection_opened(self)

    def data_received(self, data: bytes) -> None:
        """Read no more than the bounds allow; bytes that nobody asked for close the connection."""
        while data and self._answer is not None:
            room = HEAD_BYTES_MAX - self._received
            self._feed(data[:room])
            data = data[room:]
        if data:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End an outstanding exchange: complete if closing was its end, else stale or failed."""
        self._owner.connection_closed(self)
        if self._answer is not None:
            self._end_exchange(exc)
        # Parser and connection hold each other; parted, they go without the garbage collector.
        del self._parser

    # -- httptools -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start over after an interim answer; a second answer nobody asked for spoils reuse."""
        self._headers = []
        self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header (or trailer) as it came."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Tell the final head from an interim one (RFC 9110, 15.2: 1xx is interim)."""
        if self._parser.get_status_code() >= 200:
            self._head_complete = True

    def on_body(self, body: bytes) -> None:
        """Keep as much of the beginning as the owner wants."""
        length = self._body_length
        if length < self._owner.kept_bytes_max:
            self._kept.append(body[: self._owner.kept_bytes_max - length])
        self._body_length = length + len(body)

    def on_message_complete(self) -> None:
        """Fix the answer; it is given out when all bytes at hand are parsed."""
        if self._head_complete and self._result is None:
            self._result = self._build_answer()
            self._reusable = self._parser.should_keep_alive()

    # -- the exchange ----------------------------------------------------------------------------

    def _end_exchange(self, exc: Exception | None) -> None:
        if exc is None and self._ends_by_closing():
            self._complete(self._build_answer(), reusable=False)
        elif self._asked > 1 and not self._received and not self._head_complete:
            self._give_up(StaleConnection())
        else:
            self._fail("tls" if isinstance(exc, ssl.SSLError) else "reset", exc)

    def _feed(self, data: bytes) -> None:
        self._received += len(data)
        in_head = not self._head_complete
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._result is None:
                self._fail("protocol", error)
                return
            self._reusable = False
        if in_head and self._head_complete:
            # Where in it the body began is not known: all that came with the head's end counts.
            self._received = len(data)
        if self._result is not None:
            self._complete(self._result, reusable=self._reusable)
        elif not self._head_complete:
            if self._received >= HEAD_BYTES_MAX:
                self._fail("protocol")
        elif self._received >= BODY_BYTES_MAX:
            self._complete(self._build_answer(cut=True), reusable=False)

    def _build_answer(self, *, cut: bool = False) -> Answer:
        return Answer(
            self._parser.get_status_code(),
            self._headers,
            b"".join(self._kept),
            cut or self._body_length > self._owner.kept_bytes_max,
            self.remote_ip,
        )

    def _complete(self, result: Answer, *, reusable: bool) -> None:
        answer, self._answer = self._answer, None
        if not reusable:
            self._transport.abort()
        self._owner.connection_free(self, reusable=reusable)
        if answer is not None and not answer.done():
            answer.set_result(result)

    def _fail(self, kind: FailureKind, cause: Exception | None = None) -> None:
        failure = CallbackFailed(kind, MESSAGES[kind])
        failure.__cause__ = cause
        self._give_up(failure)

    def _give_up(self, failure: Exception) -> None:
        answer, self._answer = self._answer, None
        self._transport.abort()
        self._owner.connection_free(self, reusable=False)
        if answer is not None and not answer.done():
            answer.set_exception(failure)

    def _ends_by_closing(self) -> bool:
        """Tell whether the final head came without saying where the body ends (RFC 9112, 6.3)."""
        return self._head_complete and not any(
            name.lower() == b"content-length"
            or (name.lower() == b"transfer-encoding" and b"chunked" in value.lower())
            for name, value in self._headers
        )
