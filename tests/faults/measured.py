"""What calls cost a sender: memory, bytes read, sockets opened. Measured, not assumed."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dispatcher.errors import CallbackFailed
from dispatcher.http_connection import HttpConnection
from dispatcher.transport import CallbackTransport
from tests.wire import post

STATUS = Path("/proc/self/status")
#: Writing 5 here makes the kernel forget the highest memory so far (proc(5)).
FORGET = Path("/proc/self/clear_refs")
_watching: list[set[tuple[str, int]]] = []


@dataclass
class Cost:
    """What happened while a block ran."""

    rss_kilobytes: int = 0
    parsed: dict[HttpConnection, int] = field(default_factory=dict)
    sockets: set[tuple[str, int]] = field(default_factory=set)

    @property
    def parsed_bytes_max(self) -> int:
        """The most that any one connection's parser was given."""
        return max(self.parsed.values(), default=0)


def kilobytes(name: str) -> int:
    """Return a figure of this process's memory, as the kernel counts it."""
    found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text("ascii"))
    assert found
    return int(found[1])


async def outcome(transport: CallbackTransport, url: str) -> tuple[str, float]:
    """Call once; return the status or the kind of failure, and the seconds it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        ended = str((await post(transport, url)).status_code)
    except CallbackFailed as failure:
        ended = failure.kind
    return ended, loop.time() - began


@contextmanager
def cost_of_calls() -> Iterator[Cost]:
    """Measure a block: the highest memory above its start, bytes parsed, addresses connected to."""
    cost = Cost()
    with pytest.MonkeyPatch.context() as patch, sockets_opened() as cost.sockets:
        feed = HttpConnection._feed

        def counted(self: HttpConnection, data: bytes) -> None:
            cost.parsed[self] = cost.parsed.get(self, 0) + len(data)
            feed(self, data)

        patch.setattr(HttpConnection, "_feed", counted)
        FORGET.write_text("5", "ascii")
        before = kilobytes("VmRSS")
        yield cost
        cost.rss_kilobytes = max(0, kilobytes("VmHWM") - before)


@contextmanager
def sockets_opened() -> Iterator[set[tuple[str, int]]]:
    """Return the addresses that any socket of this process is connected to, in every thread."""
    opened: set[tuple[str, int]] = set()
    _watching.append(opened)
    try:
        yield opened
    finally:
        _watching.remove(opened)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note a connection before it is made: the interpreter itself tells of each."""
    if event == "socket.connect" and _watching and isinstance(arguments[1], tuple):
        for opened in _watching:
            opened.add(arguments[1][:2])


sys.addaudithook(_hear)
