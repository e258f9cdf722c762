"""The proxy does to a connection what it is told, and nothing else."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tests.faults.proxy import Proxy, proxied, through
from tests.processes import until

QUESTION = b"question"


class _Echo(socketserver.BaseRequestHandler):
    """Says back what it hears."""

    def handle(self) -> None:
        while heard := self.request.recv(65536):
            self.server.heard += heard  # type: ignore[attr-defined]  # its own server's
            self.request.sendall(heard)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.heard = b""

    def handle_error(self, *_: object) -> None:
        """Say nothing of a connection that was cut: that is what is tested."""


@pytest.fixture
def echo() -> Iterator[_Server]:
    """Return a server that says back what it hears."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: _Server) -> Iterator[Proxy]:
    """Return a proxy before that server."""
    with proxied("127.0.0.1", echo.server_address[1]) as it:
        yield it


def called(proxy: Proxy) -> closing[socket.socket]:
    """Return a connection through a proxy."""
    return closing(socket.create_connection(("127.0.0.1", proxy.listens_at), timeout=10))


def answer(connection: socket.socket, question: bytes = QUESTION) -> bytes:
    """Send a question and return what is answered until all came, or the connection ended."""
    connection.sendall(question)
    found = b""
    while len(found) < len(question) and (part := connection.recv(65536)):
        found += part
    return found


def answered(proxy: Proxy) -> bool:
    """Ask on a connection of its own and tell whether there was an answer."""
    try:
        with called(proxy) as connection:
            return answer(connection) == QUESTION
    except ConnectionError:
        return False


def test_bytes_pass_unchanged(proxy: Proxy) -> None:
    """Without faults a connection is as it would be without the proxy, large or small."""
    large = bytes(range(256)) * 8192
    with called(proxy) as one, called(proxy) as other:
        assert QUESTION == answer(one)
        assert large == answer(other, large)
        assert QUESTION == answer(one)
    assert 2 == proxy.counts.connections


def test_latency_delays_each_way_by_itself(proxy: Proxy) -> None:
    """An answer takes as much longer as its way back does, with jitter within its bounds."""
    with called(proxy) as connection:
        proxy.back.latency_seconds, proxy.back.jitter_seconds = 0.2, 0.05
        began = time.monotonic()
        assert QUESTION == answer(connection)
        assert 0.15 <= time.monotonic() - began < 2


def test_a_narrow_way_takes_its_time(proxy: Proxy) -> None:
    """20,000 bytes at 50,000 a second take 0.4 s."""
    proxy.there.bytes_per_second = 50_000
    with called(proxy) as connection:
        began = time.monotonic()
        assert 20_000 == len(answer(connection, bytes(20_000)))
        assert 0.35 <= time.monotonic() - began < 5


def test_a_connection_is_cut_after_so_many_bytes(echo: _Server, proxy: Proxy) -> None:
    """The bytes before the cut arrive, those behind it never; the caller sees a reset."""
    proxy.there.cut_after_bytes = 3
    with called(proxy) as connection, pytest.raises(ConnectionResetError):
        answer(connection)
    until(lambda: echo.heard == QUESTION[:3])
    assert 1 == proxy.counts.cut


def test_a_frozen_way_loses_nothing(proxy: Proxy) -> None:
    """Nothing passes while it is frozen, and everything afterwards."""
    with called(proxy) as connection:
        proxy.back.frozen = True
        connection.sendall(QUESTION)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        proxy.back.frozen = False
        connection.settimeout(10)
        assert QUESTION == connection.recv(100)


def test_connections_are_reset_and_refused(proxy: Proxy) -> None:
    """Open connections end with a reset; new ones too while the proxy rejects."""
    with called(proxy) as connection:
        assert QUESTION == answer(connection)
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    proxy.rejecting = True
    assert not answered(proxy)
    assert 1 == proxy.counts.rejected
    proxy.rejecting = False
    assert answered(proxy)


def test_a_share_of_connections_is_reset(proxy: Proxy) -> None:
    """The seed decides which: of 40 at a share of one in five, as many as it says."""
    proxy.reset_share, proxy.reset_within_seconds = 0.2, 0.0
    ended = 40 - sum(answered(proxy) for _ in range(40))
    assert 2 <= ended <= 16
    assert ended == proxy.counts.cut


def test_a_commit_is_made_and_its_answer_withheld(postgresql_url: str) -> None:
    """The server has committed when the caller's connection is reset: he cannot know it."""
    with proxied("127.0.0.1", 0) as proxy:
        url = through(proxy, postgresql_url)
        direct = create_engine(postgresql_url, poolclass=NullPool)
        engine = create_engine(url, poolclass=NullPool)
        with direct.begin() as connection:
            connection.execute(text("CREATE TABLE told (number int)"))
        try:
            proxy.unanswered = b"COMMIT"
            with pytest.raises(OperationalError), engine.begin() as connection:
                connection.execute(text("INSERT INTO told VALUES (7)"))
            with engine.begin() as connection:
                found = connection.execute(text("SELECT number FROM told")).scalars().all()
            assert [7] == found
            assert 1 == proxy.counts.unanswered == proxy.counts.cut
        finally:
            with direct.begin() as connection:
                connection.execute(text("DROP TABLE told"))
