"""``tillbell serve | worker | scheduler | api``: processes that run until they are told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Annotated

import typer

from config.errors import TillbellError
from config.log import configure_logging
from config.settings import Settings, load_settings
from worker.bootstrap import Application, build
from worker.cli.opening import database_errors
from worker.cli.output import console
from worker.initialise import initialise, require_database_file
from worker.processes import run_api, run_everything, run_scheduler, run_worker

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
    settings = _settings(host, port)
    require_address(settings.api_host, settings.api_port)
    if settings.database.startswith("sqlite"):
        initialise(settings)
    address = f"http://{settings.api_host}:{settings.api_port}"
    console(error=True).print(f"Tillbell serves {address}; Ctrl-C ends it.", soft_wrap=True)
    _run(settings, run_everything)


def worker() -> None:
    """Deliver callbacks until Ctrl-C or SIGTERM; any number of workers may run."""
    _run(_settings(), run_worker)


def scheduler() -> None:
    """Sweep and reconcile on schedule until Ctrl-C or SIGTERM; one of any number leads."""
    _run(_settings(), run_scheduler)


def api(*, host: Host = None, port: Port = None) -> None:
    """Serve HTTP until Ctrl-C or SIGTERM."""
    settings = _settings(host, port)
    require_address(settings.api_host, settings.api_port)
    _run(settings, run_api)


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


def _settings(host: str | None = None, port: int | None = None) -> Settings:
    given = {"api_host": host, "api_port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    return settings


def _run(settings: Settings, run: Callable[[Application], None]) -> None:
    """Run a process whose database and broker answer; raises what says that they do not."""
    require_database_file(settings)
    application = build(settings)
    try:
        with database_errors(application.database.location):
            for probe in application.probes().values():
                probe()
            run(application)
    finally:
        application.close()
