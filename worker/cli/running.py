"""``tillbell worker | scheduler``: processes that run until they are told to stop."""

from __future__ import annotations

from collections.abc import Callable

from config.log import configure_logging
from config.settings import Settings, load_settings
from worker.bootstrap import Application, build
from worker.cli.opening import database_errors
from worker.initialise import require_database_file
from worker.processes import run_scheduler, run_worker


def worker() -> None:
    """Deliver callbacks until Ctrl-C or SIGTERM; any number of workers may run."""
    run_until_told(settings_for(), run_worker)


def scheduler() -> None:
    """Sweep and reconcile on schedule until Ctrl-C or SIGTERM; one of any number leads."""
    run_until_told(settings_for(), run_scheduler)


def settings_for(host: str | None = None, port: int | None = None) -> Settings:
    """Return the settings of a process, its log lines set up."""
    given = {"api_host": host, "api_port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    return settings


def run_until_told(settings: Settings, run: Callable[[Application], None]) -> None:
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
