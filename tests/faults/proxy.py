"""A TCP proxy that disturbs: latency, bandwidth, cuts, resets, refusals, standstill.

It stands on loopback before PostgreSQL, Redis or a receiver and does to each direction what its
``Faults`` say; they may be changed at any time and count from the next bytes on.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK_BYTES = 65536
POLL_SECONDS = 0.01
PORTS = {"postgresql+psycopg": 5432, "postgresql": 5432, "redis": 6379, "http": 80}
#: Closing with this sends a reset instead of an end.
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Faults:
    """What is done to the bytes of one direction."""

    latency_seconds: float = 0.0
    #: Up to so much more or less than ``latency_seconds``.
    jitter_seconds: float = 0.0
    bytes_per_second: float | None = None
    #: A connection is reset when so many of its bytes have passed.
    cut_after_bytes: int | None = None
    #: Nothing passes while this is set, and nothing is lost.
    frozen: bool = False


@dataclass
class Counts:
    """What the proxy saw and did."""

    connections: int = 0
    rejected: int = 0
    cut: int = 0
    unanswered: int = 0


@dataclass
class Proxy:
    """One disturbed way to a server at ``host`` and ``port``."""

    host: str
    port: int
    seed: int = 0
    there: Faults = field(default_factory=Faults)
    back: Faults = field(default_factory=Faults)
    #: New connections are reset at once.
    rejecting: bool = False
    #: The share of new connections that are reset within ``reset_within_seconds``.
    reset_share: float = 0.0
    reset_within_seconds: float = 1.0
    #: A connection that sends these bytes has them passed on, and is reset before any answer.
    unanswered: bytes | None = None
    #: How many connections ``unanswered`` is done to.
    unanswered_max: int = 1
    counts: Counts = field(default_factory=Counts)
    #: Where it listens, on 127.0.0.1.
    listens_at: int = 0

    def __post_init__(self) -> None:
        """Make what the connections share."""
        self._random = random.Random(self.seed)  # noqa: S311  # faults, not secrets
        self._open: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def reset_all(self) -> None:
        """Reset every connection that is open now."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result(10)

    async def _reset_all(self) -> None:
        for connection in tuple(self._open):
            connection.reset()

    async def _serve(self, started: threading.Event, stopping: asyncio.Event) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK_BYTES)
        self.listens_at = server.sockets[0].getsockname()[1]
        started.set()
        await stopping.wait()
        server.close()
        await self._reset_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        connection = _Connection(self, writer)
        if self.rejecting:
            self.counts.rejected += 1
            connection.reset()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            connection.reset()
            return
        connection.writers.append(far_writer)
        self._open.add(connection)
        try:
            if self._random.random() < self.reset_share:
                delay_seconds = self._random.uniform(0, self.reset_within_seconds)
                asyncio.get_running_loop().call_later(delay_seconds, connection.cut)
            with suppress(asyncio.CancelledError):  # the proxy ends, and says nothing of it
                await connection.carry((reader, far_writer), (far_reader, writer))
        finally:
            self._open.discard(connection)
            connection.close()

    def delay_seconds(self, faults: Faults) -> float:
        """Return how long the next bytes of a direction take."""
        jitter_seconds = faults.jitter_seconds
        jittered = self._random.uniform(-jitter_seconds, jitter_seconds) if jitter_seconds else 0.0
        return max(0.0, faults.latency_seconds + jittered)

    def leaves_unanswered(self, chunk: bytes) -> bool:
        """Tell whether the connection that sent this is to have no answer, and count it."""
        wanted = self.unanswered is not None and self.unanswered in chunk
        if not wanted or self.counts.unanswered >= self.unanswered_max:
            return False
        self.counts.unanswered += 1
        return True


class _Connection:
    """One connection through the proxy: two directions that end together."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self.writers = [near]
        self._unanswered = False

    def reset(self) -> None:
        """End both sides with a reset."""
        for writer in self.writers:
            found = writer.get_extra_info("socket")
            with suppress(OSError):  # it may be closed already
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def cut(self) -> None:
        """Reset because a fault says so."""
        if not self.writers[0].is_closing():
            self.proxy.counts.cut += 1
            self.reset()

    def close(self) -> None:
        """End both sides in order."""
        for writer in self.writers:
            writer.close()

    async def carry(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Pass bytes both ways until one side ends."""
        there, back = ways
        both = [
            asyncio.ensure_future(self._carry(*there, self.proxy.there, asks=True)),
            asyncio.ensure_future(self._carry(*back, self.proxy.back, asks=False)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        faults: Faults,
        *,
        asks: bool,
    ) -> None:
        """Read at once and write when it is due: latency delays bytes, it does not add up."""
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.ensure_future(self._write(way, writer, faults, asks=asks))
        loop = asyncio.get_running_loop()
        try:
            while chunk := await self._read(reader):
                way.put_nowait((loop.time() + self.proxy.delay_seconds(faults), chunk))
            way.put_nowait((loop.time() + faults.latency_seconds, b""))
            await writing
        finally:
            writing.cancel()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(CHUNK_BYTES)
        except OSError:
            return b""

    async def _write(
        self,
        way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        faults: Faults,
        *,
        asks: bool,
    ) -> None:
        passed, loop = 0, asyncio.get_running_loop()
        while True:
            due_at, chunk = await way.get()
            await asyncio.sleep(max(0.0, due_at - loop.time()))
            while faults.frozen:  # noqa: ASYNC110  # another thread sets it
                await asyncio.sleep(POLL_SECONDS)
            if not chunk or (not asks and self._unanswered):
                break
            if asks and self.proxy.leaves_unanswered(chunk):
                self._unanswered = True
            room = (faults.cut_after_bytes or passed + len(chunk) + 1) - passed
            await self._pass(chunk[:room], writer, faults)
            passed += len(chunk)
            if room <= len(chunk):
                self.cut()
                return
        if self._unanswered:
            self.cut()

    async def _pass(self, chunk: bytes, writer: asyncio.StreamWriter, faults: Faults) -> None:
        if faults.bytes_per_second is not None:
            await asyncio.sleep(len(chunk) / faults.bytes_per_second)
        with suppress(OSError):  # the other side went away: reading says so
            writer.write(chunk)
            await writer.drain()


def through(proxy: Proxy, url: str) -> str:
    """Return the address ``url`` by way of a proxy, which is put before its server."""
    parts = urlsplit(url)
    proxy.host, proxy.port = parts.hostname or "127.0.0.1", parts.port or PORTS[parts.scheme]
    user = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user[0]}{user[1]}127.0.0.1:{proxy.listens_at}").geturl()


@contextmanager
def proxied(host: str, port: int, *, seed: int = 0) -> Iterator[Proxy]:
    """Stand before a server on a free loopback port while the block runs."""
    proxy, started = Proxy(host, port, seed), threading.Event()
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()
    proxy._loop = loop
    thread = threading.Thread(
        target=loop.run_until_complete,
        args=(proxy._serve(started, stopping),),
        name="proxy",
    )
    thread.start()
    try:
        assert started.wait(10), "the proxy did not start"
        yield proxy
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()
