"""Logs: structured lines on standard error, without secrets and without URL queries."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from config.log import SECRET_FIELDS, configure_logging, get_logger, redact


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


@pytest.mark.parametrize("name", sorted(SECRET_FIELDS | {"Authorization", "SECRET"}))
def test_secret_fields_are_blanked(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Whoever logs them, in whatever case: the value never reaches a line (F63)."""
    configure_logging(log_format="json", level="info")
    get_logger("test").error("told", **{name: "canary", "other": "kept"})
    line = capsys.readouterr().err
    assert "canary" not in line
    assert ("[redacted]", "kept") == (json.loads(line)[name], json.loads(line)["other"])


def test_a_url_is_logged_without_its_query(capsys: pytest.CaptureFixture[str]) -> None:
    """A token in a query is as good as a password."""
    line = logged(capsys, url="https://example.com/hook?token=canary")
    assert "https://example.com/hook" == line["url"]


def test_redaction_leaves_other_values_alone() -> None:
    """Only the named fields change; a URL that is no text passes as it is."""
    fields = {"url": None, "endpoint_id": "e", "reason": "a?b"}
    assert fields == redact(None, "info", dict(fields))


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
