"""What a call meant: the table of answers and failures, and what of an answer is kept."""

from __future__ import annotations

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


@pytest.mark.parametrize("status_code", [200, 201, 202, 204, 206, 299])
def test_every_2xx_is_a_success(status_code: int) -> None:
    """Any 2xx ends the delivery, with what the receiver said."""
    expected = Outcome(Verdict.SUCCEEDED, status_code, None, "ok")
    assert expected == classify_answer(status_code, b"ok")


@pytest.mark.parametrize("status_code", RETRIED)
def test_everything_else_is_tried_again(status_code: int) -> None:
    """Redirects are failures too; no such answer stops the endpoint, and its class is named."""
    expected = Outcome(Verdict.RETRYABLE, status_code, RETRIED[status_code])
    assert expected == classify_answer(status_code, b"")


def test_gone_stops_delivery_and_endpoint() -> None:
    """410 is permanent and asks to disable the endpoint."""
    expected = Outcome(Verdict.PERMANENT, 410, "gone", disable="gone")
    assert expected == classify_answer(410, b"")


@given(st.integers(100, 599), st.binary(max_size=20))
def test_only_gone_disables_and_only_2xx_succeeds(status_code: int, body: bytes) -> None:
    """Over all statuses: success is 2xx without an error, disabling is 410, the rest retries."""
    outcome = classify_answer(status_code, body)
    assert (200 <= status_code < 300) == (outcome.verdict is Verdict.SUCCEEDED)
    assert (200 <= status_code < 300) == (outcome.error is None)
    assert (status_code == 410) == (outcome.disable is not None)
    assert (status_code == 410) == (outcome.verdict is Verdict.PERMANENT)
    assert status_code == outcome.status_code


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_a_call_without_an_answer_is_tried_again(kind: str) -> None:
    """Whatever kept the call from an answer, the coarse class is all that is told."""
    assert Outcome(Verdict.RETRYABLE, None, kind) == classify_failure(kind)


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


@given(st.binary(min_size=1, max_size=3000))
def test_no_answer_can_smuggle_anything(body: bytes) -> None:
    """Whatever arrives (F34): at most 1,024 characters, all ASCII, all printable."""
    kept = printable(body)
    assert kept is not None
    assert min(len(body), EXCERPT_CHARACTERS_MAX) == len(kept)
    assert kept.isascii()
    assert kept.isprintable()
