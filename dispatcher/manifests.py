"""Manifests: one signed line per endpoint and UTC day, made after the day and never changed.

What a line says and how it is proved is defined in ``dispatcher.manifest_proof`` (peers.md §6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import func, literal, or_, select, tuple_

from config.clock import Clock
from dispatcher import endpoint_secrets
from dispatcher.body_hashes import body_hashes
from dispatcher.endpoint_secrets import Kind
from dispatcher.manifest_proof import (
    FIRST_DIGEST,
    DaySummary,
    body_digest,
    message_id,
    render_body,
)
from dispatcher.signing import signature_header
from dispatcher.tables import deliveries, endpoints, manifests
from engine.database import Database
from engine.errors import InvalidInput
from engine.ids import is_id
from engine.sealing import KeyRing
from engine.types import Id
from engine.upserts import insert_missing

_NOTHING = body_digest(b"")

#: How long after midnight a day is closed: no transaction that began in it is open any more.
SETTLING = timedelta(hours=1)
ONE_DAY = timedelta(days=1)
ENDPOINTS_PER_STEP = 200
#: What a transaction reads at most: an old snapshot would slow the dispatcher. Each page of keys
#: costs a scan of the day.
KEYS_PER_READ = 50_000


@dataclass(slots=True)
class _Chain:
    """An endpoint with the first day that it still lacks, and the last that it may have."""

    endpoint_id: str
    tenant_id: str
    profile: str
    day: date
    last: date


class ManifestMaker:
    """Closes days as they end; any number may run, for each line is inserted once."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database, self._keyring, self._clock = database, keyring, clock
        self._done: date | None = None

    def run_once(self) -> int:
        """Make every manifest that is due and return how many; a day once done costs nothing."""
        self._clock.sync()
        now = self._clock.now()
        day = newest_day(now)
        if day == self._done:
            return 0
        made, complete = close_days(self._database, self._keyring, now)
        if complete:
            self._done = day
        return made


def newest_day(now: datetime) -> date:
    """Return the newest UTC day that is closed: over for an hour."""
    return (now.astimezone(UTC) - SETTLING).date() - ONE_DAY


def close_days(
    database: Database,
    keyring: KeyRing,
    now: datetime,
    *,
    endpoint_id: str | None = None,
    until: date | None = None,
) -> tuple[int, bool]:
    """Make what is missing up to ``until`` (the newest closed day), oldest day first.

    Returns how many lines were made, and whether none was left out for a secret that cannot be
    opened. Raises InvalidInput for a day that is not over, or an id that is none.
    """
    newest = newest_day(now)
    if until is not None and until > newest:
        raise InvalidInput(
            f"{until} is not closed yet; the newest closed day is {newest}", field="until"
        )
    if endpoint_id is not None and not is_id(endpoint_id):
        raise InvalidInput(f"{endpoint_id!r} is not an id", field="endpoint_id")
    last = until or newest
    made, complete = 0, True
    for chains in _unfinished(database, last, endpoint_id, now):
        secrets = _secrets(database, keyring, chains, now)
        complete = complete and len(secrets) == len(chains)
        waiting = [chain for chain in chains if chain.endpoint_id in secrets]
        while waiting:
            day = min(chain.day for chain in waiting)
            made += _close(database, [each for each in waiting if each.day == day], secrets, now)
            for chain in waiting:
                chain.day += ONE_DAY if chain.day == day else timedelta()
            waiting = [chain for chain in waiting if chain.day <= chain.last]
    return made, complete


def entries(
    database: Database, endpoint_ids: Sequence[str], day: date
) -> Iterator[tuple[str, str, str]]:
    """Yield endpoint id, event id and body's SHA-256 of a day's deliveries, sorted by both ids.

    Read in short transactions; bodies are hashed as each endpoint's profile sends them, one that
    was removed before as nothing.
    """
    begin = datetime.combine(day, time(), UTC)
    key = (deliveries.c.endpoint_id, deliveries.c.event_id)
    query = (
        select(*key)
        .where(deliveries.c.endpoint_id.in_(endpoint_ids))
        .where(deliveries.c.created_at >= begin, deliveries.c.created_at < begin + ONE_DAY)
        .order_by(*key)
        .limit(KEYS_PER_READ)
    )
    with database.read() as connection:
        chosen = select(endpoints.c.id, endpoints.c.profile).where(endpoints.c.id.in_(endpoint_ids))
        profile_of = {row.id: row.profile for row in connection.execute(chosen)}
    page = query
    while True:
        with database.read() as connection:
            rows = connection.execute(page).all()
        wanted = [(row.event_id, profile_of[row.endpoint_id]) for row in rows]
        hashes = body_hashes(database, wanted)
        for row, event in zip(rows, wanted, strict=True):
            yield row.endpoint_id, row.event_id, hashes.get(event, _NOTHING)
        if len(rows) < KEYS_PER_READ:
            return
        page = query.where(tuple_(*key) > tuple_(*(literal(value, Id) for value in rows[-1])))


