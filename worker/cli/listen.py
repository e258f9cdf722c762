"""``tillbell listen``: a receiver for trying callbacks out, on this machine only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import orjson
import typer
from rich.text import Text

from engine.errors import InvalidInput
from worker.cli.options import Json
from worker.cli.output import console
from worker.forwarding import Forwarder
from worker.receiver import Callback, Receiver, Secrets, run_until_signal, statuses
from worker.receiver_connection import Forwarded

#: Ids remembered for telling duplicates; more would only cost memory.
REMEMBERED = 100_000


Forward = Annotated[
    str | None,
    typer.Option(
        help="Hand each on to this local URL, and answer what it answers.",
        metavar="URL",
        show_default=False,
    ),
]
ForwardAllow = Annotated[
    list[str] | None,
    typer.Option(help="Let --forward reach this network too; may be repeated.", metavar="CIDR"),
]


def _statuses(text: str) -> list[int]:
    try:
        return statuses(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of statuses such as 500,500,200"
        ) from None


def listen(
    *,
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes any free port.")] = 9000,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="Verify with this whsec_ secret; may be repeated.", metavar="SECRET"),
    ] = None,
    respond: Annotated[
        str, typer.Option(help="Statuses in turn, the last for ever.", metavar="500,500,200")
    ] = "200",
    delay: Annotated[
        float, typer.Option(help="Seconds before each answer.", metavar="SECONDS", min=0)
    ] = 0.0,
    forward: Forward = None,
    forward_allow: ForwardAllow = None,
    body: Annotated[bool, typer.Option("--body", help="Print the bodies too.")] = False,
    as_json: Json = False,
) -> None:
    """Receive callbacks, verify each with the public Standard Webhooks library, and print it.

    With --forward it is a tunnel to an application of this machine. With --json, one JSON object a
    line. Ctrl-C ends it.
    """
    if forward is not None and (respond != "200" or delay):
        raise typer.BadParameter("with --forward the application answers: no --respond, no --delay")
    try:
        secrets = Secrets(secret or ())
    except ValueError:
        raise InvalidInput("the secret is not whsec_ and base64", field="secret") from None
    printer = Printer(with_body=body, as_json=as_json)
    receiver = Receiver(
        printer.take,
        secrets=secrets,
        respond=_statuses(respond),
        delay_seconds=delay,
        tunnel=None if forward is None else Forwarder(forward, forward_allow or ()),
    )
    ready = partial(_announce, verifying=bool(secret), forward=forward)
    try:
        run_until_signal(receiver, port, ready)
    except OSError as error:
        raise InvalidInput(
            f"port {port} of 127.0.0.1 cannot be listened on: {error.strerror}", field="port"
        ) from None
    if not as_json:
        console(error=True).print(printer.summary())


@dataclass(slots=True)
class Printer:
    """Prints callbacks, one line each, and keeps count."""

    with_body: bool
    as_json: bool
    seen: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, callback: Callback) -> None:
        """Print one callback; a duplicate is one that was accepted before."""
        duplicate = callback.id in self.accepted
        if len(self.seen) < REMEMBERED:
            self.seen[callback.id] += 1
            if callback.accepted:
                self.accepted.add(callback.id)
        self.counts["received"] += 1
        self.counts["verified"] += callback.verified is True
        self.counts["duplicates"] += duplicate
        if self.as_json:
            typer.echo(orjson.dumps(self._document(callback, duplicate=duplicate)))
        else:
            console().print(self._line(callback, duplicate=duplicate), soft_wrap=True)

    def summary(self) -> str:
        """Return how many came, were verified and came again."""
        return ", ".join(f"{self.counts[name]} {name}" for name in self.counts) or "nothing came"

    def _document(self, callback: Callback, *, duplicate: bool) -> dict[str, object]:
        return {
            "received_at": datetime.fromtimestamp(callback.received_at, UTC).isoformat(),
            "id": callback.id,
            "event": callback.event,
            "verified": callback.verified,
            "status": callback.status,
            "duplicate": duplicate,
            "path": callback.path,
            "body": callback.body.decode("utf-8", "replace"),
            **_forwarded_document(callback),
        }

    def _line(self, callback: Callback, *, duplicate: bool) -> Text:
        at = datetime.fromtimestamp(callback.received_at, UTC)
        line = Text.assemble(
            (f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}Z  ", "dim"),
            _mark(callback.verified),
            f" {callback.event or callback.path:<27} ",
            (f"{callback.id:<36}  ", "dim"),
            (str(callback.status), "green" if callback.accepted else "red"),
        )
        if duplicate:
            line.append("  duplicate", "yellow")
        elif self.seen[callback.id] > 1:
            line.append(f"  attempt {self.seen[callback.id]}", "dim")
        if self.with_body:
            line.append(f"\n{callback.body.decode('utf-8', 'replace')}")
        if callback.forwarded is not None:
            line.append_text(self._forwarded_line(callback.forwarded))
        return line

    def _forwarded_line(self, forwarded: Forwarded) -> Text:
        """Return what the application answered, under the callback it answered."""
        took = f" in {forwarded.duration_ms} ms"
        if forwarded.error is not None:
            return Text.assemble("\n  → ", (f"no answer{took} ({forwarded.error})", "red"))
        line = Text.assemble("\n  → ", f"{forwarded.reply.status}{took}")
        if self.with_body and forwarded.reply.body:
            line.append(f"\n  {forwarded.reply.body.decode('utf-8', 'replace')}")
        return line


def _mark(verified: bool | None) -> tuple[str, str]:
    if verified is None:
        return "?", "dim"
    return ("✓", "green") if verified else ("✗", "bold red")


def _forwarded_document(callback: Callback) -> dict[str, object]:
    """Return the tunnel's part of a callback's JSON; nothing where there is no tunnel."""
    forwarded = callback.forwarded
    if forwarded is None:
        return {}
    document = {
        "status": None if forwarded.error is not None else forwarded.reply.status,
        "error": forwarded.error,
        "duration_ms": forwarded.duration_ms,
        "body": forwarded.reply.body.decode("utf-8", "replace"),
    }
    return {"forwarded": document}


def _announce(port: int, *, verifying: bool, forward: str | None) -> None:
    how = "each is verified" if verifying else "give --secret to verify them"
    onward = "" if forward is None else f", handing them on to {forward}"
    console(error=True).print(
        f"Listening on http://127.0.0.1:{port}/ for callbacks ({how}){onward}; Ctrl-C ends it.",
        soft_wrap=True,
    )
