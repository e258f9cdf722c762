"""A day's manifest: what it says, how it is signed, and how a receiver proves it. Pure.

Definition, so that anyone can check it with SHA-256 and a Standard Webhooks library:

- An endpoint's day is the UTC day in which its delivery was made; replays change nothing.
- ``events_digest`` is the SHA-256 (hex) of one line per event, sorted by id: the id, a space, the
  SHA-256 (hex) of the body as it is sent to this endpoint, a newline. A day without events has the
  SHA-256 of nothing.
- ``previous_digest`` is the SHA-256 (hex) of the body of the manifest of the day before; the
  endpoint's first has 64 zeros. Days without events have manifests too, so a gap shows.
- ``body`` is JSON with sorted keys and no spaces; ``signature`` signs
  ``{message_id}.{timestamp}.{body}``, the message id being ``manifest_<endpoint>_<day>``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import orjson

from dispatcher.signing import sign_v1
from engine.errors import InvalidInput

VERSION = "1"
FIRST_DIGEST = "0" * 64


class DaySummary:
    """What one day's events add up to; feed it the events sorted by id."""

    def __init__(self) -> None:
        self.count = 0
        self.first_event_id: str | None = None
        self.last_event_id: str | None = None
        self._hash = hashlib.sha256()

    def add(self, event_id: str, body_sha256: str) -> None:
        """Count one event; ids must rise."""
        self._hash.update(f"{event_id} {body_sha256}\n".encode())
        self.first_event_id = self.first_event_id or event_id
        self.last_event_id = event_id
        self.count += 1

    @property
    def digest(self) -> str:
        """The ``events_digest`` of what was added."""
        return self._hash.hexdigest()


def summarise(entries: Iterable[tuple[str, str]]) -> DaySummary:
    """Return what pairs of event id and body's SHA-256 add up to, in whatever order they come."""
    summary = DaySummary()
    for event_id, body_sha256 in sorted(entries):
        summary.add(event_id, body_sha256)
    return summary


def message_id(endpoint_id: str, day: date | str) -> str:
    """Return what stands before timestamp and body in the signed text; it holds no dot."""
    return f"manifest_{endpoint_id}_{day}"


