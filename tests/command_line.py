"""The command line in this process: arguments in; exit code, standard output and error out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import structlog

from worker.cli.entry import run


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return orjson.loads(self.out)

    @property
    def refusal(self) -> Any:
        """The one JSON object on standard error."""
        return orjson.loads(self.err)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs commands one after the other, as ``tillbell`` does."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Answer:
        """Run one command line to its end."""
        self.capture.readouterr()
        code = run(arguments)
        out, err = self.capture.readouterr()
        return Answer(code, out, err)

    def json(self, *arguments: str) -> Any:
        """Run one command that must succeed, and return its document."""
        answer = self(*arguments, "--json")
        assert (0, "") == (answer.code, answer.err), answer
        return answer.document


@contextmanager
def command_line(capture: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    """Yield the command line; afterwards logs no longer go where the test captured them."""
    yield CommandLine(capture)
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
