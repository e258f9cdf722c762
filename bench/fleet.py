"""Receivers for a measurement: one process, one port, answers 200 and remembers what came.

``python -m bench.fleet --port 9000`` answers every POST at once (``--delay-ms`` later), keeps each
``webhook-id`` with the instant it arrived, and says on GET how many came and how many were distinct
(``/count``), and all of them (``/arrivals``: one ``id nanoseconds`` a line). It does as little as a
receiver can: what is measured is the sender.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import cast

from dispatcher.drain import new_event_loop

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_ID = b"webhook-id: "
_LENGTH = b"content-length: "


class Arrivals:
    """What came: the identifier and the instant of every call, in order."""

    def __init__(self) -> None:
        self.rows: list[tuple[bytes, int]] = []

    def text(self, path: bytes) -> bytes:
        """Answer a question about them."""
        if path == b"/arrivals":
            return b"".join(b"%b %d\n" % row for row in self.rows)
        return b"%d %d" % (len(self.rows), len({row[0] for row in self.rows}))


class Call(asyncio.Protocol):
    """One connection of a sender that keeps it."""

    def __init__(self, arrivals: Arrivals, delay_seconds: float) -> None:
        self._arrivals = arrivals
        self._delay_seconds = delay_seconds
        self._held = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take hold of the socket."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        data = self._held + data if self._held else data
        while True:
            head_end = data.find(b"\r\n\r\n")
            if head_end < 0:
                break
            end = head_end + 4 + _number_after(data, _LENGTH, head_end)
            if len(data) < end:
                break
            self._answer(data, head_end)
            data = data[end:]
        self._held = data

    def _answer(self, data: bytes, head_end: int) -> None:
        if data.startswith(b"GET "):
            body = self._arrivals.text(data[4 : data.index(b" ", 4)])
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            return
        place = data.find(_ID, 0, head_end)
        if place >= 0:
            start = place + len(_ID)
            self._arrivals.rows.append((data[start : data.find(b"\r", start)], time.time_ns()))
        if self._delay_seconds:
            asyncio.get_running_loop().call_later(self._delay_seconds, self._transport.write, _OK)
        else:
            self._transport.write(_OK)


def _number_after(data: bytes, name: bytes, head_end: int) -> int:
    place = data.find(name, 0, head_end)
    return 0 if place < 0 else int(data[place + len(name) : data.find(b"\r", place)])


async def serve(port: int, delay_seconds: float) -> None:
    """Answer until the process is ended."""
    arrivals = Arrivals()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Call(arrivals, delay_seconds), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    given = parser.parse_args()
    loop = new_event_loop()
    loop.run_until_complete(serve(given.port, given.delay_ms / 1000))


if __name__ == "__main__":
    main()
