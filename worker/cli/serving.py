"""``tillbell serve | api``: processes that serve HTTP until they are told to stop."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from config.errors import TillbellError
from worker.cli.output import console
from worker.cli.running import run_until_told, settings_for
from worker.initialise import initialise
from worker.serving import run_api, run_everything

Host = Annotated[
    str | None, typer.Option(help="Where HTTP is served.", metavar="H", show_default=False)
]
Port = Annotated[
    int | None, typer.Option(help="On which port.", metavar="P", show_default=False, min=0)
]


class AddressUnusable(TillbellError):
    """HTTP cannot be served where the settings say."""

    code = "ADDRESS_UNUSABLE"


def serve(*, host: Host = None, port: Port = None) -> None:
    """Run API, console, worker and scheduler in one process, until Ctrl-C or SIGTERM.

    On the embedded database it initialises itself.
    """
    settings = settings_for(host, port)
    require_address(settings.api_host, settings.api_port)
    if settings.database.startswith("sqlite"):
        initialise(settings)
    address = f"http://{settings.api_host}:{settings.api_port}"
    console(error=True).print(f"Tillbell serves {address}; Ctrl-C ends it.", soft_wrap=True)
    run_until_told(settings, run_everything)


def api(*, host: Host = None, port: Port = None) -> None:
    """Serve HTTP until Ctrl-C or SIGTERM."""
    settings = settings_for(host, port)
    require_address(settings.api_host, settings.api_port)
    run_until_told(settings, run_api)


def require_address(host: str, port: int) -> None:
    """Raise AddressUnusable unless this process may listen there, before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise AddressUnusable(
            f"HTTP cannot be served on {host}:{port} ({error.strerror}); choose with --host and"
            " --port, or TILLBELL_API_HOST and TILLBELL_API_PORT"
        ) from None
