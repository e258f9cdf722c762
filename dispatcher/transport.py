"""The way out: vets, resolves, pins, connects and speaks HTTP/1.1 under one deadline per call.

It is an httpx transport, called directly with a Request. ``send`` is the lower door without httpx's
objects, for a caller that makes thousands of calls a second.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial

from config.crash_points import C09_CONNECTED, at
from dispatcher.deadlines import DeadlineWatch
from dispatcher.dial import Dialer, Proxy
from dispatcher.egress import EgressPolicy, Reach, Target, check_url
from dispatcher.errors import CallbackFailed, EndpointUrlRefused
from dispatcher.http_connection import KEPT_BYTES_MAX, Answer, HttpConnection, StaleConnection
from dispatcher.http_pool import IdlePool
from dispatcher.http_types import AsyncBaseTransport, Headers, Request, Response
from dispatcher.resolve import Lookup, Resolution, Resolver

TARGETS_CACHED_MAX = 32_768
#: Line breaks of a head without a caller's headers: request line, host, encoding, length, end.
HEAD_START_LINES = 5
#: Headers that belong to the transport; a caller's own are passed over.
OWN_HEADERS = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"accept-encoding",
        b"expect",
        b"upgrade",
        b"te",
        b"trailer",
        b"cookie",
    }
)


@dataclass(frozen=True, slots=True)
class TransportCounts:
    """Figures for the operators: connections now, calls and connections since the start."""

    open_connections: int
    idle_connections: int
    calls_in_flight: int
    calls: int
    calls_on_reused_connections: int
    connections_made: int


class CallbackTransport(AsyncBaseTransport):
    """Makes calls from one event loop, and only where the egress policy lets it."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        proxy: str | None = None,
        resolver: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
        deadline_seconds: float = 15.0,
        connect_seconds: float = 5.0,
        connections_idle_seconds: float = 30.0,
        connections_idle_max: int = 2000,
        connections_idle_per_address_max: int = 500,
        kept_bytes_max: int = KEPT_BYTES_MAX,
    ) -> None:
        """Prepare; nothing is opened before the first call.

        ``resolver`` finds the addresses of a name instead of the system; ``proxy`` is the CONNECT
        proxy ``http://host:port``. Raises InvalidInput for a proxy that cannot be used.
        """
        #: How much of an answer's body is kept.
        self.kept_bytes_max = kept_bytes_max
        self._deadline_seconds = deadline_seconds
        self._resolver = Resolver(policy, resolver)
        self._dialer = Dialer(
            policy, ssl_context, None if proxy is None else Proxy.parse(proxy), connect_seconds
        )
        self._idle: IdlePool[HttpConnection] = IdlePool(
            total_max=connections_idle_max,
            per_key_max=connections_idle_per_address_max,
            idle_seconds=connections_idle_seconds,
        )
        self._idle_timer: asyncio.TimerHandle | None = None
        self._deadlines = DeadlineWatch()
        self._open: set[HttpConnection] = set()
        self._all_closed = asyncio.Event()
        self._closing = False
        self._calls = self._reuses = self._connections_made = 0
        #: Vets a URL, remembering what passed: it runs at each send.
        self.target_of = lru_cache(TARGETS_CACHED_MAX)(partial(check_url, policy=policy))

    # -- two doors -------------------------------------------------------------------------------

    async def handle_async_request(self, request: Request) -> Response:
        """Send ``request`` and return the answer, its body cut and never decoded.

        ``request.extensions["deadline_seconds"]`` replaces the deadline for this call; the answer's
        extensions hold ``truncated`` and ``remote_ip``. Raises CallbackFailed.
        """
        seconds = request.extensions.get("deadline_seconds", self._deadline_seconds)
        deadline_at = asyncio.get_running_loop().time() + seconds
        try:
            target = self.target_of(str(request.url))
        except EndpointUrlRefused as error:
            raise CallbackFailed("blocked_address", error.message) from error
        body = await request.aread()
        head = request_head(target, request.headers.raw, len(body), request.method.encode())
        answer = await self.send(target, head, body, deadline_at)
        extensions = {"truncated": answer.truncated, "remote_ip": answer.remote_ip}
        response = Response(
            answer.status_code, content=answer.body, request=request, extensions=extensions
        )
        # Given to the constructor, a content-encoding would make httpx decode the body.
        response.headers = Headers(answer.headers)
        return response

    async def send(self, target: Target, head: bytes, body: bytes, deadline_at: float) -> Answer:
        """Send the bytes of a request to a vetted target; raises CallbackFailed.

        ``deadline_at`` is on the clock of the running loop and covers names, connecting, TLS, head
        and body. A kept-alive connection that the receiver closed meanwhile costs one more try on a
        new one, within the same call.
        """
        if self._closing:
            raise CallbackFailed("reset", "the dispatcher is closing")
        self._calls += 1
        literals = self._known_literals(target) or await self._resolve(target, deadline_at)
        connection = self._take_idle(target, literals)
        if connection is not None:
            self._reuses += 1
            try:
                return await self._exchange(connection, head + body, deadline_at)
            except StaleConnection:
                pass
        connection = await self._dialer.dial(self, target, literals, deadline_at)
        at(C09_CONNECTED)
        return await self._exchange(connection, head + body, deadline_at)

    async def certificate_ends_at(self, target: Target, deadline_at: float) -> datetime | None:
        """Return until when the certificate lasts that a host shows in a handshake of its own.

        None where the target is plain HTTP. Nothing is asked. Raises CallbackFailed.
        """
        literals = self._known_literals(target) or await self._resolve(target, deadline_at)
        connection = await self._dialer.dial(self, target, literals, deadline_at)
        ends_at = connection.certificate_ends_at
        connection.close()
        return ends_at

    def counts(self) -> TransportCounts:
        """Return the figures of this moment."""
        return TransportCounts(
            open_connections=len(self._open),
            idle_connections=len(self._idle),
            calls_in_flight=len(self._deadlines),
            calls=self._calls,
            calls_on_reused_connections=self._reuses,
            connections_made=self._connections_made,
        )

    async def aclose(self) -> None:
        """Drop every connection; calls in flight fail as reset, and no new one can be made."""
        self._closing = True
        self._resolver.close()
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            await self._all_closed.wait()
        self._deadlines.close()
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    # -- a call ----------------------------------------------------------------------------------

    async def _exchange(
        self, connection: HttpConnection, request: bytes, deadline_at: float
    ) -> Answer:
        answer = connection.ask(request)
        self._deadlines.watch(connection, deadline_at)
        try:
            return await answer
        except asyncio.CancelledError:
            if connection.waits_for(answer):
                connection.abort()
            raise

    def _known_literals(self, target: Target) -> tuple[str, ...] | None:
        """Return the addresses to call, or None when the name must be looked up first."""
        if target.literal is not None:
            return (target.literal,)
        resolution = self._resolver.known(target.host, asyncio.get_running_loop().time())
        return None if resolution is None else _callable_literals(target, resolution)

    async def _resolve(self, target: Target, deadline_at: float) -> tuple[str, ...]:
        return _callable_literals(target, await self._resolver.resolve(target.host, deadline_at))

    def _take_idle(self, target: Target, literals: tuple[str, ...]) -> HttpConnection | None:
        """Take a live idle connection to one of the addresses, the one that fell idle last."""
        for literal in literals:
            connection = self._idle.take((target.origin, literal))
            while connection is not None and connection.is_closing():
                connection = self._idle.take((target.origin, literal))
            if connection is not None:
                return connection
        return None

    # -- http_connection.Owner -------------------------------------------------------------------

    def connection_opened(self, connection: HttpConnection) -> None:
        """Count it in."""
        self._open.add(connection)
        self._connections_made += 1
        if self._closing:
            connection.abort()

    def connection_free(self, connection: HttpConnection, *, reusable: bool) -> None:
        """Keep a reusable connection for the next call."""
        self._deadlines.forget(connection)
        if not reusable:
            return
        loop = asyncio.get_running_loop()
        surplus = self._idle.put(connection, loop.time())
        if surplus is not None:
            surplus.close()
        if self._idle_timer is None:
            self._set_idle_timer()

    def connection_closed(self, connection: HttpConnection) -> None:
        """Count it out."""
        self._idle.discard(connection)
        self._open.discard(connection)
        if self._closing and not self._open:
            self._all_closed.set()

    def _set_idle_timer(self) -> None:
        expiry_at = self._idle.next_expiry_at
        self._idle_timer = None
        if expiry_at is not None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_at(expiry_at, self._close_expired)

    def _close_expired(self) -> None:
        for connection in self._idle.take_expired(asyncio.get_running_loop().time()):
            connection.close()
        self._set_idle_timer()


