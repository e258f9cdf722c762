"""Fixtures of the command line: on an empty database of each kind, or on an empty folder."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.database import Database
from tests.command_line import CommandLine, command_line
from tests.own_redis import redis_at
from tests.servers import free_port

#: The key that tests.dispatching seals with.
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def cli(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[CommandLine]:
    """Return the command line of an installation on the test's database."""
    monkeypatch.setenv("TILLBELL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TILLBELL_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("TILLBELL_SECRET_KEYS", KEY)
    monkeypatch.setenv("TILLBELL_EGRESS_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("TILLBELL_ALLOW_HTTP", "true")
    monkeypatch.setenv("COLUMNS", "100")
    with command_line(capfd) as found:
        yield found


@pytest.fixture
def own_redis() -> Iterator[str]:
    """Return a Redis server that is this test's alone: it may be set up, filled and stopped."""
    with redis_at(free_port()) as url:
        yield url


@pytest.fixture
def bare_cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """Return the command line on a machine where nothing was made yet."""
    monkeypatch.setenv("TILLBELL_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("COLUMNS", "100")
    with command_line(capfd) as found:
        yield found
