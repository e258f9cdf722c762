"""The simulation has teeth: planted defects are found, and a seed is the same history each time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import bindparam, text

from dispatcher import attempt, relay, settle
from dispatcher.retry import RetryPolicy
from engine.types import Id, UtcTime
from tests.simulation.run import simulate, simulate_all

#: A busy machine must not turn minutes of work into a failure.
pytestmark = pytest.mark.timeout(900)

#: A defect that the first so many seeds do not show would be missed by a short run.
SEEDS = 40
Planting = Callable[[], AbstractContextManager[object]]


@contextmanager
def _without_fences() -> Iterator[None]:
    """Let whoever settles last be right, lease or no lease."""
    replaced = [
        getattr(settle, name)
        .replace(settle._HELD_SQLITE, "1")
        .replace(settle._OPEN_SQLITE, "id = :delivery_id")
        for name in ("_ATTEMPT_SQLITE", "_DELIVERY_SQLITE")
    ]
    with patch.object(settle, "_SQLITE", tuple(map(settle._typed, replaced))):
        yield


def _with_a_deaf_relay() -> AbstractContextManager[object]:
    """Let the relay forget one kind of event."""
    forgetful = relay._FAN_OUT_SQLITE.replace("WHERE true", "WHERE o.event_type <> 'webhook.test'")
    statement = text(forgetful).bindparams(
        bindparam("now", type_=UtcTime()), bindparam("event_ids", expanding=True, type_=Id)
    )
    return patch.object(relay, "_RELAY_SQLITE", statement)


def _with_lost_retries() -> AbstractContextManager[object]:
    """Give up after the third attempt."""
    patient = RetryPolicy.next_attempt_at

    def lost(policy: RetryPolicy, made: int, now: datetime, spread: float) -> datetime | None:
        return patient(policy, made, now, spread) if made < 3 else None

    return patch.object(RetryPolicy, "next_attempt_at", lost)


def _with_hasty_retries() -> AbstractContextManager[object]:
    """Wait half as long as was promised."""
    patient = RetryPolicy.next_attempt_at

    def hasty(policy: RetryPolicy, made: int, now: datetime, spread: float) -> datetime | None:
        found = patient(policy, made, now, spread)
        return None if found is None else now + (found - now) / 2

    return patch.object(RetryPolicy, "next_attempt_at", hasty)


def _with_other_bytes() -> AbstractContextManager[object]:
    """Render the body anew at every retry."""
    before = attempt._body

    async def body(due: Any, profile: str, writer: Any) -> bytes:
        plain: bytes = await before(due, profile, writer)
        return plain.ljust(len(plain) + due.attempts)

    return patch.object(attempt, "_body", body)


def _with_silent_milestones() -> AbstractContextManager[object]:
    """Let a milestone be told in the database, and to nobody."""
    return patch("engine.milestones._raise", lambda *_arguments: None)


def _with_forgotten_keys() -> AbstractContextManager[object]:
    """Take every request for a new one."""
    return patch("engine.idempotency.claim", lambda *_arguments, subject_id: subject_id)


@pytest.mark.parametrize(
    ("planting", "promise"),
    [
        pytest.param(_without_fences, "I5", id="fences"),
        pytest.param(_with_a_deaf_relay, "I1", id="relay"),
        pytest.param(_with_lost_retries, "I1", id="lost retries"),
        pytest.param(_with_hasty_retries, "I5", id="hasty retries"),
        pytest.param(_with_other_bytes, "I4", id="bytes"),
        pytest.param(_with_forgotten_keys, "keys", id="keys"),
        pytest.param(_with_silent_milestones, "I3", id="milestones"),
    ],
)
def test_a_planted_defect_is_found(planting: Planting, promise: str) -> None:
    """Each planted defect breaks its promise in one of the first histories."""
    with planting():
        found = next(
            (
                history
                for history in simulate_all(1, SEEDS)
                if any(sentence.startswith(promise) for sentence in history.broken)
            ),
            None,
        )
    assert found is not None
    assert simulate(found.seed).broken == []


def test_a_seed_is_one_history() -> None:
    """A seed gives the same history line by line, also where sets are walked otherwise."""
    here = [simulate(seed) for seed in (12, 12)]
    assert here[0].digest == here[1].digest
    command = [sys.executable, "-m", "tests.simulation.run", "--seed", "12"]
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603  # ourselves
    assert f"digest {here[0].digest}" in there.stdout
    assert here[0].digest != simulate(13).digest
