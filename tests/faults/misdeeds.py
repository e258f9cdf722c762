"""What receivers do to a sender: drip, flood, lie, compress, redirect, reset. Row by row.

Each misdeed is a handler of ``tests.wire``; ``python -m tests.faults.hostile`` serves them all.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from dataclasses import dataclass

from tests.wire import HEAD, OK, Conversation, Handler, answering, repeating, saying

MEBIBYTE = 1024 * 1024
TEN_GIGABYTES = 10 * 1024**3
PAUSE_SECONDS = 0.05
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
BLOCK = bytes(65_536)
#: SO_LINGER on, zero seconds: closing sends a reset instead of the end of the stream.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
EMPTY = b"content-length: 0\r\n\r\n"
REDIRECTS = {
    "the clouds' metadata": b"http://169.254.169.254/latest/meta-data/",
    "this machine": b"http://127.0.0.1:9/",
    "a file": b"file:///etc/passwd",
    "gopher": b"gopher://127.0.0.1:6379/_FLUSHALL",
    "our own API": b"/api/v1/webhooks/endpoints",
}


@dataclass(frozen=True)
class Misdeed:
    """What a receiver does, and the error and status that an attempt at it must record."""

    does: Handler
    error: str | None
    status: int | None = None
    ends: bool = False

    @property
    def state(self) -> str:
        """The state of a delivery after its first attempt."""
        return "succeeded" if self.error is None else "failed" if self.ends else "retrying"


def failing(kind: str, does: Handler) -> Misdeed:
    """Return a misdeed that ends as a failure without an answer."""
    return Misdeed(does, kind)


def standing(does: Handler, status: int = 200) -> Misdeed:
    """Return a misdeed that changes nothing: its status stands, and the rest is not read."""
    return Misdeed(does, None if status < 300 else f"http_{status // 100}xx", status)


def resetting(*parts: bytes) -> Handler:
    """Return a handler that says ``parts`` and then resets the connection."""

    async def handler(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(*parts)
        await asyncio.sleep(PAUSE_SECONDS)  # what was said is on its way before the reset
        connection = conversation.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    return handler


async def silent(conversation: Conversation) -> None:
    """Hear the request and never answer."""
    await conversation.hear()
    await conversation.closed()


async def deaf(conversation: Conversation) -> None:
    """Accept and never read."""
    conversation.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    conversation.reader._transport.pause_reading()  # type: ignore[attr-defined]  # it has no public door
    await asyncio.Event().wait()


def fast(status_line: bytes) -> Handler:
    """Return a handler that answers at once with a head and no body."""
    return answering(status_line + b"\r\n" + EMPTY)


def _bombs() -> dict[str, Misdeed]:
    """Return bodies that would be a thousand times as large when decoded."""
    gzipped = gzip.compress(bytes(10 * MEBIBYTE), mtime=0)
    nested = gzip.compress(gzip.compress(bytes(100 * MEBIBYTE), 1, mtime=0), mtime=0)
    # A zstandard frame of 128 KiB blocks, each one byte repeated (RFC 8878, 3.1.1.2.2).
    run = struct.pack("<I", 131_072 << 3 | 1 << 1)[:3] + b"\0"
    zstd = b"\x28\xb5\x2f\xfd\x00\x58" + run * 1000
    bodies = {
        "gzip": gzipped,
        "deflate": gzipped[10:-8],
        "br": b"\x5b\xff\xff\xff" * 1000,
        "zstd": zstd,
        "gzip, gzip": nested,
    }
    return {
        name: standing(
            answering(
                b"%bcontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b"
                % (HEAD, name.encode(), len(body), body)
            )
        )
        for name, body in bodies.items()
    }


STALLS = {
    "body drip": failing(
        "timeout", repeating(HEAD + b"content-length: 9999\r\n\r\n", b"x", pause_seconds=0.2)
    ),
    "head drip": failing("timeout", repeating(HEAD + b"x-drip: ", b"x", pause_seconds=0.2)),
    "endless 1xx": failing(
        "timeout", repeating(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", pause_seconds=0.2)
    ),
    "never answers": failing("timeout", silent),
    "stops reading": failing("timeout", deaf),
    "chunk drip": failing("timeout", repeating(CHUNKED, b"1\r\nx\r\n", pause_seconds=0.2)),
}
FLOODS = {
    "10 GB announced": standing(
        repeating(HEAD + b"content-length: %d\r\n\r\n" % TEN_GIGABYTES, BLOCK)
    ),
    "10 GB unannounced": standing(repeating(HEAD + b"\r\n", BLOCK)),
    "endless chunks": standing(repeating(CHUNKED, b"10000\r\n" + BLOCK + b"\r\n")),
    "chunk FFFFFFFFFFFFFFFF": standing(repeating(CHUNKED + b"FFFFFFFFFFFFFFFF\r\n", BLOCK)),
    "negative chunk": failing("protocol", saying(CHUNKED + b"-2\r\nok\r\n0\r\n\r\n")),
    "garbage chunk": failing("protocol", saying(CHUNKED + b"zz\r\nok\r\n0\r\n\r\n")),
    "1 MB of trailers": standing(
        saying(CHUNKED + b"0\r\n" + (b"x-trailer: " + b"t" * 1000 + b"\r\n") * 1000 + b"\r\n")
    ),
}
HEADS = {
    "100,000 headers": failing(
        "protocol", saying(HEAD, *[b"x-%d: y\r\n" % n for n in range(100_000)], b"\r\n")
    ),
    "one of 100 MB": failing("protocol", repeating(HEAD + b"x: ", b"y" * 65_536)),
    "NUL": failing("protocol", saying(HEAD + b"a: b\0c\r\n" + EMPTY)),
    "bare CR": failing("protocol", saying(HEAD + b"a: b\rc\r\n" + EMPTY)),
    "bare LF": failing("protocol", saying(HEAD + b"a: b\nc: d\r\n" + EMPTY)),
    "folded": failing("protocol", saying(HEAD + b"a: b\r\n folded\r\n" + EMPTY)),
    "not ASCII in a name": failing("protocol", saying(HEAD + b"\xc3\xa9: b\r\n" + EMPTY)),
    "64 KB of status text": failing(
        "protocol", saying(b"HTTP/1.1 200 " + b"x" * 65_536 + b"\r\n" + EMPTY)
    ),
    "two lengths": failing(
        "protocol", saying(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok!")
    ),
    "length and chunks": failing(
        "protocol",
        saying(HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"),
    ),
    # Legal (RFC 9110, 5.5), so the status stands; the excerpt is what must be clean.
    "a body for a terminal": standing(
        answering(
            b"HTTP/1.1 500 \xff\r\nx: \xff\r\ncontent-length: 5000\r\n\r\n"
            + b"\x1b[2J\0\r\n\xc3\xa9<b>".ljust(5000, b"\x07")
        ),
        500,
    ),
}
MOVES = {
    f"{status} to {place}": standing(
        fast(b"HTTP/1.1 %d Moved\r\nlocation: %b" % (status, location)), status
    )
    for status, (place, location) in zip((301, 302, 303, 307, 308), REDIRECTS.items(), strict=True)
}
RESETS = {
    "at byte 1": failing("reset", resetting(OK[:1])),
    "mid-head": failing("reset", resetting(OK[:25])),
    "mid-body": failing("reset", resetting(OK[:-1])),
    "after the status": failing("reset", resetting(b"HTTP/1.1 200 OK\r\n")),
}
ANSWERS = {
    **{
        str(status): standing(fast(b"HTTP/1.1 %d Said" % status), status)
        for status in (500, 404, 400, 301, 302, 307, 308, 204, 206)
    },
    "410": Misdeed(fast(b"HTTP/1.1 410 Gone"), "gone", 410, ends=True),
    "100, then 200": standing(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)),
    **{
        f"429 {name}": standing(fast(b"HTTP/1.1 429 Slow\r\nretry-after: " + value), 429)
        for name, value in {
            "for 1 s": b"1",
            "for 1 h": b"3600",
            "for 10 years": b"315360000",
            "for garbage": b"soon, \xff",
            "for a past date": b"Wed, 21 Oct 2015 07:28:00 GMT",
        }.items()
    },
}
ORDINARY = {"healthy": standing(answering(OK))}
MISDEEDS: dict[str, dict[str, Misdeed]] = {
    "F30": ANSWERS,
    "F31": STALLS,
    "F32": FLOODS,
    "F33": _bombs(),
    "F34": HEADS,
    "F37": MOVES,
    "F40": RESETS,
    "none": ORDINARY,
}
