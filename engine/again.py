"""Again: a transaction that the database rolled back for the sake of others is made again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from config.log import get_logger

log = get_logger("database")

Made = TypeVar("Made")

RETRIES_MAX = 5
WAIT_SECONDS = 0.01
#: serialization_failure and deadlock_detected: nothing of the transaction stands.
_GAVE_WAY = frozenset({"40001", "40P01"})


def again(make: Callable[[], Made], *, wait: Callable[[float], None] = time.sleep) -> Made:
    """Call what makes one whole transaction, up to five times more while it has to give way.

    Waits between, doubling from 10 ms and spread at random, lest the same two meet again. Any other
    error, and the last, is raised as it is: after a lost connection nobody knows what stands.
    """
    for retries in range(RETRIES_MAX):
        try:
            return make()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _GAVE_WAY:
                raise
            log.info("transaction.again", attempts=retries + 1, reason=str(error.orig)[:200])
        wait(random.uniform(0.5, 1.5) * WAIT_SECONDS * 2**retries)  # noqa: S311  # guards nothing
    return make()
