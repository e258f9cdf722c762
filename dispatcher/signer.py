"""What an endpoint's calls are signed with: opened once per lease, used for every attempt in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from dispatcher import endpoint_secrets
from dispatcher.request import build_headers
from dispatcher.secrets import KeyRing


@dataclass(frozen=True, slots=True)
class Signer:
    """Everything that turns an event's bytes into the headers of one attempt to one endpoint."""

    profile: str
    secrets: Sequence[bytes]

    def headers(
        self, *, message_id: str, event: str, body: bytes, now: datetime
    ) -> list[tuple[bytes, bytes]]:
        """Return the headers of one attempt, signed over exactly these bytes at this time."""
        del event  # a profile may name it in a header of its own
        return build_headers(message_id=message_id, body=body, secrets=self.secrets, now=now)


def open_signers(
    connection: Connection, keyring: KeyRing, endpoints: Iterable[Any], now: datetime
) -> dict[str, Signer]:
    """Return the signer of each endpoint row by its id.

    An endpoint whose secrets cannot be opened is missing from the answer: nothing unsigned is sent.
    """
    rows = {row.id: row for row in endpoints}
    tenant_of = {endpoint_id: row.tenant_id for endpoint_id, row in rows.items()}
    secrets = endpoint_secrets.opened(connection, keyring, tenant_of, now)
    return {
        endpoint_id: Signer(rows[endpoint_id].profile, found)
        for endpoint_id, found in secrets.items()
    }
