"""What a call meant: the table of answers and failures, and what of an answer is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import FailureKind
from dispatcher.outcome import (
    EXCERPT_CHARACTERS_MAX,
    Outcome,
    Verdict,
    classify_answer,
    classify_failure,
    parse_retry_after,
    printable,
    unprocessable,
)

RETRIED = {
    100: "http_1xx",
    301: "http_3xx",
    302: "http_3xx",
    304: "http_3xx",
    307: "http_3xx",
    308: "http_3xx",
    400: "http_4xx",
    401: "http_4xx",
    404: "http_4xx",
    409: "http_4xx",
    411: "http_4xx",
    429: "http_4xx",
    500: "http_5xx",
    502: "http_5xx",
    503: "http_5xx",
    504: "http_5xx",
}

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def answered(status_code: int, body: bytes = b"", **headers: str) -> Outcome:
    """Classify an answer with these headers (underscores for dashes) at NOW."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return classify_answer(status_code, raw, body, now=NOW)


@pytest.mark.parametrize("status_code", [200, 201, 202, 204, 206, 299])
def test_every_2xx_is_a_success(status_code: int) -> None:
    """Any 2xx ends the delivery, with what the receiver said."""
    expected = Outcome(Verdict.SUCCEEDED, status_code, None, "ok")
    assert expected == answered(status_code, b"ok")


@pytest.mark.parametrize("status_code", RETRIED)
def test_everything_else_is_tried_again(status_code: int) -> None:
    """Redirects are failures too; no such answer stops the endpoint, and its class is named."""
    expected = Outcome(Verdict.RETRYABLE, status_code, RETRIED[status_code], blames_endpoint=True)
    assert expected == answered(status_code, b"")


def test_gone_stops_delivery_and_endpoint() -> None:
    """410 is permanent and asks to disable the endpoint."""
    expected = Outcome(Verdict.PERMANENT, 410, "gone", disable="gone")
    assert expected == answered(410, b"")


@given(st.integers(100, 599), st.binary(max_size=20))
def test_only_gone_disables_and_only_2xx_succeeds(status_code: int, body: bytes) -> None:
    """Over all statuses: success is 2xx without an error, disabling is 410, the rest retries."""
    outcome = answered(status_code, body)
    assert (200 <= status_code < 300) == (outcome.verdict is Verdict.SUCCEEDED)
    assert (200 <= status_code < 300) == (outcome.error is None)
    assert (status_code == 410) == (outcome.disable is not None)
    assert (status_code == 410) == (outcome.verdict is Verdict.PERMANENT)
    assert status_code == outcome.status_code


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_a_call_without_an_answer_is_tried_again(kind: str) -> None:
    """Whatever kept the call from an answer, the coarse class is all that is told."""
    assert Outcome(Verdict.RETRYABLE, None, kind, blames_endpoint=True) == classify_failure(kind)


def test_what_cannot_be_sent_is_parked() -> None:
    """A delivery that breaks before the wire is permanent and leaves the endpoint alone."""
    assert Outcome(Verdict.PERMANENT, None, "poison") == unprocessable("poison")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"", None),
        (b'{"success":true}', '{"success":true}'),
        (b"a\x00b\x1b[31mc\r\nd\te\x7f", "a b [31mc  d e "),
        ("Größe ₹".encode(), "Gr????e ???"),
        (b"\xff\xfe", "??"),
        (b"\x80" * 3000, "?" * 1024),
        (b"x" * 1023 + "é".encode(), "x" * 1023 + "?"),
    ],
)
def test_an_answer_is_kept_as_printable_ascii(body: bytes, kept: str | None) -> None:
    """Control codes become spaces, other bytes question marks; an empty answer is nothing."""
    assert kept == printable(body)


@pytest.mark.fault("F34")
@given(st.binary(min_size=1, max_size=3000))
def test_no_answer_can_smuggle_anything(body: bytes) -> None:
    """Whatever arrives (F34): at most 1,024 characters, all ASCII, all printable."""
    kept = printable(body)
    assert kept is not None
    assert min(len(body), EXCERPT_CHARACTERS_MAX) == len(kept)
    assert kept.isascii()
    assert kept.isprintable()


@pytest.mark.fault("F30")
@pytest.mark.parametrize("status_code", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1),
        ("0", 0),
        (" 120 ", 120),
        ("3600", 3600),
        ("315360000", 86_400),
        ("9" * 40, 86_400),
        ("Mon, 02 Mar 2026 09:31:00 GMT", 60),
        ("Mon, 02 Mar 2026 09:00:00 GMT", 0),
        ("Wed, 02 Mar 2033 09:30:00 GMT", 86_400),
    ],
)
def test_retry_after_pauses_the_endpoint(status_code: int, value: str, seconds: int) -> None:
    """Seconds and dates both count, from now to 24 hours at most, and blame nobody (F30)."""
    outcome = answered(status_code, retry_after=value)
    assert NOW + timedelta(seconds=seconds) == outcome.pause_until
    assert (Verdict.RETRYABLE, False) == (outcome.verdict, outcome.blames_endpoint)


@pytest.mark.parametrize("value", ["soon", "-5", "1.5", "", "\u0663", "Mon, 99 Foo 2026"])
def test_garbage_in_retry_after_is_passed_over(value: str) -> None:
    """What is neither seconds nor a date leaves an ordinary failure."""
    assert parse_retry_after(value.encode(), NOW) is None
    assert answered(503, retry_after=value).blames_endpoint


@pytest.mark.parametrize("status_code", [200, 400, 500, 302])
def test_retry_after_of_other_answers_says_nothing(status_code: int) -> None:
    """Only 429 and 503 may slow us down."""
    assert answered(status_code, retry_after="60").pause_until is None


def test_a_receiver_may_abort_one_message() -> None:
    """``webhook-delivery: abort-message`` with a failure ends this delivery, nothing else."""
    outcome = answered(500, Webhook_Delivery="Abort-Message")
    assert Outcome(Verdict.PERMANENT, 500, "aborted_by_receiver") == outcome
    assert answered(200, webhook_delivery="abort-message").verdict is Verdict.SUCCEEDED


@pytest.mark.parametrize("status_code", [200, 404, 500])
def test_a_receiver_may_ask_to_be_left_alone(status_code: int) -> None:
    """``webhook-delivery: disable`` disables the endpoint whatever else it answers."""
    outcome = answered(status_code, webhook_delivery="disable")
    assert "receiver" == outcome.disable
    assert outcome.verdict is Verdict.PERMANENT


def test_the_owner_may_name_answers_no_retry_can_mend() -> None:
    """A listed status fails the delivery at once and does not count against the endpoint."""
    outcome = classify_answer(422, [], b"", now=NOW, permanent_statuses={400, 422})
    assert Outcome(Verdict.PERMANENT, 422, "http_4xx") == outcome
