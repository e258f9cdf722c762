"""Logs: structured lines on standard error, without secrets and without URL queries."""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from config.log import FIELDS, WITHHELD, Surviving, configure_logging, get_logger, withhold

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put logging back: its lines would go where this test captured them."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def logged(capture: pytest.CaptureFixture[str], **fields: Any) -> dict[str, Any]:
    """Log one line as JSON and return it as a document."""
    configure_logging(log_format="json", level="info")
    get_logger("test").warning("something.happened", **fields)
    out, err = capture.readouterr()
    assert "" == out
    line: dict[str, Any] = json.loads(err)
    return line


def test_a_line_says_what_where_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, part, level and a UTC time stand beside the fields, on standard error alone."""
    line = logged(capsys, count=3)
    assert ("something.happened", "test", "warning", 3) == (
        line["event"],
        line["part"],
        line["level"],
        line["count"],
    )
    assert line["timestamp"].endswith("Z")


@pytest.mark.fault("F63")
@pytest.mark.parametrize(
    "name",
    ["secret", "Authorization", "api_key", "password", "body", "response_excerpt", "anything_else"],
)
def test_what_is_not_listed_is_withheld(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Whoever logs it: the value never reaches a line (F63)."""
    line = logged(capsys, **{name: "canary", "count": "kept"})
    assert (WITHHELD, "kept") == (line[name], line["count"])


def test_a_url_is_logged_by_its_host(capsys: pytest.CaptureFixture[str]) -> None:
    """A token in a path or a query is as good as a password; the hash tells two of them apart."""
    one = logged(capsys, url="https://user:pass@example.com/hook/canary?token=canary")["url"]
    other = logged(capsys, url="https://example.com/hook/other")["url"]
    assert one.startswith("https://example.com/#")
    assert "canary" not in one
    assert one != other


def test_listed_values_are_left_alone() -> None:
    """Only what is not listed changes; a URL that is no text passes as it is."""
    fields = {"url": None, "endpoint_id": "e", "reason": "a?b"}
    assert fields == withhold(None, "info", dict(fields))


def test_a_line_that_nobody_takes_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard error costs the line, never the thread that wrote it."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    configure_logging(log_format="json", level="info")
    get_logger("test").warning("unheard")
    assert 7 == Surviving(closed).write("unheard")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_values(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    """An exception is written with its lines of code, never with what its variables held."""
    configure_logging(log_format=log_format, level="info")
    try:
        _fail(token="can" + "ary")
    except KeyError:
        get_logger("test").exception("went.wrong")
    err = capsys.readouterr().err
    assert "KeyError" in err
    assert "Traceback" in err
    assert "canary" not in err


def test_every_field_that_is_logged_is_listed() -> None:
    """A field that somebody adds to a line is added to the list, by decision."""
    folders = ("config", "engine", "dispatcher", "reconciler", "worker", "api")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    missing = {
        f"{path.relative_to(ROOT)}: {field}"
        for path in files
        for field in _fields_logged(path.read_text())
        if field not in FIELDS
    }
    assert set() == missing


def _fail(*, token: str) -> None:
    raise KeyError(len(token))


def _fields_logged(source: str) -> Iterator[str]:
    """Yield the names of the fields that a module's calls of ``log`` give."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log."):
            yield from (each.arg for each in node.keywords if each.arg is not None)


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """What is below the level is not written, nor is the chatter of the libraries."""
    configure_logging(log_format="console", level="warning")
    get_logger("test").info("too.quiet")
    logging.getLogger("dramatiq").info("chatter")
    get_logger("test").warning("loud.enough")
    err = capsys.readouterr().err
    assert "loud.enough" in err
    assert "too.quiet" not in err
    assert "chatter" not in err