def render_body(
    *, endpoint_id: str, tenant_id: str, profile: str, day: date, summary: DaySummary, previous: str
) -> bytes:
    """Return the canonical bytes of a manifest; the same facts give the same bytes."""
    return orjson.dumps(
        {
            "type": "manifest",
            "version": VERSION,
            "endpoint_id": endpoint_id,
            "tenant_id": tenant_id,
            "profile": profile,
            "day": day.isoformat(),
            "events_count": summary.count,
            "first_event_id": summary.first_event_id,
            "last_event_id": summary.last_event_id,
            "events_digest": summary.digest,
            "previous_digest": previous,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def body_digest(body: bytes) -> str:
    """Return the SHA-256 (hex) of an event's body, or of a manifest's for the one after it."""
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not agree: what kind, of which endpoint, day and event, in words."""

    kind: str
    sentence: str
    endpoint_id: str | None = None
    day: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest as a receiver holds it; ``events`` maps ids to hashes where they are listed."""

    endpoint_id: str
    day: date
    body: bytes
    timestamp: int
    signature: str
    facts: Mapping[str, Any]
    events: Mapping[str, str] | None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Manifest:
        """Take what the interface or ``manifest show --json`` gave; InvalidInput for anything else.

        Only the signed body is believed; the fields beside it are for people.
        """
        try:
            body = document["body"].encode()
            facts = orjson.loads(body)
            listed = document.get("events")
            events = None
            if listed is not None:
                events = {str(each["id"]): str(each["sha256"]) for each in listed}
            return cls(
                str(facts["endpoint_id"]),
                date.fromisoformat(facts["day"]),
                body,
                int(document["timestamp"]),
                str(document["signature"]),
                {
                    "events_count": int(facts["events_count"]),
                    "events_digest": str(facts["events_digest"]),
                    "previous_digest": str(facts["previous_digest"]),
                },
                events,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                f"this is not a manifest ({type(error).__name__}: {error})", field="manifest"
            ) from None

    def problem(self, kind: str, sentence: str, event_id: str | None = None) -> Problem:
        """Return a problem of this manifest."""
        return Problem(kind, sentence, self.endpoint_id, self.day.isoformat(), event_id)


def is_signed(manifest: Manifest, secrets: Sequence[bytes]) -> bool:
    """Tell whether any of the secrets signed these exact bytes; a manifest may be of any age."""
    named = message_id(manifest.endpoint_id, manifest.day)
    offered = manifest.signature.encode().split()
    expected = [
        sign_v1(each, named, manifest.timestamp, manifest.body).encode() for each in secrets
    ]
    return any([hmac.compare_digest(mine, theirs) for mine in expected for theirs in offered])  # noqa: C419  # every pair is compared, so that time tells nothing


def check_manifests(manifests: Sequence[Manifest], secrets: Sequence[bytes]) -> list[Problem]:
    """Return what is wrong with the manifests themselves: signature, list of events, chain."""
    problems = []
    for each in manifests:
        if not is_signed(each, secrets):
            problems.append(each.problem("signature", "it is signed by none of these secrets"))
        if each.events is not None:
            summary = summarise(each.events.items())
            if (summary.count, summary.digest) != _claimed(each):
                problems.append(each.problem("list", "its list of events is not the one signed"))
    ordered = sorted(manifests, key=lambda each: (each.endpoint_id, each.day))
    for before, after in pairwise(ordered):
        if before.endpoint_id == after.endpoint_id:
            problems += _link(before, after)
    return problems


def check_received(
    manifests: Sequence[Manifest], received: Mapping[str, set[str | None]]
) -> list[Problem]:
    """Return which events are missing, extra or altered; ids map to the hashes of bodies received.

    A hash of None means that the body was not kept. Without lists of events one manifest can be
    compared as a whole; InvalidInput is raised for several.
    """
    if any(each.events is None for each in manifests):
        return _compare_whole(manifests, received)
    problems = []
    for manifest in manifests:
        for event_id, expected in sorted((manifest.events or {}).items()):
            hashes = received.get(event_id)
            if hashes is None:
                problems.append(manifest.problem("missing", "it was sent, not received", event_id))
            elif hashes - {expected, None}:
                problems.append(
                    manifest.problem("altered", "its body is not the one sent", event_id)
                )
    listed = {event_id for manifest in manifests for event_id in manifest.events or ()}
    extra = sorted(received.keys() - listed)
    return problems + [Problem("extra", "no manifest names it", event_id=each) for each in extra]


def _claimed(manifest: Manifest) -> tuple[int, str]:
    return manifest.facts["events_count"], manifest.facts["events_digest"]


def _link(before: Manifest, after: Manifest) -> list[Problem]:
    if (after.day - before.day).days != 1:
        return [after.problem("gap", f"the manifest before it is of {before.day}")]
    if after.facts["previous_digest"] != body_digest(before.body):
        return [after.problem("chain", "it does not follow from the manifest of the day before")]
    return []


def _compare_whole(
    manifests: Sequence[Manifest], received: Mapping[str, set[str | None]]
) -> list[Problem]:
    if len(manifests) != 1:
        raise InvalidInput(
            "these manifests list no events, so only one can be compared at a time; get them with"
            " 'tillbell manifest show' or GET /api/v1/webhooks/manifests/{endpoint_id}/{day}",
            field="manifest",
        )
    [manifest] = manifests
    pairs = [(event_id, sha or "") for event_id, hashes in received.items() for sha in hashes]
    summary = summarise(pairs)
    if (summary.count, summary.digest) == _claimed(manifest):
        return []
    sentence = (
        f"{_claimed(manifest)[0]} events were sent, {len(received)} received, or bodies differ"
    )
    return [manifest.problem("digest", sentence)]