def _unfinished(
    database: Database, until: date, endpoint_id: str | None, now: datetime
) -> Iterator[list[_Chain]]:
    """Yield, some at a time, the endpoints that lack a manifest of ``until`` or earlier.

    A removed one has a manifest of the day of its removal, and none after that.
    """
    newest = (
        select(func.max(manifests.c.day))
        .where(manifests.c.endpoint_id == endpoints.c.id)
        .scalar_subquery()
    )
    end = datetime.combine(until + ONE_DAY, time(), UTC)
    deleted_at = endpoints.c.deleted_at
    query = (
        select(endpoints, newest.label("newest"))
        .where(endpoints.c.created_at < end)
        # Some time after an endpoint its secrets go, and with them what could sign.
        .where(or_(deleted_at.is_(None), deleted_at > now - endpoint_secrets.LAST_PROOF))
        .order_by(endpoints.c.id)
        .limit(ENDPOINTS_PER_STEP)
    )
    if endpoint_id is not None:
        query = query.where(endpoints.c.id == endpoint_id.lower())
    after = ""
    while True:
        page = query.where(endpoints.c.id > after) if after else query
        with database.read() as connection:
            rows = connection.execute(page).all()
        chains = [_chain(row, until) for row in rows]
        if behind := [chain for chain in chains if chain.day <= chain.last]:
            yield behind
        if len(rows) < ENDPOINTS_PER_STEP:
            return
        after = rows[-1].id


def _chain(row: Any, until: date) -> _Chain:
    first = row.created_at.date() if row.newest is None else row.newest + ONE_DAY
    last = until if row.deleted_at is None else min(until, row.deleted_at.date())
    return _Chain(row.id, row.tenant_id, row.profile, first, last)


def _secrets(
    database: Database, keyring: KeyRing, chains: Sequence[_Chain], now: datetime
) -> dict[str, Sequence[bytes]]:
    tenant_of = {chain.endpoint_id: chain.tenant_id for chain in chains}
    with database.read() as connection:
        found = endpoint_secrets.opened(connection, keyring, tenant_of, now)
    counted = {
        endpoint_id: [held.plain for held in kinds.get(Kind.SIGNING, []) if held.counts_at(now)]
        for endpoint_id, kinds in found.items()
    }
    return {endpoint_id: secrets for endpoint_id, secrets in counted.items() if secrets}


def _close(
    database: Database,
    chains: Sequence[_Chain],
    secrets: dict[str, Sequence[bytes]],
    now: datetime,
) -> int:
    """Insert the manifests of one day for endpoints that all lack it; return how many were new."""
    day, ids = chains[0].day, [chain.endpoint_id for chain in chains]
    summaries = {}
    for endpoint_id, found in groupby(entries(database, ids, day), key=lambda entry: entry[0]):
        summary = summaries[endpoint_id] = DaySummary()
        for _, event_id, body_sha256 in found:
            summary.add(event_id, body_sha256)
    before = manifests.c.endpoint_id.in_(ids) & (manifests.c.day == day - ONE_DAY)
    with database.write() as connection:
        # Read here, not carried on: had another scheduler made it, its line is the one that stands.
        bodies = select(manifests.c.endpoint_id, manifests.c.body).where(before)
        previous = {row.endpoint_id: body_digest(row.body) for row in connection.execute(bodies)}
        rows = [
            _row(
                chain,
                summaries.get(chain.endpoint_id, DaySummary()),
                previous.get(chain.endpoint_id, FIRST_DIGEST),
                secrets[chain.endpoint_id],
                now,
            )
            for chain in chains
        ]
        return len(insert_missing(connection, manifests, rows, ["endpoint_id", "day"]))


def _row(
    chain: _Chain, summary: DaySummary, previous: str, secrets: Sequence[bytes], now: datetime
) -> dict[str, Any]:
    body = render_body(
        endpoint_id=chain.endpoint_id,
        tenant_id=chain.tenant_id,
        profile=chain.profile,
        day=chain.day,
        summary=summary,
        previous=previous,
    )
    named = message_id(chain.endpoint_id, chain.day)
    return {
        "endpoint_id": chain.endpoint_id,
        "day": chain.day,
        "tenant_id": chain.tenant_id,
        "events_count": summary.count,
        "first_event_id": summary.first_event_id,
        "last_event_id": summary.last_event_id,
        "events_digest": summary.digest,
        "previous_digest": previous,
        "body": body,
        "signature": signature_header(secrets, named, int(now.timestamp()), body),
        "created_at": now,
    }
