"""A receiver of callbacks on loopback: verifies what it is sent, and answers as it is told.

Verification is the public ``standardwebhooks`` library's, not ours. As a process of its own,
``python -m worker.receiver --port 9000 --log calls.jsonl``, it writes one JSON line per callback.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path

import orjson
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from worker.receiver_connection import Connection, Forwarded, Header, Incoming, Reply, Tunnel

BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Callback:
    """One request as it arrived, and what it is answered.

    ``received_at`` are unix seconds; ``verified`` is None where there is no secret to verify with;
    ``forwarded`` is what the application behind the tunnel answered.
    """

    received_at: float
    id: str
    event: str
    verified: bool | None
    status: int
    body: bytes
    path: str
    forwarded: Forwarded | None = None

    @property
    def accepted(self) -> bool:
        """Whether the answer tells the sender that it need not come again."""
        return 200 <= self.status < 300


class Secrets:
    """The secrets to verify with: given, or the lines of a file that may still change."""

    def __init__(self, given: Sequence[str] = (), *, file: Path | None = None) -> None:
        """Read what there is, or raise ValueError for a secret that is not base64."""
        self._given, self._file = list(given), file
        self._stamp = 0
        self._webhooks: list[Webhook] = []
        self._load()

    def verify(self, body: bytes, headers: dict[str, str]) -> bool | None:
        """Tell whether any secret signed exactly these bytes lately; None without secrets."""
        if self._verified(body, headers):
            return True
        # An endpoint may have been made, or its secret changed, since the file was read.
        if self._file is not None and self._load():
            return self._verified(body, headers)
        return False if self._webhooks else None

    def _verified(self, body: bytes, headers: dict[str, str]) -> bool:
        for webhook in self._webhooks:
            # ValueError: a signature or a body that is no text at all.
            with suppress(WebhookVerificationError, ValueError):
                webhook.verify(body, headers, json_parse=False)
                return True
        return False

    def _load(self) -> bool:
        """Read the file if it is new; tell whether it was."""
        secrets, stamp = self._given, -1
        if self._file is not None:
            stamp = self._file.stat().st_mtime_ns if self._file.exists() else 0
            if stamp == self._stamp:
                return False
            secrets = [*secrets, *(self._file.read_text().split() if stamp else ())]
        self._stamp = stamp
        self._webhooks = [Webhook(secret) for secret in secrets]
        return True


@dataclass(slots=True)
class Receiver:
    """Answers with ``respond`` in turn, the last one for ever, each ``delay_seconds`` late.

    With ``by_message`` every ``webhook-id`` has its own turn: each is refused before it is taken.
    With a ``tunnel`` the answer is that of the application it hands the callback on to.
    ``on_callback`` is called once for every callback, when its answer is due.
    """

    on_callback: Callable[[Callback], None]
    secrets: Secrets = field(default_factory=Secrets)
    respond: Sequence[int] = (200,)
    delay_seconds: float = 0.0
    by_message: bool = False
    tunnel: Tunnel | None = None
    _turns: dict[str, Iterator[int]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, port: int, host: str = "127.0.0.1") -> asyncio.Server:
        """Listen (port 0: any free one) and return the server, which the caller closes."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: Connection(self._receive), host, port, backlog=BACKLOG, reuse_address=True
        )

    async def close(self) -> None:
        """Let what is being forwarded end."""
        if self.tunnel is not None:
            await self.tunnel.aclose()
        await asyncio.gather(*self._tasks)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Callback:
        """Judge one request and choose its answer."""
        message_id = headers.get("webhook-id", "")
        return Callback(
            received_at=time.time(),
            id=message_id,
            event=_event_name(body),
            verified=self.secrets.verify(body, headers),
            status=next(self._turn(message_id if self.by_message else "")),
            body=body,
            path=path,
        )

    def _receive(self, incoming: Incoming, answer: Callable[[Reply], None]) -> None:
        callback = self.take(incoming.path, _signed_headers(incoming.headers), incoming.body)
        loop = asyncio.get_running_loop()
        if self.tunnel is not None:
            task = loop.create_task(self._forward(self.tunnel, incoming, callback, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif self.delay_seconds:
            loop.call_later(self.delay_seconds, self._finish, callback, answer)
        else:
            self._finish(callback, answer)

    def _finish(self, callback: Callback, answer: Callable[[Reply], None]) -> None:
        self.on_callback(callback)
        answer(Reply(callback.status))

    async def _forward(
        self,
        tunnel: Tunnel,
        incoming: Incoming,
        callback: Callback,
        answer: Callable[[Reply], None],
    ) -> None:
        forwarded = await tunnel.forward(incoming)
        status = forwarded.reply.status
        self.on_callback(replace(callback, status=status, forwarded=forwarded))
        answer(forwarded.reply)

    def _turn(self, key: str) -> Iterator[int]:
        if key not in self._turns:
            self._turns[key] = chain(self.respond[:-1], repeat(self.respond[-1]))
        return self._turns[key]


def _signed_headers(headers: Sequence[Header]) -> dict[str, str]:
    """Return the headers of the signature, by name in lower case."""
    return {
        name.lower().decode("latin-1"): value.decode("latin-1")
        for name, value in headers
        if name[:8].lower() == b"webhook-"
    }


def _event_name(body: bytes) -> str:
    """Return what happened: ``event`` of the body, or nothing for a body that does not say."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(document.get("event", "")) if isinstance(document, dict) else ""


def log_line(callback: Callback) -> bytes:
    """Return the line of the log: when, what, whether it verified, and what was answered."""
    return orjson.dumps(
        {
            "received_at": callback.received_at,
            "id": callback.id,
            "event": callback.event,
            "verified": callback.verified,
            "status": callback.status,
            "body_sha256": hashlib.sha256(callback.body).hexdigest(),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def statuses(text: str) -> list[int]:
    """Return the statuses of ``500,500,200``; raises ValueError for anything else."""
    found = [int(part) for part in text.split(",")]
    if not all(200 <= status <= 599 for status in found):
        msg = "statuses are from 200 to 599"
        raise ValueError(msg)
    return found


def run_until_signal(receiver: Receiver, port: int, ready: Callable[[int], None]) -> None:
    """Receive until SIGINT or SIGTERM; ``ready`` is told the port."""

    async def serve() -> None:
        server = await receiver.start(port)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        ready(server.sockets[0].getsockname()[1])
        await stop.wait()
        server.close()
        await receiver.close()

    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


def main(arguments: Sequence[str]) -> None:
    """Receive until told to stop, appending one line per callback to the log."""
    parser = argparse.ArgumentParser(prog="python -m worker.receiver", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret-file", type=Path, help="whsec_ secrets, one a line")
    parser.add_argument("--log", type=Path, required=True, help="file to append JSON lines to")
    parser.add_argument("--respond", type=statuses, default=[200], help="such as 500,500,200")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--by-message", action="store_true", help="a turn for each webhook-id")
    given = parser.parse_args(arguments)
    # Unbuffered: a line that was written survives whatever happens to this process.
    log = os.open(given.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    receiver = Receiver(
        lambda callback: _write_all(log, log_line(callback)),
        secrets=Secrets(file=given.secret_file),
        respond=given.respond,
        delay_seconds=given.delay,
        by_message=given.by_message,
    )
    run_until_signal(receiver, given.port, lambda _port: None)


def _write_all(file: int, line: bytes) -> None:
    written = os.write(file, line)
    assert written == len(line)


if __name__ == "__main__":
    main(sys.argv[1:])
