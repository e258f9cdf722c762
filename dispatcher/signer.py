"""What an endpoint's calls are signed with: opened once per lease, used for every attempt in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from config.log import get_logger
from dispatcher import custom_headers, endpoint_secrets
from dispatcher.endpoint_secrets import Held, Kind
from dispatcher.request import build_headers
from dispatcher.signing import V1A
from engine.errors import SecretUnreadable
from engine.sealing import KeyRing

log = get_logger("secrets")

#: What is shorter is no credential, and may stand in an answer by chance.
CREDENTIAL_LENGTH_MIN = 8
MASKED = b"********"


@dataclass(frozen=True, slots=True)
class Signer:
    """Everything that turns an event's bytes into the headers of one attempt to one endpoint.

    ``fixed`` are the owner's own headers. Secrets come newest first; which of them count is
    decided at each attempt, so a rotation switches at its instant and not at the next lease.
    """

    profile: str
    secrets: Sequence[Held]
    key_pairs: Sequence[Held] = ()
    api_keys: Sequence[Held] = ()
    fixed: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False)

    def headers(
        self, *, message_id: str, event: str, body: bytes, now: datetime
    ) -> list[tuple[bytes, bytes]]:
        """Return the headers of one attempt, signed over exactly these bytes at this time."""
        made = build_headers(
            message_id=message_id,
            body=body,
            secrets=_counting(self.secrets, now),
            now=now,
            key_pairs=_counting(self.key_pairs, now),
            profile=self.profile,
            event=event,
        )
        made += [(b"apikey", key) for key in _counting(self.api_keys, now)[:1]]
        made += self.fixed
        return made

    def masked(self, answer: bytes) -> bytes:
        """Return an answer's body without the credentials it repeats: some receivers echo us."""
        shown = [value for _, value in self.fixed] + [each.plain for each in self.api_keys]
        for value in shown:
            if len(value) >= CREDENTIAL_LENGTH_MIN and value in answer:
                answer = answer.replace(value, MASKED)
        return answer


def open_signers(
    connection: Connection, keyring: KeyRing, endpoints: Iterable[Any], now: datetime
) -> dict[str, Signer]:
    """Return the signer of each endpoint row by its id.

    An endpoint of which something asked for cannot be opened, a secret of each kind or its own
    headers, is missing from the answer: nothing is sent that its receiver must refuse.
    """
    rows = {row.id: row for row in endpoints}
    tenant_of = {endpoint_id: row.tenant_id for endpoint_id, row in rows.items()}
    found = endpoint_secrets.opened(connection, keyring, tenant_of, now)
    signers = {
        endpoint_id: _signer(keyring, row, found.get(endpoint_id, {}), now)
        for endpoint_id, row in rows.items()
    }
    return {endpoint_id: each for endpoint_id, each in signers.items() if each is not None}


def _signer(
    keyring: KeyRing, row: Any, held: Mapping[Kind, Sequence[Held]], now: datetime
) -> Signer | None:
    """Return the signer of one endpoint, or None when it could not say what it must."""
    needed = {Kind.SIGNING}
    if V1A in (row.signatures or ()):
        needed.add(Kind.ED25519)
    if row.profile == "flat" and Kind.APIKEY in held:
        needed.add(Kind.APIKEY)
    if not all(_counting(held.get(kind, ()), now) for kind in needed):
        return None
    use = {kind: held[kind] for kind in needed}
    try:
        fixed = custom_headers.opened(keyring, row)
    except SecretUnreadable as error:
        log.warning("headers.unreadable", endpoint_id=row.id, reason=error.message)
        return None
    return Signer(
        profile=row.profile,
        secrets=use[Kind.SIGNING],
        key_pairs=use.get(Kind.ED25519, ()),
        api_keys=use.get(Kind.APIKEY, ()),
        fixed=fixed,
    )


def _counting(secrets: Sequence[Held], now: datetime) -> list[bytes]:
    return [each.plain for each in secrets if each.counts_at(now)] if secrets else []
