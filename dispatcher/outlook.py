"""What happens next to a delivery, when and why; or why nothing will. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dispatcher.health import Circuit
from dispatcher.life import Life, Row, Sentence, ahead, clock
from dispatcher.settlement import UNSUBSCRIBED
from dispatcher.states import DeliveryState, EndpointState, Trigger

NEXT = "next"

#: Why a delivery failed although its schedule may not be used up, by the code of its error.
ENDINGS = {
    "gone": "the receiver answered 410: it does not want this endpoint called any more",
    "disabled_by_receiver": "the receiver asked for the endpoint to be disabled",
    "aborted_by_receiver": "the receiver asked for this delivery not to be tried again",
    "poison": "it was parked as poison: the worker died each time it was tried",
    "expired": "it was not delivered while it was still worth sending",
    "unprocessable": "it could not be turned into a request; the log has the reason",
    "skipped_in_order": "it held up the deliveries behind it for too long and was skipped",
    "body_pruned": "retention had removed the event's body before it could be sent",
}


def outlook(life: Life) -> list[Sentence]:
    """Return what comes next: first what and when, then everything that holds it back now."""
    if life.delivery["next_attempt_at"] is None:
        return [_ended(life)]
    if not_called := _not_called(life):
        return [not_called]
    holds = [hold for find in _HOLDS if (hold := find(life)) is not None]
    return [_attempt(life, held=bool(holds)), *holds]


def next_at(sentences: list[Sentence]) -> datetime | None:
    """Return when something happens at the earliest: the latest of what must come first.

    None where nothing will happen, or nobody knows when.
    """
    if any(sentence.at is None for sentence in sentences):
        return None
    return max(sentence.at for sentence in sentences if sentence.at is not None)


def _attempt(life: Life, *, held: bool) -> Sentence:
    """Say which attempt of how many is next."""
    at: datetime = life.delivery["next_attempt_at"]
    number, length = life.made + 1, len(life.schedule_seconds)
    which = f"Attempt {number} of {max(number, length)}"
    if life.delivery["trigger"] == Trigger.MANUAL:
        which = "The attempt asked for by hand"
    if at > life.now:
        return Sentence(NEXT, "scheduled", at, f"{which} is due at {ahead(at, life.now)}.")
    tail = "." if held else "; nothing holds it, the next drain takes it."
    return Sentence(NEXT, "due", at, f"{which} has been due since {ahead(at, life.now)}{tail}")


def _not_called(life: Life) -> Sentence | None:
    """Say that an open delivery will be cancelled, because its endpoint is not called."""
    endpoint = life.endpoint
    if endpoint is None or endpoint["deleted_at"] is not None:
        text = "The next drain cancels it: the endpoint was deleted"
        return Sentence(NEXT, "endpoint_deleted", life.now, f"{text}{_since(endpoint)}.")
    if endpoint["state"] == EndpointState.DISABLED:
        text = f"The next drain cancels it: the endpoint is disabled ({_reason(endpoint)})"
        return Sentence(NEXT, "endpoint_disabled", life.now, f"{text}{_since(endpoint)}.")
    if life.pattern is None and life.delivery["trigger"] == Trigger.SCHEDULED:
        text = "The next drain cancels it: the endpoint no longer hears this type"
        return Sentence(NEXT, UNSUBSCRIBED, life.now, f"{text}{_since(endpoint)}.")
    return None


def _leased(life: Life) -> Sentence | None:
    mailbox = life.mailbox
    if mailbox is None or mailbox["lease_until"] is None:
        return None
    holder, until = mailbox["leased_by"], mailbox["lease_until"]
    if until > life.now:
        text = f"Its mailbox is leased by {holder} until {ahead(until, life.now)}"
        return Sentence(NEXT, "leased", life.now, f"{text}: that worker is sending now.")
    text = f"The lease of {holder} ran out at {clock(until)}: that worker died or lost the database"
    return Sentence(NEXT, "lease_expired", life.now, f"{text}; the next sweep hands it on.")


def _paused(life: Life) -> Sentence | None:
    endpoint = life.endpoint
    if endpoint is None or endpoint["state"] != EndpointState.PAUSED:
        return None
    until = endpoint["paused_until"]
    ends = f"until {ahead(until, life.now)}" if until else "until 'tillbell endpoints resume'"
    return Sentence(NEXT, "paused", until, f"The endpoint is paused ({_reason(endpoint)}) {ends}.")


def _blocked(life: Life) -> Sentence | None:
    """Say why the mailbox waits: an open circuit, or a receiver that asked for time."""
    mailbox, endpoint = life.mailbox, life.endpoint
    if mailbox is None or (endpoint and endpoint["state"] == EndpointState.PAUSED):
        return None
    until = mailbox["blocked_until"]
    if until is None or until <= life.now:
        return _probing(mailbox, life.now)
    when = f"until {ahead(until, life.now)}"
    if mailbox["circuit"] == Circuit.OPEN:
        text = f"The circuit of the endpoint is open after {mailbox['failures_in_row']} failures"
        return Sentence(NEXT, "circuit_open", until, f"{text} in a row: no call {when}.")
    text = f"The endpoint is called again only later: blocked {when}"
    return Sentence(NEXT, "blocked", until, f"{text} (it asked for time, or its rate is used up).")


def _probing(mailbox: Row, now: datetime) -> Sentence | None:
    if mailbox["circuit"] == Circuit.CLOSED:
        return None
    text = "The circuit of the endpoint is being probed: one call at a time until one succeeds."
    return Sentence(NEXT, "circuit_probing", now, text)


def _behind(life: Life) -> Sentence | None:
    """Say that in a strict order another delivery comes first."""
    ordering = life.endpoint["ordering"] if life.endpoint else "none"
    head = life.mailbox.get("head_delivery_id") if life.mailbox else None
    if head is not None and head != life.delivery["id"]:
        text = f"The endpoint wants strict order: it waits behind delivery {head}."
        return Sentence(NEXT, "in_order", life.now, text)
    if not life.ahead:
        return None
    order = f", in strict order by {ordering}" if ordering != "none" else ""
    text = f"{life.ahead} open deliveries of the endpoint fall due before it{order}."
    return Sentence(NEXT, "queued", life.now, text)


def _forgotten(life: Life) -> Sentence | None:
    """Say that no wake-up is set, which must never be."""
    mailbox = life.mailbox
    if mailbox is None or mailbox["lease_until"] is not None or mailbox["due_at"] is not None:
        return None
    text = "Nothing will wake its mailbox; 'tillbell reconcile run --check K08' mends that."
    return Sentence(NEXT, "forgotten", None, text)


_HOLDS: tuple[Callable[[Life], Sentence | None], ...] = (
    _paused,
    _blocked,
    _leased,
    _behind,
    _forgotten,
)


def _ended(life: Life) -> Sentence:
    """Say why nothing more will be sent."""
    state, settled_at = life.delivery["state"], life.delivery["settled_at"]
    when = "" if settled_at is None else f" since {clock(settled_at)}"
    if state == DeliveryState.SUCCEEDED:
        text = f"Nothing: it is delivered{when}."
        return Sentence(NEXT, "succeeded", None, text)
    if state == DeliveryState.CANCELLED:
        return _cancelled(life, when)
    code, why = _failure(life)
    again = f"'tillbell deliveries replay {life.delivery['id']}' sends it again"
    return Sentence(NEXT, code, None, f"Nothing{when}: {why}; {again}{_first_enable(life)}.")


def _failure(life: Life) -> tuple[str, str]:
    """Return why a delivery failed for good: a code and a clause."""
    error = life.delivery["last_error"] or ""
    code = error.split(":", 1)[0]
    if code in ENDINGS:
        return code, ENDINGS[code]
    permanent = (life.endpoint or {}).get("permanent_statuses") or ()
    status = life.delivery["last_status_code"]
    if status in permanent:
        return "permanent_status", f"its owner counts HTTP {status} as final"
    if life.made < len(life.schedule_seconds) and life.give_up_at is not None:
        return "expired", f"the next attempt would have come after {clock(life.give_up_at)}"
    return "schedule_used_up", f"all {life.made} attempts of its schedule are used up"


def _cancelled(life: Life, when: str) -> Sentence:
    endpoint = life.endpoint
    if life.delivery["last_error"] == "endpoint_deleted" or endpoint is None:
        text = f"Nothing{when}: the endpoint was deleted."
        return Sentence(NEXT, "endpoint_deleted", None, text)
    again = f"'tillbell deliveries replay {life.delivery['id']}' sends it{_first_enable(life)}"
    if life.delivery["last_error"] == UNSUBSCRIBED:
        text = f"Nothing{when}: the endpoint no longer heard this type; {again}."
        return Sentence(NEXT, UNSUBSCRIBED, None, text)
    born = life.delivery["created_at"] == life.delivery["settled_at"]
    how = "was disabled when the event came" if born else "was disabled before it was delivered"
    text = f"Nothing{when}: the endpoint {how}{_disabled_now(endpoint)}; {again}."
    return Sentence(NEXT, "endpoint_disabled", None, text)


def _disabled_now(endpoint: Row) -> str:
    if endpoint["state"] != EndpointState.DISABLED:
        return ", it is called again now"
    return f" ({_reason(endpoint)}{_since(endpoint)})"


def _first_enable(life: Life) -> str:
    endpoint = life.endpoint
    if endpoint is None or endpoint["state"] != EndpointState.DISABLED:
        return ""
    return f" once 'tillbell endpoints enable {endpoint['id']}' lets it be called"


def _reason(endpoint: Row) -> str:
    return endpoint["state_reason"] or "no reason given"


def _since(endpoint: Row | None) -> str:
    return "" if endpoint is None else f" since {clock(endpoint['updated_at'])}"
