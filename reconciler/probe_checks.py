"""Endpoints that could be called again, and receivers whose certificate ends: found by calling."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, tuple_, update

from dispatcher.examples import example_of
from dispatcher.probes import TEST, Caller, Probe, Probed, probe
from dispatcher.signer import open_signers
from dispatcher.states import EndpointState
from dispatcher.tables import endpoints
from engine.events import iso_seconds
from engine.upserts import insert_missing
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity, Tools
from reconciler.tables import endpoint_probes

#: Endpoints probed in one run: with 100 at once and 5 s each, over in 15 s.
PROBES_MAX = 300
#: Only what was disabled because it failed is tried: who was told to stop is not called.
TRIED = ("failing",)
#: So long after it was disabled an endpoint is tried.
TRIED_FOR = timedelta(days=30)
#: So long before its end a certificate is spoken of.
SPOKEN_OF = timedelta(days=14)
CERTIFICATE_EVERY = timedelta(days=1)
DISABLED_EVERY = timedelta(hours=6)
#: Where something was found people are at work, and want to see that it is gone.
FOUND_EVERY = timedelta(hours=1)
#: A claim that nobody finished is free again after this.
CLAIM = timedelta(minutes=10)


def _gather(tools: Tools, scope: Scope) -> int:
    """Probe what is due, no transaction open meanwhile, and write down what came back.

    Returns how many were probed: none in a dry run, and none as of another day.
    """
    if tools.caller is None or scope.dry_run or scope.as_of != scope.now:
        return 0
    with tools.database.write() as connection:
        rows = _claim(connection, scope.now)
    with tools.database.read() as connection:
        probes = _probes(connection, tools.caller, rows, scope.now)
    answers = probe(tools.caller, probes, scope.now)
    tested = {each.endpoint_id for each in probes if each.signer is not None}
    with tools.database.write() as connection:
        for each in answers:
            _note(connection, each, scope.now, tested=each.endpoint_id in tested)
    return len(answers)


def _claim(connection: Connection, now: datetime) -> list[Any]:
    """Take the endpoints that are due for a probe, those that wait longest first."""
    seen = endpoint_probes.c
    due = or_(seen.next_probe_at.is_(None), seen.next_probe_at <= now, _changed())
    chosen = connection.execute(
        select(endpoints, seen.next_probe_at)
        .outerjoin(endpoint_probes, seen.endpoint_id == endpoints.c.id)
        .where(due, or_(_certified(), _tried(now)))
        .order_by(seen.next_probe_at.is_not(None), seen.next_probe_at, endpoints.c.id)
        .limit(PROBES_MAX)
    ).all()
    rows = [{"endpoint_id": row.id, "next_probe_at": now} for row in chosen]
    insert_missing(connection, endpoint_probes, rows)
    # Another process may have taken it meanwhile: then it is no longer due when it was.
    known = [(row.id, row.next_probe_at or now) for row in chosen]
    taken = connection.execute(
        update(endpoint_probes)
        .where(tuple_(seen.endpoint_id, seen.next_probe_at).in_(known))
        .values(next_probe_at=now + CLAIM)
        .returning(seen.endpoint_id)
    )
    ids = set(taken.scalars())
    return [row for row in chosen if row.id in ids]


def _certified() -> ColumnElement[bool]:
    """Tell which endpoints are called, over TLS."""
    called = and_(endpoints.c.state == EndpointState.ACTIVE, endpoints.c.deleted_at.is_(None))
    return called & endpoints.c.url.startswith("https://")


def _tried(now: datetime) -> ColumnElement[bool]:
    """Tell which disabled endpoints are still worth a try."""
    disabled = and_(endpoints.c.state == EndpointState.DISABLED, endpoints.c.deleted_at.is_(None))
    lately = endpoints.c.updated_at > now - TRIED_FOR
    return and_(disabled, endpoints.c.state_reason.in_(TRIED), lately)


def _changed() -> ColumnElement[bool]:
    """Tell where a probe was of an endpoint as it no longer is."""
    return endpoint_probes.c.probed_at < endpoints.c.updated_at


def _probes(
    connection: Connection, caller: Caller, rows: Iterable[Any], now: datetime
) -> list[Probe]:
    disabled = {row.id: row for row in rows if row.state == EndpointState.DISABLED}
    signers = open_signers(connection, caller.keyring, disabled.values(), now)
    data = example_of(connection, TEST) if signers else {}
    found = []
    for row in rows:
        signer = signers.get(row.id)
        # What cannot be signed is not sent: its receiver could only refuse it.
        if row.id not in disabled or signer is not None:
            own = {**data, "endpoint_id": row.id}
            found.append(Probe(row.id, row.tenant_id, row.url, row.profile, signer, own))
    return found


def _note(connection: Connection, answer: Probed, now: datetime, *, tested: bool) -> None:
    """Write down one answer, and when to look again."""
    ends_at = answer.certificate_ends_at
    ends_soon = ends_at is not None and ends_at <= now + SPOKEN_OF
    found = ends_soon or (_accepted(answer.status_code) if tested else answer.error == "tls")
    pause = FOUND_EVERY if found else DISABLED_EVERY if tested else CERTIFICATE_EVERY
    connection.execute(
        update(endpoint_probes)
        .where(endpoint_probes.c.endpoint_id == answer.endpoint_id)
        .values(
            next_probe_at=now + pause,
            probed_at=now,
            status_code=answer.status_code,
            error=answer.error,
            certificate_ends_at=ends_at,
        )
    )


def _accepted(status_code: int | None) -> bool:
    return status_code is not None and 200 <= status_code < 300


def _find(connection: Connection, scope: Scope) -> Found:
    """Find what the latest probes say, where the endpoint is still what was probed."""
    seen = endpoint_probes.c
    answers = _tried(scope.now) & seen.status_code.between(200, 299)
    ends = or_(seen.certificate_ends_at <= scope.as_of + SPOKEN_OF, seen.error == "tls")
    rows = connection.execute(
        select(
            endpoints.c.id,
            endpoints.c.tenant_id,
            endpoints.c.state,
            seen.status_code,
            seen.certificate_ends_at,
        )
        .join_from(endpoint_probes, endpoints, endpoints.c.id == seen.endpoint_id)
        .where(~_changed(), or_(answers, _certified() & ends))
        .order_by(endpoints.c.id)
        .limit(SLICE_ROWS)
    ).all()
    findings = [
        _answers(row) if row.state == EndpointState.DISABLED else _ends(row) for row in rows
    ]
    return Found(scope.gathered or 0, findings)


def _answers(row: Any) -> Finding:
    return Finding(
        f"endpoint {row.id}, disabled",
        expected="disabled because nothing but failures comes back",
        actual={"a_test_is_answered": row.status_code},
        key=row.id,
        tenant_id=row.tenant_id,
        owner=row.tenant_id,
    )


def _ends(row: Any) -> Finding:
    ends_at = row.certificate_ends_at
    return Finding(
        f"endpoint {row.id}, receiver's certificate",
        expected=f"one that lasts {SPOKEN_OF.days} days",
        actual={"handshake": "refused"} if ends_at is None else {"ends": iso_seconds(ends_at)},
        key=row.id,
        tenant_id=row.tenant_id,
        owner=row.tenant_id,
        due_at=ends_at,
    )


ENDPOINTS_PROBED = Check(
    id="K23.probe",
    title="Disabled endpoints that answer, certificates that end soon",
    compares="a signed test with the answer of every endpoint disabled for failing, and the"
    " certificate of every receiver with two weeks from now",
    remedy="tillbell endpoints enable ID; the receiver renews its certificate",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=3600,
    find=_find,
    gather=_gather,
)
