"""``tillbell init``: make what an installation needs, and say what was made."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from config.log import configure_logging
from config.settings import Settings, load_settings
from worker.cli.opening import database_errors
from worker.cli.options import Json
from worker.cli.output import details, emit, page, section
from worker.initialise import Made, initialise


def init(*, as_json: Json = False) -> None:
    """Make the data folder, the keys and the schema; run again, it changes nothing."""
    settings = load_settings()
    configure_logging(log_format=settings.log_format, level="warning")
    with database_errors(settings.database):
        made = initialise(settings)
    document = {
        "data_dir": str(settings.data_dir.resolve()),
        "database": made.database,
        "revision": made.revision,
        "revisions_applied": list(made.revisions),
        "key_file": None if made.key_file is None else str(made.key_file.resolve()),
    }
    emit(document, _view(settings, made), as_json=as_json)


def _view(settings: Settings, made: Made) -> RenderableType:
    facts = details(
        {
            "data folder": str(settings.data_dir.resolve()),
            "keys": _keys(settings, made),
            "database": made.database,
            "schema": f"{made.revision} ({_applied(made)})",
        }
    )
    first = details(
        {
            "tillbell serve": "run it",
            "tillbell tenants create --name 'My shop'": "add the first tenant",
            "tillbell doctor": "check it",
        }
    )
    return page([facts, section("Next", first)])


def _keys(settings: Settings, made: Made) -> Text | str:
    if made.key_file is not None:
        return Text.assemble(
            str(made.key_file.resolve()), (" (new: back it up, it opens every secret)", "yellow")
        )
    return "TILLBELL_SECRET_KEYS" if settings.secret_keys else "there already"


def _applied(made: Made) -> str:
    return f"applied {', '.join(made.revisions)}" if made.revisions else "there already"
