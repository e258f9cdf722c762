"""A real HTTP receiver on loopback for tests: answers from a script and keeps what it was sent."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Callback:
    """One request as it arrived; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with ``statuses`` in turn, the last one for ever, each time waiting for ``gate``.

    One that ``echoes`` answers with the headers it was sent.
    """

    statuses: Sequence[int] = (200,)
    gate: threading.Event | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    echoes: bool = False
    callbacks: list[Callback] = field(default_factory=list)
    url: str = ""
    in_flight: int = 0
    in_flight_max: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, callback: Callback) -> int:
        """Keep a callback and return the status to answer."""
        with self.lock:
            self.callbacks.append(callback)
            position = min(len(self.callbacks), len(self.statuses)) - 1
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)
        if self.gate is not None:
            self.gate.wait(10)
        with self.lock:
            self.in_flight -= 1
        return self.statuses[position]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a sender that is cut off: tests kill some."""


@contextmanager
def receiving(
    receiver: Receiver | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Serve a receiver on a free loopback port while the block runs, with ``tls`` over TLS."""
    served: Receiver = receiver or Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            callback = Callback(self.path, headers, self.rfile.read(length))
            status = served.take(callback)
            body = repr(headers).encode() if served.echoes else b'{"success":true}'
            self.send_response(status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        # Each connection's own thread shakes hands: one that stalls stops nobody.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/hook"
    try:
        yield served
    finally:
        if served.gate is not None:
            served.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
