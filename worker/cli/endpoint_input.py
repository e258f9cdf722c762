"""Options that say what an endpoint is to be, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from dispatcher.custom_headers import from_lines
from dispatcher.endpoint_options import SIGNATURES
from dispatcher.profiles import PROFILES
from engine.errors import InvalidInput
from worker.cli.documents import read_line

Id = Annotated[str, typer.Argument(help="The endpoint's id.", metavar="ID", show_default=False)]
Events = Annotated[
    list[str] | None,
    typer.Option(
        help="Patterns it hears, by comma: 'chain_order.*,remittance.overdue'.", metavar="PATTERNS"
    ),
]
Profile = Annotated[
    str | None, typer.Option(help=f"Shape of the body: {', '.join(PROFILES)}.", metavar="P")
]
InFlight = Annotated[
    int | None, typer.Option(help="Calls to it at the same time.", metavar="N", show_default=False)
]


Signatures = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Of {', '.join(SIGNATURES)}, by comma: v1 is HMAC and always made, v1a Ed25519.",
        metavar="V",
        show_default=False,
    ),
]
Secret = Annotated[
    str | None,
    typer.Option(
        help="A whsec_ secret of your own, 24 to 64 bytes; @FILE reads it.", metavar="SECRET"
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--apikey",
        help="Send this in the Apikey header (profile flat): weak, it proves nothing about the"
        " body. @FILE reads it.",
        metavar="KEY",
    ),
]
NewApiKey = Annotated[
    bool, typer.Option("--new-apikey", help="Make an API key and show it, this once. As weak.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        help="Send 'Name: value' with every call; may be repeated, @FILE reads one. Values are"
        " never shown again.",
        metavar="HEADER",
    ),
]


def parts(given: Sequence[str] | None) -> list[str] | None:
    """Return the parts of one or several comma-separated lists."""
    if given is None:
        return None
    return [part.strip() for each in given for part in each.split(",") if part.strip()]


def secret_of(given: str | None) -> str | None:
    """Return the owner's own secret, from the command line or a file."""
    return None if given is None else read_line(given, field="secret")


def api_key_of(given: str | None, *, new: bool, none: bool = False) -> str | bool | None:
    """Return the key, True for a fresh one, False for none, None where nothing was said."""
    if (given is not None) + new + none > 1:
        raise InvalidInput("give one of --apikey, --new-apikey and --no-apikey", field="apikey")
    if new or none:
        return new
    return None if given is None else read_line(given, field="apikey")


def headers_of(lines: Sequence[str] | None, *, none: bool = False) -> dict[str, str] | None:
    """Return the headers by name, none of them where that is asked, None where nothing was said."""
    if none and lines:
        raise InvalidInput("give --header or --no-headers, not both", field="headers")
    if none:
        return {}
    return from_lines([read_line(line, field="headers") for line in lines]) if lines else None
