"""Everything sealed at rest: which key each thing needs, and sealing all anew with the first key.

To retire a key: put a new one first in ``TILLBELL_SECRET_KEYS``, restart every process, seal all
anew, and take the old one out when nothing names it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, func, literal, select, update

from dispatcher.custom_headers import SEALED_AS
from dispatcher.tables import endpoint_secrets, endpoints
from engine import invitations, stock_items
from engine.database import Database
from engine.errors import SecretUnreadable
from engine.program_tables import reseller_invitations
from engine.sealing import KeyRing, bound_to
from engine.stock_transfer_tables import stock_items as item_rows
from engine.upstream_tables import CALLBACK, TOKEN, upstreams

BATCH_ROWS = 500
#: Of one place; serials may be very many, and a key that is missing shows in the newest.
TRIED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """A table that holds sealed things: where their key and text are, and who owns each."""

    name: str
    table: Table
    key_id: Column[Any]
    ciphertext: Column[Any]
    owners: Select[Any]

    def query(self) -> Select[Any]:
        """Return ``id, key_id, ciphertext, tenant_id, endpoint_id, kind`` of what is sealed."""
        first = (self.table.c.id, self.key_id.label("key_id"), self.ciphertext.label("ciphertext"))
        return self.owners.with_only_columns(*first, *self.owners.selected_columns).where(
            self.key_id.is_not(None)
        )


def _of_tenant(
    name: str, table: Table, kind: str, columns: tuple[str, str] = ("key_id", "ciphertext")
) -> Place:
    """Return the place of things that a tenant owns by its row's own id."""
    owners = select(table.c.tenant_id, table.c.id.label("endpoint_id"), literal(kind).label("kind"))
    key_id, ciphertext = columns
    return Place(name, table, table.c[key_id], table.c[ciphertext], owners)


PLACES = (
    Place(
        "secrets",
        endpoint_secrets,
        endpoint_secrets.c.key_id,
        endpoint_secrets.c.ciphertext,
        select(
            endpoints.c.tenant_id, endpoint_secrets.c.endpoint_id, endpoint_secrets.c.kind
        ).join_from(endpoint_secrets, endpoints),
    ),
    Place(
        "headers",
        endpoints,
        endpoints.c.headers_key_id,
        endpoints.c.headers_sealed,
        select(
            endpoints.c.tenant_id,
            endpoints.c.id.label("endpoint_id"),
            literal(SEALED_AS).label("kind"),
        ),
    ),
    _of_tenant("serials", item_rows, stock_items.SEALED_AS),
    _of_tenant("emails", reseller_invitations, invitations.SEALED_AS),
    _of_tenant("upstream_tokens", upstreams, TOKEN, ("token_key_id", "token_sealed")),
    _of_tenant("upstream_callbacks", upstreams, CALLBACK, ("callback_key_id", "callback_sealed")),
)


@dataclass(slots=True)
class Resealed:
    """What sealing anew did: ``unreadable`` holds the sentence of each thing that stays shut."""

    resealed: int
    unreadable: list[str]


def usage(connection: Connection, keyring: KeyRing) -> list[dict[str, Any]]:
    """Return every key, those at hand and those missing, with how much it seals."""
    count: dict[str, dict[str, int]] = {
        place.name: dict(
            connection.execute(
                select(place.key_id, func.count())
                .where(place.key_id.is_not(None))
                .group_by(place.key_id)
            ).all()
        )
        for place in PLACES
    }
    used = {key_id for counted in count.values() for key_id in counted}
    missing = sorted(used - set(keyring.key_ids))
    return [
        {
            "key_id": key_id,
            "state": _state(key_id, keyring),
            **{name: counted.get(key_id, 0) for name, counted in count.items()},
        }
        for key_id in [*keyring.key_ids, *missing]
    ]


def unreadable(connection: Connection, keyring: KeyRing) -> tuple[int, list[str]]:
    """Try what is sealed, the newest of each place; return how much, and why some stays shut."""
    found = [
        _open(keyring, row)
        for place in PLACES
        for row in connection.execute(
            place.query().order_by(place.table.c.id.desc()).limit(TRIED_MAX)
        )
    ]
    return len(found), [error.message for error in found if isinstance(error, SecretUnreadable)]


def waiting(connection: Connection, keyring: KeyRing) -> int:
    """Return how many things another key than the first has sealed."""
    return sum(
        sum(row[place.name] for place in PLACES)
        for row in usage(connection, keyring)
        if row["key_id"] != keyring.sealing_key_id
    )


def reseal(
    database: Database, keyring: KeyRing, *, advance: Callable[[int], None] = lambda _: None
) -> Resealed:
    """Seal everything anew with the first key, batch by batch; ``advance`` hears of each.

    Every batch commits on its own and what is done is passed over, so it may be cut short and
    begun again, or run twice at once. What changed meanwhile is left as it is.
    """
    done = Resealed(0, [])
    for place in PLACES:
        for rows in _batches(database, place, keyring.sealing_key_id):
            plain = [(row, _open(keyring, row)) for row in rows]
            done.unreadable += [
                error.message for _, error in plain if isinstance(error, SecretUnreadable)
            ]
            ready = [(row, each) for row, each in plain if isinstance(each, bytes)]
            with database.write() as connection:
                done.resealed += sum(_rewrite(connection, keyring, place, *each) for each in ready)
            advance(len(rows))
    return done


def _batches(database: Database, place: Place, sealing_key_id: str) -> Iterator[Sequence[Any]]:
    """Yield what other keys have sealed, in the order of ids, each row once."""
    query = place.query().where(place.key_id != sealing_key_id)
    query = query.order_by(place.table.c.id).limit(BATCH_ROWS)
    with database.read() as connection:
        rows = connection.execute(query).all()
    while rows:
        yield rows
        with database.read() as connection:
            rows = connection.execute(query.where(place.table.c.id > rows[-1].id)).all()


def _rewrite(connection: Connection, keyring: KeyRing, place: Place, row: Any, plain: bytes) -> int:
    """Write one thing sealed anew, unless it was changed since it was read."""
    key_id, ciphertext = keyring.seal(plain, bound_to=_bound(row))
    written = connection.execute(
        update(place.table)
        .where(place.table.c.id == row.id, place.ciphertext == row.ciphertext)
        .values({place.key_id: key_id, place.ciphertext: ciphertext})
    )
    return written.rowcount


def _open(keyring: KeyRing, row: Any) -> bytes | SecretUnreadable:
    try:
        return keyring.open(row.key_id, row.ciphertext, bound_to=_bound(row))
    except SecretUnreadable as error:
        return error


def _bound(row: Any) -> str:
    return bound_to(row.tenant_id, row.endpoint_id, row.kind)


def _state(key_id: str, keyring: KeyRing) -> str:
    if key_id == keyring.sealing_key_id:
        return "seals"
    return "opens" if key_id in keyring.key_ids else "missing"
