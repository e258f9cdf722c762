"""New connections: to a vetted address and no other, directly or through an egress proxy.

The address is judged again, connected to as a literal, and compared with the peer before a byte is
sent; the name serves only SNI, the certificate and ``Host`` (domain.md 4.1).
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

from dispatcher.addresses import IPAddress, parse_address
from dispatcher.egress import EgressPolicy, Reach, Target
from dispatcher.errors import CallbackFailed, FailureKind
from dispatcher.http_connection import HttpConnection, Owner
from dispatcher.http_types import URL, InvalidURL
from engine.errors import InvalidInput

#: A name may have a thousand addresses; a call tries no more than these.
ADDRESSES_TRIED_MAX = 3
PROXY_HEAD_BYTES_MAX = 8192
HEAD_END = b"\r\n\r\n"
TLS_SHUTDOWN_SECONDS = 1.0


@cache
def system_tls() -> ssl.SSLContext:
    """Return the process's one TLS context: system store, host names checked, TLS 1.2 or later.

    Building it costs 27 ms (ceilings.md C), so it is never built per call.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Proxy:
    """A CONNECT proxy, trusted with its own address: the operator chose it."""

    host: str
    port: int
    authorization: bytes | None

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read ``http://[user:password@]host:port``; raises InvalidInput."""
        try:
            parsed = URL(url)
        except (InvalidURL, ValueError):
            parsed = URL()
        if parsed.scheme != "http" or not parsed.host or not parsed.port:
            raise InvalidInput(
                "the egress proxy must be http://host:port, perhaps with user:password@",
                field="egress_proxy",
            )
        credentials = base64.b64encode(unquote(parsed.userinfo.decode()).encode())
        authorization = b"Basic " + credentials if parsed.userinfo else None
        return cls(parsed.host, parsed.port, authorization)


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections under one policy; ``connect_seconds`` bounds connecting, and TLS again."""

    policy: EgressPolicy
    tls: ssl.SSLContext | None
    proxy: Proxy | None
    connect_seconds: float

    async def dial(
        self, owner: Owner, target: Target, literals: tuple[str, ...], deadline_at: float
    ) -> HttpConnection:
        """Return a connection to the first address that takes one, or raise CallbackFailed."""
        failure = CallbackFailed("connect", "the host has no address")
        for literal in literals[:ADDRESSES_TRIED_MAX]:
            try:
                opened = await self._open_socket(target, parse_address(literal), deadline_at)
            except CallbackFailed as error:
                if error.kind != "connect":
                    raise
                failure = error
                continue
            return await self._start(owner, target, literal, opened, deadline_at)
        raise failure

    async def _open_socket(
        self, target: Target, address: IPAddress, deadline_at: float
    ) -> socket.socket:
        reach = self.policy.reach(address)
        if reach is Reach.REFUSED or (target.holes_only and reach is not Reach.HOLE):
            raise CallbackFailed("blocked_address", "the host's address may not be called")
        until = asyncio.get_running_loop().time() + self.connect_seconds
        try:
            async with asyncio.timeout_at(min(until, deadline_at)):
                if self.proxy is not None:
                    return await _open_tunnel(self.proxy, address, target.port)
                return await _connect_pinned(address, target.port)
        except TimeoutError:
            raise _too_slow("connect", until, deadline_at) from None
        except OSError as error:
            raise CallbackFailed("connect", "the host could not be connected to") from error

    async def _start(
        self,
        owner: Owner,
        target: Target,
        literal: str,
        opened: socket.socket,
        deadline_at: float,
    ) -> HttpConnection:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.connect_seconds
        over_tls = target.scheme == "https"
        try:
            async with asyncio.timeout_at(min(until, deadline_at)):
                _, connection = await loop.create_connection(
                    lambda: HttpConnection(owner, (target.origin, literal), literal),
                    sock=opened,
                    ssl=(self.tls or system_tls()) if over_tls else None,
                    server_hostname=target.host if over_tls else None,
                    ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if over_tls else None,
                )
        except TimeoutError:
            raise _too_slow("tls", until, deadline_at) from None
        except OSError as error:  # ssl.SSLError and a certificate that does not fit are OSErrors
            raise CallbackFailed("tls", "the TLS handshake failed") from error
        return connection


def _too_slow(kind: FailureKind, until: float, deadline_at: float) -> CallbackFailed:
    if deadline_at <= until:
        return CallbackFailed("timeout", "the call was not complete before the deadline")
    return CallbackFailed(kind, "the host could not be connected to in time")


async def _connect_pinned(address: IPAddress, port: int) -> socket.socket:
    """Connect to the literal and make sure that its peer is who we meant."""
    opened = await _connect(str(address), port, address.version)
    check_peer(opened, address)
    return opened


async def _connect(host: str, port: int, version: int) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with ExitStack() as undo:
        opened = socket.socket(family, socket.SOCK_STREAM)
        undo.callback(opened.close)
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, (host, port))
        undo.pop_all()
    return opened


def check_peer(opened: socket.socket, address: IPAddress) -> None:
    """Close the socket and raise CallbackFailed unless its peer is ``address``."""
    if parse_address(opened.getpeername()[0]) != address:
        opened.close()
        raise CallbackFailed("blocked_address", "the host's address may not be called")


async def _open_tunnel(proxy: Proxy, address: IPAddress, port: int) -> socket.socket:
    """Ask the proxy for a tunnel to the pinned address; it gets no name to resolve once more."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    literal = str(found[0][4][0])
    with ExitStack() as undo:
        opened = await _connect(literal, proxy.port, parse_address(literal).version)
        undo.callback(opened.close)
        place = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
        ask = f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n".encode()
        if proxy.authorization is not None:
            ask += b"proxy-authorization: " + proxy.authorization + b"\r\n"
        await loop.sock_sendall(opened, ask + b"\r\n")
        head = await _read_head(opened)
        status, end, surplus = head.partition(HEAD_END)
        # Bytes after the head would come from the proxy itself: behind it nobody speaks first.
        if surplus or not end or not status.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
            raise CallbackFailed("connect", "the egress proxy refused the tunnel")
        undo.pop_all()
    return opened


async def _read_head(opened: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    head = b""
    while HEAD_END not in head and len(head) < PROXY_HEAD_BYTES_MAX:
        received = await loop.sock_recv(opened, PROXY_HEAD_BYTES_MAX)
        if not received:
            break
        head += received
    return head
