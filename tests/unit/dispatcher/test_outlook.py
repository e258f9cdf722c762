"""What comes next for a delivery, when and why: one case per situation it can be in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dispatcher.life import Life
from dispatcher.outlook import ENDINGS, next_at, outlook
from tests.lives import (
    DELIVERY,
    ENDPOINT,
    NOW,
    ago,
    delivery,
    endpoint,
    life,
    mailbox,
    settled,
    soon,
)

LATER = delivery(state="retrying", attempts=1, next_attempt_at=soon(seconds=240))
LEASE = {"leased_by": "host/7", "due_at": None}

#: Open deliveries: what is told, by code, and when something happens at the earliest.
OPEN: list[tuple[str, Life, list[str], datetime | None]] = [
    ("due, nothing holds it", life(), ["due"], ago(minutes=10)),
    ("a retry that is set", life(delivery=LATER), ["scheduled"], soon(seconds=240)),
    (
        "paused until an instant",
        life(endpoint=endpoint(state="paused", paused_until=soon(hours=1))),
        ["due", "paused"],
        soon(hours=1),
    ),
    ("paused until resumed", life(endpoint=endpoint(state="paused")), ["due", "paused"], None),
    (
        "an open circuit",
        life(mailbox=mailbox(circuit="open", failures_in_row=10, blocked_until=soon(seconds=30))),
        ["due", "circuit_open"],
        soon(seconds=30),
    ),
    (
        "a circuit that is probed",
        life(mailbox=mailbox(circuit="half_open", failures_in_row=10)),
        ["due", "circuit_probing"],
        NOW,
    ),
    (
        "a receiver that asked for time",
        life(mailbox=mailbox(blocked_until=soon(minutes=5))),
        ["due", "blocked"],
        soon(minutes=5),
    ),
    (
        "a block that is over",
        life(mailbox=mailbox(blocked_until=ago(minutes=5))),
        ["due"],
        ago(minutes=10),
    ),
    (
        "leased by a worker",
        life(mailbox=mailbox(**LEASE, lease_until=soon(seconds=20))),
        ["due", "leased"],
        NOW,
    ),
    (
        "a lease whose worker died",
        life(mailbox=mailbox(**LEASE, lease_until=ago(seconds=20))),
        ["due", "lease_expired"],
        NOW,
    ),
    (
        "behind the head of a strict order",
        life(endpoint=endpoint(ordering="endpoint"), mailbox=mailbox(head_delivery_id="other")),
        ["due", "in_order"],
        NOW,
    ),
    (
        "the head of a strict order itself",
        life(endpoint=endpoint(ordering="endpoint"), mailbox=mailbox(head_delivery_id=DELIVERY)),
        ["due"],
        ago(minutes=10),
    ),
    ("others are due before it", life(ahead=7), ["due", "queued"], NOW),
    ("nothing will wake it", life(mailbox=mailbox(due_at=None)), ["due", "forgotten"], None),
    (
        "the endpoint was disabled",
        life(endpoint=endpoint(state="disabled", state_reason="gone")),
        ["endpoint_disabled"],
        NOW,
    ),
    (
        "the endpoint was deleted",
        life(endpoint=endpoint(state="disabled", deleted_at=ago(minutes=1))),
        ["endpoint_deleted"],
        NOW,
    ),
    ("the endpoint is not kept", life(endpoint=None, mailbox=None), ["endpoint_deleted"], NOW),
]


@pytest.mark.parametrize(
    ("found", "codes", "at"),
    [case[1:] for case in OPEN],
    ids=[case[0] for case in OPEN],
)
def test_an_open_delivery_says_what_it_waits_for(
    found: Life, codes: list[str], at: datetime | None
) -> None:
    """The attempt comes first, then everything that holds it; the latest of all decides when."""
    told = outlook(found)
    assert codes == [sentence.code for sentence in told]
    assert at == next_at(told)
    assert {"next"} == {sentence.about for sentence in told}


def words(found: Life) -> str:
    """Return the outlook as one text."""
    return " ".join(sentence.text for sentence in outlook(found))


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (life(), "Attempt 1 of 3 has been due since 2026-03-02 09:20:00Z (10 min ago)"),
        (life(delivery=LATER), "Attempt 2 of 3 is due at 2026-03-02 09:34:00Z (in 4 min)."),
        (life(delivery={**LATER, "trigger": "manual"}), "The attempt asked for by hand is due at"),
        (life(delivery=delivery(attempts=5, attempts_before=5)), "Attempt 1 of 3"),
        (life(delivery=delivery(attempts=4)), "Attempt 5 of 5"),
        (
            life(mailbox=mailbox(**LEASE, lease_until=soon(seconds=20))),
            "leased by host/7 until 2026-03-02 09:30:20Z (in 20 s)",
        ),
        (life(endpoint=endpoint(state="paused", state_reason="manual")), "paused (manual) until"),
        (
            life(mailbox=mailbox(circuit="open", failures_in_row=10, blocked_until=soon(hours=1))),
            "open after 10 failures in a row: no call until",
        ),
        (
            life(endpoint=endpoint(state="disabled", state_reason="gone")),
            "cancels it: the endpoint is disabled (gone) since 2026-03-02 08:30:00Z",
        ),
        (life(pattern=None), "cancels it: the endpoint no longer hears this type since"),
        (life(pattern=None, delivery=delivery(trigger="manual")), "asked for by hand has been due"),
        (life(ahead=7), "7 open deliveries of the endpoint fall due before it."),
        (life(mailbox=mailbox(due_at=None)), "reconcile run --check K08"),
    ],
)
def test_the_sentence_says_which_when_and_who(found: Life, sentence: str) -> None:
    """The number of the attempt, the instant with its distance, the holder and the reason."""
    assert sentence in words(found)


#: Settled deliveries: the code, and words of the sentence that says why nothing comes.
ENDED: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("delivered", settled("succeeded", 2), {}, "succeeded", "delivered since 2026-03-02 09:29"),
    (
        "all attempts made",
        settled("failed", last_error="http_5xx", last_status_code=500),
        {},
        "schedule_used_up",
        "all 3 attempts of its schedule are used up",
    ),
    (
        "a status its owner calls final",
        settled("failed", 1, last_error="http_4xx", last_status_code=422),
        {"permanent_statuses": [422]},
        "permanent_status",
        "counts HTTP 422 as final",
    ),
    (
        "disabled when the event came",
        settled("cancelled", 0, settled_at=ago(minutes=10)),
        {"state": "disabled", "state_reason": "manual"},
        "endpoint_disabled",
        "was disabled when the event came (manual since",
    ),
    (
        "disabled later, enabled since",
        settled("cancelled", 1),
        {},
        "endpoint_disabled",
        "was disabled before it was delivered, it is called again now",
    ),
    (
        "deleted",
        settled("cancelled", 1, last_error="endpoint_deleted"),
        {"deleted_at": ago(hours=1)},
        "endpoint_deleted",
        "the endpoint was deleted",
    ),
    (
        "no longer heard",
        settled("cancelled", 1, last_error="unsubscribed"),
        {},
        "unsubscribed",
        "the endpoint no longer heard this type; 'tillbell deliveries replay",
    ),
    *(
        (code, settled("failed", 1, last_error=f"{code}: why"), {}, code, ENDINGS[code])
        for code in ENDINGS
    ),
]


@pytest.mark.parametrize(
    ("row", "changes", "code", "sentence"), [case[1:] for case in ENDED], ids=[c[0] for c in ENDED]
)
def test_a_settled_delivery_says_why_nothing_comes(
    row: dict[str, Any], changes: dict[str, Any], code: str, sentence: str
) -> None:
    """Each way to end has its own code and its own reason, and nothing is announced."""
    told = outlook(life(delivery=row, endpoint=endpoint(**changes)))
    assert [code] == [each.code for each in told]
    assert next_at(told) is None
    assert sentence in told[0].text


def test_a_deadline_that_ended_the_schedule_is_named() -> None:
    """Attempts were left, but the next would have come too late to be wanted."""
    row = settled("failed", 2, last_error="http_5xx")
    (told,) = outlook(life(delivery=row, give_up_at=ago(minutes=2)))
    assert "expired" == told.code
    assert "after 2026-03-02 09:28:00Z" in told.text


def test_a_way_to_send_it_again_is_named() -> None:
    """What failed can be replayed, and a disabled endpoint must be enabled before."""
    row = settled("failed", 1, last_error="gone")
    disabled = endpoint(state="disabled", state_reason="gone")
    assert f"'tillbell deliveries replay {DELIVERY}' sends it again." in words(life(delivery=row))
    assert f"once 'tillbell endpoints enable {ENDPOINT}'" in words(
        life(delivery=row, endpoint=disabled)
    )
