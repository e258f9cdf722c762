"""Every error is one line and an exit code: databases and brokers that are away, or not ready."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from engine.database import Database
from tests.command_line import CommandLine
from tests.server_kinds import new_database


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return a port that accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield int(server.getsockname()[1])


def one_line(said: str) -> str:
    """Return the one line that was said."""
    (line,) = said.splitlines()
    return line


def test_a_database_that_is_away_is_one_line(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the address, without the password, and the code."""
    monkeypatch.setenv("TILLBELL_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x")
    answer = cli("tenants", "list")
    assert (1, "") == (answer.code, answer.out)
    line = one_line(answer.err)
    assert "127.0.0.1:1" in line
    assert "secret" not in line
    assert line.endswith("[DATABASE_UNAVAILABLE]")


def test_a_database_that_hangs_is_given_up(
    cli: CommandLine, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts and says nothing costs seconds, not minutes."""
    monkeypatch.setenv("TILLBELL_DATABASE_URL", f"postgresql://x@127.0.0.1:{silent_port}/x")
    began = time.monotonic()
    answer = cli("tenants", "list", "--json")
    assert (1, "DATABASE_UNAVAILABLE") == (answer.code, answer.refusal["code"])
    assert time.monotonic() - began < 10


def test_a_database_without_the_schema_asks_for_init(
    cli: CommandLine, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty PostgreSQL database is no trace of the driver's, but what to run."""
    with new_database(postgresql_url) as url:
        monkeypatch.setenv("TILLBELL_DATABASE_URL", url)
        answer = cli("tenants", "list")
        assert 1 == answer.code
        assert "run 'tillbell init'" in one_line(answer.err)
        assert 0 == cli("init").code
        assert [] == cli.json("tenants", "list")["data"]


def test_a_file_without_the_schema_asks_for_init(
    cli: CommandLine, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """An empty SQLite file is treated alike."""
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    with empty.read() as connection:
        connection.execute(text("SELECT 1"))
    empty.dispose()
    assert database
    monkeypatch.setenv("TILLBELL_DATABASE_URL", str(empty.url))
    assert "run 'tillbell init'" in one_line(cli("endpoints", "list").err)
    assert "run 'tillbell init'" in one_line(cli("worker").err)


def test_a_database_that_fails_midway_is_one_line(cli: CommandLine, database: Database) -> None:
    """A table that has gone while we work is no trace of the driver's either."""
    with database.write() as connection:
        connection.execute(text("ALTER TABLE replays RENAME TO elsewhere"))
    try:
        answer = cli("replays", "list")
    finally:
        with database.write() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO replays"))
    assert 1 == answer.code
    assert one_line(answer.err).endswith("[DATABASE_UNAVAILABLE]")


def test_without_keys_the_line_says_where_they_come_from(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A production machine without its keys is told which setting is missing."""
    monkeypatch.delenv("TILLBELL_SECRET_KEYS")
    line = one_line(cli("tenants", "list").err)
    assert "TILLBELL_SECRET_KEYS" in line
    assert line.endswith("[KEYS_MISSING]")


@pytest.mark.parametrize("verb", ["worker", "scheduler", "api", "serve"])
def test_a_process_does_not_start_without_its_broker(
    bare_cli: CommandLine, silent_port: int, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A broker that is away is one line, soon."""
    bare_cli.json("init")
    monkeypatch.setenv("TILLBELL_BROKER_URL", f"redis://127.0.0.1:{silent_port}")
    began = time.monotonic()
    answer = bare_cli(verb)
    assert 1 == answer.code
    assert answer.err.splitlines()[-1].endswith("[BROKER_UNAVAILABLE]")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("verb", ["api", "serve"])
@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_a_process_does_not_start_where_it_cannot_listen(
    bare_cli: CommandLine, silent_port: int, tmp_path: Path, verb: str, host: str
) -> None:
    """A port in use or another machine's address is one line, and nothing is made."""
    answer = bare_cli(verb, "--host", host, "--port", str(silent_port))
    assert 1 == answer.code
    assert one_line(answer.err).endswith("[ADDRESS_UNUSABLE]")
    assert not (tmp_path / "var").exists()


def test_an_event_is_published_though_the_broker_is_away(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hint that cannot be sent is a warning: the event is committed and will be found."""
    tenant = cli.json("tenants", "create", "--name", "Reseller")["id"]
    monkeypatch.setenv("TILLBELL_BROKER_URL", "redis://127.0.0.1:1")
    answer = cli("events", "publish", "--tenant", tenant, "--type", "webhook.test", "--json")
    assert 0 == answer.code
    assert answer.document["id"]
    assert "hint.lost" in answer.err


def test_passwords_are_in_no_line(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that is shown has stars where the password was."""
    url = make_url("postgresql://me@127.0.0.1:1/x").set(password="hunter2")
    monkeypatch.setenv("TILLBELL_DATABASE_URL", url.render_as_string(hide_password=False))
    assert "hunter2" not in cli("events", "list").err
    assert "hunter2" not in cli("doctor").out
