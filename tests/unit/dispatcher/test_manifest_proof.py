"""The receiver's proof, as pure functions: complete is silent, and every difference is named."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.manifest_proof import (
    FIRST_DIGEST,
    Manifest,
    body_digest,
    check_manifests,
    check_received,
    message_id,
    render_body,
    summarise,
)
from dispatcher.signing import signature_header
from engine.errors import InvalidInput

SECRET = b"s" * 32
ENDPOINT = "01a200d2-7a8d-7c55-8b21-c3a8f0f2a9a1"
MONDAY = date(2026, 3, 2)

EVENTS = st.dictionaries(st.uuids().map(str), st.binary(max_size=9).map(body_digest), max_size=9)


def signed(
    events: dict[str, str], day: date = MONDAY, previous: str = FIRST_DIGEST
) -> dict[str, Any]:
    """Return a manifest as the interface shows it."""
    body = render_body(
        endpoint_id=ENDPOINT,
        tenant_id="t",
        profile="envelope",
        day=day,
        summary=summarise(events.items()),
        previous=previous,
    )
    return {
        "body": body.decode(),
        "timestamp": 1772500000,
        "signature": signature_header([SECRET], message_id(ENDPOINT, day), 1772500000, body),
        "events": [{"id": event_id, "sha256": sha} for event_id, sha in events.items()],
    }


def hashes(events: dict[str, str]) -> dict[str, set[str | None]]:
    """Return what a receiver has that got exactly these."""
    return {event_id: {sha} for event_id, sha in events.items()}


def test_the_digest_is_as_defined() -> None:
    """One line per event, sorted by id; the order given does not matter; nothing has its own."""
    lines = b"a " + b"1" * 64 + b"\nb " + b"2" * 64 + b"\n"
    for pairs in ([("a", "1" * 64), ("b", "2" * 64)], [("b", "2" * 64), ("a", "1" * 64)]):
        summary = summarise(pairs)
        assert (2, "a", "b") == (summary.count, summary.first_event_id, summary.last_event_id)
        assert hashlib.sha256(lines).hexdigest() == summary.digest
    assert (0, None, hashlib.sha256(b"").hexdigest()) == (
        summarise([]).count,
        summarise([]).first_event_id,
        summarise([]).digest,
    )


def test_a_body_is_canonical() -> None:
    """Sorted keys, no blanks: the same facts are the same bytes, whoever makes them."""
    body = signed({})["body"]
    document = orjson.loads(body)
    assert body.encode() == orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    assert ("manifest", "1", "2026-03-02") == (
        document["type"],
        document["version"],
        document["day"],
    )


@given(EVENTS)
def test_what_is_complete_holds(events: dict[str, str]) -> None:
    """With the list and without it, nothing is found where nothing differs."""
    for document in (signed(events), {**signed(events), "events": None}):
        manifest = Manifest.read(document)
        assert [] == check_manifests([manifest], [SECRET])
        assert [] == check_received([manifest], hashes(events))


@given(EVENTS, EVENTS)
def test_every_difference_is_named(sent: dict[str, str], received: dict[str, str]) -> None:
    """Missing, extra and altered are exactly the differences of what was sent and received."""
    found = check_received([Manifest.read(signed(sent))], hashes(received))
    both = sent.keys() & received.keys()
    expected = {("missing", each) for each in sent.keys() - received.keys()}
    expected |= {("extra", each) for each in received.keys() - sent.keys()}
    expected |= {("altered", each) for each in both if sent[each] != received[each]}
    assert expected == {(each.kind, each.event_id) for each in found}
    whole = Manifest.read({**signed(sent), "events": None})
    assert (sent != received) == bool(check_received([whole], hashes(received)))


@given(st.integers(0, 400), st.sampled_from("0123456789abcdef{}:,"))
def test_no_byte_of_a_body_can_be_changed(at: int, character: str) -> None:
    """A body with one character replaced is no manifest any more, or is not signed."""
    document = signed({"a": "1" * 64})
    body = document["body"]
    changed = body[: at % len(body)] + character + body[at % len(body) + 1 :]
    if changed == body:
        return
    try:
        manifest = Manifest.read({**document, "body": changed})
    except InvalidInput:
        return
    assert "signature" in {each.kind for each in check_manifests([manifest], [SECRET])}


def test_a_chain_names_gaps_and_breaks() -> None:
    """Days in a row hold in any order; a day left out is a gap, another's digest a break."""
    first = signed({})
    second = signed({}, MONDAY + timedelta(days=1), body_digest(first["body"].encode()))
    third = signed({}, MONDAY + timedelta(days=2), FIRST_DIGEST)
    days = [Manifest.read(each) for each in (first, second, third)]
    assert [] == check_manifests([days[1], days[0]], [SECRET])
    [gap] = check_manifests([days[0], days[2]], [SECRET])
    assert ("gap", "2026-03-04", ENDPOINT) == (gap.kind, gap.day, gap.endpoint_id)
    [broken] = check_manifests(days, [SECRET])
    assert ("chain", "2026-03-04") == (broken.kind, broken.day)


@pytest.mark.parametrize(
    "change",
    [
        {"body": None},
        {"body": "{}"},
        {"body": "3"},
        {"timestamp": "soon"},
        {"events": [{"id": "a"}]},
        {"events": 3},
    ],
)
def test_what_is_no_manifest_is_refused(change: dict[str, Any]) -> None:
    """The refusal names the option, whatever is wrong with the document."""
    with pytest.raises(InvalidInput) as refused:
        Manifest.read({**signed({}), **change})
    assert "manifest" == refused.value.details["field"]
