"""An upstream platform on a real loopback socket: answers about orders as its test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in lower case."""

    path: str
    headers: Mapping[str, str]


@dataclass
class Platform:
    """Answers with ``answer``: what it was asked becomes a status, headers and a body."""

    answer: Callable[[Asked], tuple[int, Mapping[str, str], bytes]]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""


def says(
    document: Any, status: int = 200, **headers: str
) -> Callable[[Asked], tuple[int, Mapping[str, str], bytes]]:
    """Return an answer that is the same for everything that is asked."""
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _asked: (status, named, body)


@contextmanager
def platform(answer: Callable[[Asked], tuple[int, Mapping[str, str], bytes]]) -> Iterator[Platform]:
    """Serve a platform on a free port while the block runs."""
    served = Platform(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()})
            served.asked.append(asked)
            status, headers, body = served.answer(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if status != 304:
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
