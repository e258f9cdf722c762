"""Callbacks from upstream platforms: verified, taken once, and turned into our own transitions."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from dispatcher import shoppex, signing
from dispatcher.errors import SignatureRefused
from engine import order_rows
from engine.database import Database
from engine.errors import InvalidInput
from engine.sealing import KeyRing
from engine.unit_of_work import UnitsOfWork
from engine.upserts import insert_missing
from engine.upstream_tables import inbound_messages
from reconciler.upstream_applying import ACTOR, SOURCE, Row, apply, of_reference
from reconciler.upstream_reading import LINE_EVENT, read_callback
from reconciler.upstreams import opened_callback_secret, raw

BODY_BYTES_MAX = 256 * 1024
MESSAGE_ID_MAX = 200


class Outcome(StrEnum):
    """What became of a callback."""

    APPLIED = "applied"  #: our order is where the upstream's is
    SEEN = "seen"  #: it came before, and changes nothing
    LATE = "late"  #: a newer one was applied before; it is counted, and changes nothing
    NOTHING = "nothing"  #: it says nothing of an order's state
    UNKNOWN_ORDER = "unknown_order"  #: no order of ours is called so


@dataclass(frozen=True, slots=True)
class InboundCallbacks:
    """Takes what upstreams post."""

    database: Database
    units: UnitsOfWork
    keyring: KeyRing

    def receive(self, upstream_id: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Verify a callback, apply it unless it was before, and return what became of it.

        It counts as taken when all it led to is committed: one that is cut off comes again and goes
        on where it stopped. Raises NotFound, SignatureRefused, SecretUnreadable or
        UnreadableAnswer; then nothing is changed.
        """
        if len(body) > BODY_BYTES_MAX:
            raise InvalidInput(f"a callback has at most {BODY_BYTES_MAX} bytes", field="body")
        headers = {name.lower(): value for name, value in headers.items()}
        with self.database.read() as connection:
            upstream = raw(connection, upstream_id)
        message_id = self._verified(upstream, headers, body)
        with self.database.read() as connection:
            if message_id and _was_taken(connection, upstream["id"], message_id):
                return Outcome.SEEN
        event, outcome = self._apply(upstream, body)
        # An order may be linked later, and then the same message means something.
        if not message_id or outcome is Outcome.UNKNOWN_ORDER:
            return outcome
        with self.units.begin(actor=ACTOR, source=SOURCE) as work:
            row = {
                "upstream_id": upstream["id"],
                "message_id": message_id,
                "event": event[:100],
                "outcome": outcome,
                "received_at": work.now,
            }
            keys = ["upstream_id", "message_id"]
            insert_missing(work.connection, inbound_messages, [row], keys)
        return outcome

    def _apply(self, upstream: Row, body: bytes) -> tuple[str, Outcome]:
        event, reading = read_callback(body)
        if reading is None:
            return event, Outcome.NOTHING
        with self.database.read() as connection:
            linked = of_reference(connection, upstream["id"], *reading.references)
            if linked is None:
                return event, Outcome.UNKNOWN_ORDER
            lines = order_rows.lines_of(connection, linked["chain_order_id"])
        if event == LINE_EVENT and len(lines) > 1:
            return event, Outcome.NOTHING  # of one line, and an order is all of its lines
        made = apply(self.units, linked, reading)
        return event, Outcome.LATE if made is None else Outcome.APPLIED

    def _verified(self, upstream: Row, headers: Mapping[str, str], body: bytes) -> str:
        """Return the message's id once it is proven to be the upstream's; raise SignatureRefused.

        Document 000 gives its callbacks none: each is applied, which changes nothing twice.
        """
        if upstream["callback_signature"] is None:
            raise SignatureRefused("this upstream has no callback secret", reason="no_secret")
        secret = opened_callback_secret(self.keyring, upstream)
        if upstream["callback_signature"] == "apikey":
            _check_api_key(secret, headers)
            return ""
        if upstream["callback_signature"] == "shoppex":
            return shoppex.verify(secret, headers, body, self.units.now())
        signing.verify([signing.decode_secret(secret)], headers, body, self.units.now())
        message_id = headers[signing.ID_HEADER]
        if len(message_id) > MESSAGE_ID_MAX or not message_id.isprintable():
            raise SignatureRefused("the message has no usable id", reason="message_id")
        return message_id


def _check_api_key(secret: str, headers: Mapping[str, str]) -> None:
    """Compare document 000's static key."""
    given = headers.get("apikey", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, secret.encode()):
        raise SignatureRefused("the Apikey is not this upstream's", reason="apikey")


def _was_taken(connection: Connection, upstream_id: str, message_id: str) -> bool:
    query = select(inbound_messages.c.message_id).where(
        inbound_messages.c.upstream_id == upstream_id,
        inbound_messages.c.message_id == message_id,
    )
    return connection.execute(query).first() is not None
