"""``tillbell keys``: what seals secrets at rest, and how a key is renewed."""

from __future__ import annotations

import base64
import os

import typer
from rich.text import Text

from config.settings import Settings, load_settings
from dispatcher import resealing
from engine.errors import SecretUnreadable
from engine.sealing import key_id_of
from worker.cli.opening import opened
from worker.cli.options import Json
from worker.cli.output import Column, details, emit, page, progress, section, state, table
from worker.keys import FILE_NAME

app = typer.Typer(rich_markup_mode=None)

COLUMNS = (
    Column("KEY", "key_id"),
    Column("STATE", lambda row: state(row["state"])),
    Column("SECRETS", "secrets", right=True),
    Column("HEADERS", "headers", right=True),
    Column("SERIALS", "serials", right=True),
    Column("E-MAILS", "emails", right=True),
)


@app.command("list")
def listing(*, as_json: Json = False) -> None:
    """List keys by id, and how much of what each has sealed."""
    with opened() as application, application.database.read() as connection:
        rows = resealing.usage(connection, application.guard.keyring)
    emit({"data": rows}, table(rows, COLUMNS, empty="No keys."), as_json=as_json)


@app.command("new")
def new(*, as_json: Json = False) -> None:
    """Print a fresh key and where to put it; nothing is changed."""
    key = os.urandom(32)
    text, where = base64.b64encode(key).decode(), _where(load_settings())
    steps = details(
        {
            "1": f"put it first in {where}; keep the others",
            "2": "restart every process, so that all can open what it seals",
            "3": "tillbell keys re-encrypt",
            "4": "when 'tillbell keys list' shows nothing sealed by an old key, take that key out",
        }
    )
    document = {"key": text, "key_id": key_id_of(key), "put_it_first_in": where}
    emit(document, page([Text(text), section("Next", steps)]), as_json=as_json)


@app.command("re-encrypt")
def re_encrypt(*, as_json: Json = False) -> None:
    """Seal everything anew with the first key; may be cut short and run again."""
    with opened() as application, progress() as display:
        database, keyring = application.database, application.guard.keyring
        with database.read() as connection:
            total = resealing.waiting(connection, keyring)
        task = display.add_task("Sealing anew", total=total)
        done = resealing.reseal(database, keyring, advance=lambda rows: display.advance(task, rows))
        with database.read() as connection:
            left = resealing.waiting(connection, keyring)
    document = {"resealed": done.resealed, "left": left, "key_id": keyring.sealing_key_id}
    facts = {"sealed anew": done.resealed, "with key": keyring.sealing_key_id, "left": left}
    emit(document, details(facts), as_json=as_json)
    if done.unreadable:
        raise SecretUnreadable(
            f"{len(done.unreadable)} stay as they were: {done.unreadable[0]}",
            count=len(done.unreadable),
        )


def _where(settings: Settings) -> str:
    """Return where this installation has its keys from."""
    if settings.secret_keys:
        return "TILLBELL_SECRET_KEYS (comma-separated)"
    return f"{settings.data_dir.resolve() / FILE_NAME} (one a line)"
