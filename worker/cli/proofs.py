"""Files of the receiver's proof: manifests, and what was received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dispatcher.manifest_proof import body_digest
from engine.errors import InvalidInput


@dataclass(slots=True)
class Received:
    """What came: ids with the hashes of their bodies; None where a body was not kept."""

    hashes: dict[str, set[str | None]] = field(default_factory=dict)
    repeated: int = 0
    without_body: int = 0

    def take(self, event_id: str, body_sha256: str | None) -> None:
        """Count one callback; an event may come more than once."""
        self.repeated += event_id in self.hashes
        self.without_body += body_sha256 is None
        self.hashes.setdefault(event_id, set()).add(body_sha256)


def read_manifests(path: Path) -> list[Mapping[str, Any]]:
    """Return the manifests of a file: one, a list answer of the interface, or one a line.

    Raises InvalidInput (field ``manifest``) for a file without any, or one that is not JSON.
    """
    content = _content(path, "manifest")
    try:
        documents = [orjson.loads(content)]
    except orjson.JSONDecodeError:
        documents = [_parsed(line, number, "manifest") for number, line in _lines(content)]
    found = []
    for document in documents:
        listed = document.get("data", [document]) if isinstance(document, dict) else document
        found += listed if isinstance(listed, list) else [listed]
    if not found or not all(isinstance(each, dict) for each in found):
        raise InvalidInput(f"{path} holds no manifests", field="manifest")
    return found


def read_received(path: Path) -> Received:
    """Return what a file of callbacks, one a line, holds.

    A line is the body as it came, or an object with ``id`` (or ``webhook-id``) and, where they were
    kept, the ``body`` as text or its ``body_sha256``. Raises InvalidInput naming the line.
    """
    received = Received()
    for number, line in _lines(_content(path, "received")):
        document = _parsed(line, number, "received")
        event_id = None
        if isinstance(document, dict):
            event_id = document.get("webhook-id", document.get("id"))
        if not isinstance(event_id, str):
            raise InvalidInput(f"line {number} of {path} names no id", field="received")
        received.take(event_id.lower(), _body_hash(document, line))
    return received


def _body_hash(document: Mapping[str, Any], line: bytes) -> str | None:
    if isinstance(document.get("body"), str):
        return body_digest(document["body"].encode())
    if isinstance(document.get("body_sha256"), str):
        return str(document["body_sha256"]).lower()
    # An envelope is itself the body: the line is what was signed.
    return body_digest(line) if {"event", "data"} <= document.keys() else None


def _content(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror})", field=name) from None


def _lines(content: bytes) -> list[tuple[int, bytes]]:
    lines = enumerate(content.split(b"\n"), 1)
    stripped = ((number, line.removesuffix(b"\r")) for number, line in lines)
    return [(number, line) for number, line in stripped if line.strip()]


def _parsed(line: bytes, number: int, name: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"line {number} is not JSON: {error}", field=name) from None
