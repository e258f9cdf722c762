"""Statements that a real PostgreSQL refuses with a code of our choice, rolling back for real."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event

from engine.database import Database

STRIKE = "DO $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{}'; END $$"


@dataclass(eq=False)
class Strikes:
    """How many statements were made to fail, of how many."""

    codes: Sequence[str]
    share: float
    only: str
    random: random.Random
    statements: int = 0
    struck: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(
        self, _connection: Connection, _cursor: Any, statement: str, given: Any, *_: Any
    ) -> tuple[str, Any]:
        """Put a failure in the place of a statement, as often as the share says."""
        with self.lock:
            self.statements += 1
            if self.only not in statement or self.random.random() >= self.share:
                return statement, given
            self.struck += 1
            return STRIKE.format(self.random.choice(self.codes)), ()


@contextmanager
def struck(
    database: Database, codes: Sequence[str], *, share: float = 1.0, only: str = "", seed: int = 0
) -> Iterator[Strikes]:
    """Fail a share of the statements that contain ``only`` while the block runs."""
    strikes = Strikes(codes, share, only, random.Random(seed))  # noqa: S311  # faults, no secrets
    event.listen(database.engine, "before_cursor_execute", strikes, retval=True)
    try:
        yield strikes
    finally:
        event.remove(database.engine, "before_cursor_execute", strikes)
