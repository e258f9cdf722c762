"""Structured logs on standard error; secrets and URL queries never reach a line."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

#: Field names whose values are replaced, whoever logs them.
SECRET_FIELDS = frozenset(
    {"secret", "secrets", "authorization", "apikey", "api_key", "password", "token", "body"}
)


def configure_logging(*, log_format: str, level: str) -> None:
    """Send every log line to standard error, as text for people or JSON for machines."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), force=True)
    for noisy in ("httpx", "apscheduler", "dramatiq", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def redact(
    _logger: Any, _method: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Blank the values of secret fields and cut the query off URLs."""
    for name, value in fields.items():
        if name.lower() in SECRET_FIELDS:
            fields[name] = "[redacted]"
        elif name == "url" and isinstance(value, str):
            fields[name] = value.split("?", 1)[0]
    return fields


def get_logger(name: str) -> Any:
    """Return the logger of one part of the system."""
    return structlog.get_logger(part=name)
