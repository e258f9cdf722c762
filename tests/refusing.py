"""A call that is refused: its code, and every row of every table as it was (L6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from config.errors import TillbellError
from engine.database import Database
from tests.chains import dump


@contextmanager
def refused(database: Database, code: str) -> Iterator[None]:
    """Expect a refusal with this code in the block, and not one byte changed by it."""
    before = dump(database)
    with pytest.raises(TillbellError) as caught:
        yield
    assert (code, before) == (caught.value.code, dump(database))
