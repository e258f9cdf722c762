"""A name server of a test's own on loopback, and the C library's resolver pointed at it.

``getaddrinfo`` itself asks here, over UDP and TCP, so what is tested is the way the product takes:
the system's resolver. The GNU C library keeps its name servers in a structure per thread.
"""

from __future__ import annotations

import ctypes
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

from dispatcher import resolve

A, AAAA, CNAME = 1, 28, 5
NO_ERROR, SERVER_FAILURE, UNKNOWN_NAME = 0, 2, 3
QUESTION_AT, UDP_BYTES_MAX = 12, 512
#: Offsets of ``struct __res_state`` (resolv.h): waiting, trying, number and place of servers.
RETRANS, RETRY, SERVERS, SERVERS_AT = 0, 1, 4, 20


@dataclass(frozen=True)
class Answer:
    """What a name server says to one question; ``silent`` is nothing at all."""

    addresses: Sequence[str] = ()
    code: int = NO_ERROR
    alias_of_itself: bool = False
    silent: bool = False
    endless: bool = False


@dataclass
class Zone:
    """Answers by the first label of a name, given how often that name was asked for before."""

    answers: dict[str, Callable[[int], Answer]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def reply(self, query: bytes, *, over_tcp: bool) -> bytes | None:
        """Return the answer to a query, cut to what UDP carries, or None."""
        end = query.index(b"\0", QUESTION_AT) + 5
        question = query[QUESTION_AT:end]
        (kind,) = struct.unpack("!H", question[-4:-2])
        label = question[1 : 1 + question[0]].decode()
        name = label.partition("-")[0]
        times = self.asked.get(label, 0)
        if kind == A:
            self.asked[label] = times + 1
        answer = self.answers[name](times)
        if answer.silent:
            return None
        records = _records(answer, kind)
        cut = not over_tcp and (
            answer.endless or len(query) + len(b"".join(records)) > UDP_BYTES_MAX
        )
        flags = 0x8580 | answer.code | (0x0200 if cut else 0)
        shown = [] if cut else records
        return (
            query[:2] + struct.pack("!5H", flags, 1, len(shown), 0, 0) + question + b"".join(shown)
        )


def _records(answer: Answer, kind: int) -> list[bytes]:
    if answer.alias_of_itself:
        return [b"\xc0\x0c" + struct.pack("!HHIH", CNAME, 1, 0, 2) + b"\xc0\x0c"]
    version = {A: 4, AAAA: 6}[kind]
    packed = [each.packed for each in map(ip_address, answer.addresses) if each.version == version]
    return [b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(each)) + each for each in packed]


@contextmanager
def name_server(zone: Zone, *, patient: bool) -> Iterator[None]:
    """Let the product's lookups ask ``zone``; ``patient`` keeps the C library's waiting times."""
    with _Tcp(("127.0.0.1", 0), _over_tcp(zone)) as tcp:
        port, original = int(tcp.server_address[1]), resolve._getaddrinfo

        def ours(host: str) -> Any:
            _point_this_thread_at(port, patient=patient)
            return original(host)

        with (
            _Udp(("127.0.0.1", port), _over_udp(zone)) as udp,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(resolve, "_getaddrinfo", ours)
            for server in (tcp, udp):
                threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield
            for server in (tcp, udp):
                server.shutdown()


def _over_udp(zone: Zone) -> type[socketserver.BaseRequestHandler]:
    class OverUdp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, place = self.request
            reply = zone.reply(query, over_tcp=False)
            if reply is not None:
                place.sendto(reply, self.client_address)

    return OverUdp


def _over_tcp(zone: Zone) -> type[socketserver.BaseRequestHandler]:
    class OverTcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            # Both questions of one lookup come over one connection.
            while length := self.rfile.read(2):
                reply = zone.reply(self.rfile.read(*struct.unpack("!H", length)), over_tcp=True)
                if reply is None:
                    return
                self.wfile.write(struct.pack("!H", min(len(reply), 65_535)) + reply)

    return OverTcp


class _Udp(socketserver.UDPServer):
    """Answers one datagram after the other."""

    max_packet_size = 65_535


class _Tcp(socketserver.ThreadingTCPServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a resolver that had enough of an answer."""


def _point_this_thread_at(port: int, *, patient: bool) -> None:
    """Make this thread's resolver ask 127.0.0.1 on ``port`` and nobody else."""
    library = ctypes.CDLL(None)
    library.__res_state.restype = ctypes.c_void_p
    assert library.__res_init() == 0
    state = library.__res_state()
    numbers = ctypes.cast(state, ctypes.POINTER(ctypes.c_int))
    numbers[SERVERS] = 1
    if not patient:
        numbers[RETRANS], numbers[RETRY] = 1, 1
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port)
    place = address + socket.inet_aton("127.0.0.1") + bytes(8)
    ctypes.memmove(state + SERVERS_AT, place, len(place))