def _callable_literals(target: Target, resolution: Resolution) -> tuple[str, ...]:
    """Return a name's addresses, or raise CallbackFailed when any of them is forbidden."""
    reach = resolution.reach
    if reach is Reach.REFUSED or (target.holes_only and reach is not Reach.HOLE):
        raise CallbackFailed("blocked_address", "the host's address may not be called")
    return resolution.literals


def request_head(
    target: Target,
    headers: Iterable[tuple[bytes, bytes]],
    body_length: int,
    method: bytes = b"POST",
) -> bytes:
    """Return the head of a request; what belongs to the transport is set here, whoever else set it.

    Raises CallbackFailed (``protocol``) when a header would break out of its line.
    """
    lines = [start + value for name, value in headers if (start := _line_start(name))]
    head = b"%b%b%d%b\r\n\r\n" % (method, target.head_start, body_length, b"".join(lines))
    breaks = HEAD_START_LINES + len(lines)
    if head.count(b"\r") != breaks or head.count(b"\n") != breaks or b"\0" in head:
        raise CallbackFailed("protocol", "a header holds a line break or NUL")
    return head


@lru_cache(1024)
def _line_start(name: bytes) -> bytes:
    """Return what stands before a header's value; nothing for one of the transport's own."""
    return b"" if name.lower() in OWN_HEADERS else b"\r\n%b: " % name
