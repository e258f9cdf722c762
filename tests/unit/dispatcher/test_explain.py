"""The story of a delivery: why it exists, who raised it, what each attempt led to."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher.explain import document, explain
from dispatcher.life import FAILURES, Life, span
from dispatcher.lives import covers
from tests.lives import (
    DELIVERY,
    ENDPOINT,
    EVENT,
    NOW,
    ago,
    attempt,
    delivery,
    endpoint,
    event,
    life,
    settled,
    soon,
)

REPLAY = {"id": "r-1", "actor": "cli:till", "reason": "asked for", "created_at": ago(minutes=5)}


def told(found: Life, about: str) -> list[tuple[str, str]]:
    """Return code and text of the sentences about one thing."""
    return [(each.code, each.text) for each in explain(found) if each.about == about]


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        (event(), "raised", "raised by cli:till; it reports change 5 of chain_order o-1."),
        (event(subject_id=EVENT), "raised", "it reports itself."),
        (event(body_bytes=0), "body_pruned", "Its body is no longer kept."),
        (None, "event_pruned", f"Event chain_order.shipped ({EVENT}) is no longer kept"),
    ],
)
def test_the_event_says_who_raised_it_and_why(
    row: dict[str, Any] | None, code: str, words: str
) -> None:
    """Type, id, instant, actor and the subject with its sequence; or that retention removed it."""
    ((found, text),) = told(life(event=row), "event")
    assert code == found
    assert words in text


TEST_EVENT = event(type="webhook.test", created_at=ago(minutes=10))
BY_HAND = delivery(event="webhook.test", trigger="manual")


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (life(), "pattern", f"Endpoint {ENDPOINT} hears it by its pattern 'chain_order.*'."),
        (life(pattern=None), "no_longer_heard", "today it hears chain_order.*."),
        (life(endpoint=None), "endpoint_unknown", "which is no longer kept"),
        (life(event=TEST_EVENT, delivery=BY_HAND), "test", "alone, as a test"),
        (
            life(
                event=TEST_EVENT,
                delivery=settled("succeeded", 1),
                attempts=[attempt(1, trigger="manual")],
            ),
            "test",
            "alone, as a test",
        ),
        (life(event=TEST_EVENT, delivery=BY_HAND, replays=[REPLAY]), "pattern", "hears it"),
        (life(event=event(raised_by="replay e-1")), "copy", "A replay sent event e-1 again"),
    ],
)
def test_the_match_says_why_this_endpoint(found: Life, code: str, words: str) -> None:
    """By which of its patterns, as a test, or that it no longer hears the type."""
    ((known, text),) = told(found, "match")
    assert code == known
    assert words in text


RETRYING = delivery(state="retrying", attempts=1, next_attempt_at=soon(seconds=5))


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (
            life(delivery=RETRYING, attempts=[attempt(1)]),
            "retried",
            (
                "Attempt 1 at 2026-03-02 09:20:01Z (by schedule) brought HTTP 500 after 12 ms;"
                " so the next was set for 2026-03-02 09:30:05Z."
            ),
        ),
        (
            life(delivery=settled("failed", 1), attempts=[attempt(1)]),
            "gave_up",
            "so it was given up",
        ),
        (
            life(delivery=settled("cancelled", 1), attempts=[attempt(1)]),
            "cancelled",
            "before the next one the endpoint was disabled or deleted",
        ),
        (
            life(
                delivery=settled("succeeded", 1),
                attempts=[attempt(1, status_code=204, error=None)],
            ),
            "succeeded",
            "brought HTTP 204 after 12 ms; that is success.",
        ),
        (
            life(delivery=RETRYING, attempts=[attempt(1, decided=False)]),
            "undecided",
            "its worker had lost the lease by then",
        ),
        (
            life(delivery=delivery(attempts=1, attempts_before=1), attempts=[attempt(1)]),
            "armed",
            "armed again by a replay",
        ),
    ],
)
def test_an_attempt_says_what_came_back_and_what_followed(
    found: Life, code: str, words: str
) -> None:
    """The answer or the failure, and the decision that it led to."""
    ((known, text),) = told(found, "attempt")
    assert code == known
    assert words in text


@pytest.mark.parametrize("kind", sorted(FAILURES))
def test_a_call_without_an_answer_says_why(kind: str) -> None:
    """Every class of failure has its own words."""
    found = life(delivery=RETRYING, attempts=[attempt(1, status_code=None, error=kind)])
    ((_, text),) = told(found, "attempt")
    assert FAILURES[kind] in text


def test_attempts_are_told_in_order_with_their_distance() -> None:
    """An earlier attempt names the later one; a replay is named with who and why."""
    found = life(
        delivery=settled("succeeded", 2),
        attempts=[
            attempt(1),
            attempt(2, trigger="manual", status_code=200, error=None, started_at=ago(minutes=4)),
        ],
        replays=[REPLAY],
    )
    first, second = told(found, "attempt")
    assert ("retried", "succeeded") == (first[0], second[0])
    assert first[1].endswith("so it was tried again 5 min later.")
    assert "(replay r-1 by cli:till: asked for)" in second[1]


def test_attempts_that_retention_removed_are_named() -> None:
    """A history that begins at the third attempt says so."""
    found = life(delivery=settled("failed", 3), attempts=[attempt(3)])
    assert ["pruned", "gave_up"] == [code for code, _ in told(found, "attempt")]
    bare = life(delivery=settled("failed", 3))
    assert [("pruned", "Attempts 1 to 3 are no longer kept (retention).")] == told(bare, "attempt")


def test_the_document_is_for_programs() -> None:
    """Ids, state, what is next by code and instant, and every sentence as an object."""
    found = document(life(delivery=RETRYING, attempts=[attempt(1)]))
    assert (DELIVERY, EVENT, ENDPOINT, "retrying", NOW) == (
        found["id"],
        found["event_id"],
        found["endpoint_id"],
        found["state"],
        found["as_of"],
    )
    assert {"at": soon(seconds=5), "codes": ["scheduled"]} == found["next"]
    assert ["event", "match", "attempt", "next"] == [each["about"] for each in found["story"]]
    assert {"about", "code", "at", "text"} == set(found["story"][0])


@pytest.mark.parametrize(
    ("selection", "covered"),
    [
        ({"ids": [DELIVERY]}, True),
        ({"ids": ["other"]}, False),
        ({"state": "failed"}, True),
        ({"endpoint_id": ENDPOINT, "event": "chain_order.shipped"}, True),
        ({"endpoint_id": "other"}, False),
        ({"since": "2026-03-02T09:00:00+00:00"}, True),
        ({"since": "2026-03-02T09:25:00+00:00"}, False),
        ({"until": "2026-03-02T09:25:00+00:00"}, True),
        ({"until": "2026-03-02T09:20:00+00:00"}, False),
        ({"event": "chain_order.*"}, True),
        ({"event": "remittance.*"}, False),
    ],
)
def test_a_replay_covers_what_it_selected(selection: dict[str, Any], *, covered: bool) -> None:
    """Ids, filters and the instant count; the state it had then is not known any more."""
    assert covered == covers(selection, delivery())


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (ago(seconds=0.25), "250 ms"),
        (ago(seconds=90), "90 s"),
        (ago(minutes=5), "5 min"),
        (ago(hours=3), "3 h"),
        (ago(days=3), "3 d"),
    ],
)
def test_lengths_are_told_in_their_largest_unit(at: Any, words: str) -> None:
    """A unit is used from two of it on: 90 s says more than 1 min."""
    assert words == span(NOW - at)


def test_a_test_that_an_endpoint_hears_too_is_told_by_its_pattern() -> None:
    """A published event of the same type was relayed, later than it was raised."""
    row = delivery(event="webhook.test", created_at=ago(minutes=10))
    found = life(delivery=row, event=TEST_EVENT, endpoint=endpoint(events=["*"]), pattern="*")
    assert "pattern" == told(found, "match")[0][0]
