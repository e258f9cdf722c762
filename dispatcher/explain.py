"""The life of one delivery in words: why it exists, what was tried, what comes next. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dispatcher.life import Life, Row, Sentence, answer, clock, span
from dispatcher.outlook import next_at, outlook
from dispatcher.states import DeliveryState, Trigger

#: How an event says that it is the copy of another: ``replay`` and that one's id.
COPY = "replay "


def explain(life: Life) -> list[Sentence]:
    """Return the story in order: the event, why it goes to this endpoint, attempts, what is next.

    The same life gives the same sentences; every ``code`` is stable.
    """
    return [_event(life), _match(life), *_attempts(life), *outlook(life)]


def document(life: Life) -> dict[str, Any]:
    """Return the explanation for programs: the sentences, and what is next by code and instant."""
    story = explain(life)
    coming = [sentence for sentence in story if sentence.about == "next"]
    return {
        "id": life.delivery["id"],
        "event_id": life.delivery["event_id"],
        "endpoint_id": life.delivery["endpoint_id"],
        "state": life.delivery["state"],
        "as_of": life.now,
        "next": {"at": next_at(coming), "codes": [sentence.code for sentence in coming]},
        "story": [sentence._asdict() for sentence in story],
    }


def _event(life: Life) -> Sentence:
    event, delivery = life.event, life.delivery
    name = f"Event {delivery['event']} ({delivery['event_id']})"
    if event is None:
        return Sentence("event", "event_pruned", None, f"{name} is no longer kept (retention).")
    subject = "itself"
    if event["subject_id"] != event["id"]:
        subject = f"change {event['sequence']} of {event['subject_type']} {event['subject_id']}"
    at: datetime = event["occurred_at"]
    text = f"{name} happened at {clock(at)}, raised by {event['raised_by']}; it reports {subject}."
    if event["body_bytes"] == 0:
        return Sentence("event", "body_pruned", at, f"{text} Its body is no longer kept.")
    return Sentence("event", "raised", at, text)


def _match(life: Life) -> Sentence:
    """Say why the event goes to this endpoint."""
    at: datetime = life.delivery["created_at"]
    endpoint = f"endpoint {life.delivery['endpoint_id']}"
    if life.event is not None and life.event["raised_by"].startswith(COPY):
        repeated = life.event["raised_by"].removeprefix(COPY)
        text = f"A replay sent event {repeated} again under this new id, to {endpoint} alone."
        return Sentence("match", "copy", at, text)
    if _is_test(life):
        text = f"It was sent to {endpoint} alone, as a test."
        return Sentence("match", "test", at, text)
    if life.endpoint is None:
        text = f"It was meant for {endpoint}, which is no longer kept."
        return Sentence("match", "endpoint_unknown", at, text)
    if life.pattern is None:
        heard = ", ".join(life.endpoint["events"])
        text = f"{endpoint.capitalize()} heard this type then; today it hears {heard}."
        return Sentence("match", "no_longer_heard", at, text)
    text = f"{endpoint.capitalize()} hears it by its pattern {life.pattern!r}."
    return Sentence("match", "pattern", at, text)


def _is_test(life: Life) -> bool:
    """Whether the delivery was made for itself: manual from birth, with no replay to make it so."""
    delivery, event = life.delivery, life.event
    born_with = life.attempts[0]["trigger"] if life.attempts else delivery["trigger"]
    whole = not life.attempts or life.attempts[0]["number"] == 1
    alone = event is not None and event["created_at"] == delivery["created_at"]
    return whole and alone and born_with == Trigger.MANUAL and not life.replays


def _attempts(life: Life) -> list[Sentence]:
    """Return one sentence per attempt, and one for those that retention removed."""
    told = [_attempt(life, index) for index in range(len(life.attempts))]
    first = life.attempts[0]["number"] if life.attempts else life.delivery["attempts"] + 1
    if first == 1:
        return told
    text = f"Attempts 1 to {first - 1} are no longer kept (retention)."
    return [Sentence("attempt", "pruned", None, text), *told]


def _attempt(life: Life, index: int) -> Sentence:
    row = life.attempts[index]
    took = f"after {row['duration_ms']} ms"
    came = answer(row["status_code"], row["error"])
    if came.startswith("brought"):
        came = f"{came} {took}"
    text = f"Attempt {row['number']} at {clock(row['started_at'])} ({_cause(life, row)}) {came}"
    code, decision = _decision(life, index)
    return Sentence("attempt", code, row["started_at"], f"{text}; {decision}.")


def _cause(life: Life, row: Row) -> str:
    """Say who asked for an attempt: the schedule, or the last replay before it."""
    if row["trigger"] != Trigger.MANUAL:
        return "by schedule"
    before = [each for each in life.replays if each["created_at"] <= row["started_at"]]
    if not before:
        return "asked for by hand"
    why = f": {before[-1]['reason']}" if before[-1]["reason"] else ""
    return f"replay {before[-1]['id']} by {before[-1]['actor']}{why}"


def _decision(life: Life, index: int) -> tuple[str, str]:
    """Return what an attempt led to: a code and a clause."""
    row = life.attempts[index]
    if not row["decided"]:
        return "undecided", "it decided nothing, because its worker had lost the lease by then"
    if row["error"] is None and 200 <= (row["status_code"] or 0) < 300:
        return "succeeded", "that is success"
    later = [each for each in life.attempts[index + 1 :] if each["number"] > row["number"]]
    if later:
        wait = span(later[0]["started_at"] - row["started_at"])
        return "retried", f"so it was tried again {wait} later"
    return _last_decision(life)


def _last_decision(life: Life) -> tuple[str, str]:
    """Return what the last attempt led to, which the delivery itself still says."""
    delivery = life.delivery
    if delivery["state"] == DeliveryState.RETRYING:
        return "retried", f"so the next was set for {clock(delivery['next_attempt_at'])}"
    if delivery["state"] == DeliveryState.PENDING:
        return "armed", "it was given up, then armed again by a replay"
    if delivery["state"] == DeliveryState.CANCELLED:
        return "cancelled", "before the next one the endpoint was disabled or deleted"
    return "gave_up", "so it was given up"
