"""Structured logs on standard error, with none but the fields that are listed here."""

from __future__ import annotations

import hashlib
import io
import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast
from urllib.parse import urlsplit

import structlog

#: Every field a line may have; the value of any other is withheld, whoever logs it. None of them
#: holds a body, a header or a secret, and a URL is shortened (domain.md 4.2).
FIELDS = frozenset(
    """
    event part level timestamp exc_info exception stack_info
    actor attempts check circuit code count counts database delivery_id due_at duration_ms
    duration_seconds endpoint_id error event_id events everything_settled failures_in_row found
    healed hint host key_id kind leading lease_token mailboxes next_attempt_at number port problem
    profile reason releases replay_id rows seconds started_at state status_code sweep_seconds
    request_id tenant_id tick trigger upstream_id url worker lines
    """.split()  # noqa: SIM905  # fifty names in fifty lines would be read by nobody
)
WITHHELD = "[withheld]"


class Surviving(io.TextIOBase):
    """A stream whose reader may go away: what it does not take is lost, and nobody fails for it.

    A thread that settles deliveries must not die of a line.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream`` as long as that can be done."""
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what can be handed on."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure_logging(*, log_format: str, level: str) -> None:
    """Send every log line to standard error, as text for people or JSON for machines."""
    # Tracebacks without the values of variables: those hold bodies and secrets.
    plain = structlog.dev.plain_traceback
    renderers: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            withhold,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", Surviving(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), force=True)
    for noisy in ("httpx", "apscheduler", "dramatiq", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def withhold(
    _logger: Any, _method: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Blank the values of fields that are not listed, and shorten URLs."""
    for name, value in fields.items():
        if name not in FIELDS:
            fields[name] = WITHHELD
        elif name == "url" and isinstance(value, str):
            fields[name] = shortened(value)
    return fields


def shortened(url: str) -> str:
    """Return scheme, host and a hash of the rest: paths and queries of callbacks hold tokens."""
    parts = urlsplit(url)
    rest = hashlib.sha256(f"{parts.path}?{parts.query}".encode()).hexdigest()[:8]
    return f"{parts.scheme}://{parts.hostname or ''}/#{rest}"


def get_logger(name: str) -> Any:
    """Return the logger of one part of the system."""
    return structlog.get_logger(part=name)
