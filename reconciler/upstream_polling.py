"""Poll upstream platforms for the state of orders: within a budget, conditionally, and politely.

One look is three parts: claim (a transaction), ask (none), write down (a transaction an order).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, null, select, update

from config.log import get_logger
from dispatcher.outcome import parse_retry_after
from engine.database import Database
from engine.errors import SecretUnreadable
from engine.sealing import KeyRing
from engine.unit_of_work import UnitsOfWork
from engine.upstream_tables import upstream_orders, upstreams
from reconciler.upstream_applying import (
    ACTOR,
    BEHIND,
    OTHER_ORDER,
    SHRUNK,
    SOURCE,
    UNKNOWN,
    UNREADABLE,
    apply,
    note,
)
from reconciler.upstream_calls import Answered, Asking, MakeTransport, ask
from reconciler.upstream_reading import Kind, Reading, UnreadableAnswer, read_answer
from reconciler.upstream_steps import HOT_FOR, block
from reconciler.upstreams import ACTIVE, opened_token

log = get_logger("upstream")

#: Asked ten at a time, each within its deadline: all are over before the claim is.
ORDERS_PER_LOOK = 50
#: A claim that nobody finished is free again after this.
CLAIM = timedelta(minutes=2)
MINUTE = timedelta(minutes=1)
#: Of a minute's budget, what orders may have that have not moved lately.
COLD_SHARE = 0.4
#: An answer that lost more than half of what it was is not believed.
SHRINKS_TO = 0.5
REFUSED_WAIT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class UpstreamPoll:
    """Looks at what is due; any number of processes may, each order is claimed by one."""

    database: Database
    units: UnitsOfWork
    keyring: KeyRing
    make_transport: MakeTransport

    def run_once(self) -> int:
        """Ask about what is due of every upstream and return about how many orders it asked."""
        now = self.units.now()
        with self.database.read() as connection:
            rows = [dict(row) for row in connection.execute(_askable(now)).mappings()]
        return sum(self._look(row, now) for row in rows)

    def _look(self, upstream: Mapping[str, Any], now: datetime) -> int:
        with self.database.write() as connection:
            claimed = claim(connection, upstream, now)
        if not claimed:
            return 0
        try:
            token = opened_token(self.keyring, upstream)
        except SecretUnreadable as error:
            self._blame(upstream, now, error.code, until=now + REFUSED_WAIT)
            return 0
        for answered in ask(self.make_transport, Asking(upstream, token, claimed)):
            self._take(upstream, answered)
        return len(claimed)

    def _take(self, upstream: Mapping[str, Any], answered: Answered) -> None:
        """Do what one answer asks for; it counts for or against the upstream."""
        now, code = self.units.now(), answered.status_code
        if answered.error is not None or code is None or code >= 500 or code == 429:
            error = answered.error or f"http_{code}"
            self._blame(upstream, now, error, until=_retry_after(answered, now))
            return
        if code in {401, 403}:
            self._blame(upstream, now, f"http_{code}", until=now + REFUSED_WAIT)
            return
        if not self._read(upstream, answered, code):
            self._blame(upstream, now, UNREADABLE, until=None)
            return
        self._forgive(upstream)

    def _read(self, upstream: Mapping[str, Any], answered: Answered, code: int) -> bool:
        """Write down one answer; False when the upstream talks nonsense."""
        linked = answered.linked
        if code in {404, 410}:
            self._note(linked, problem=UNKNOWN, detail=f"the upstream answers {code}")
            return True
        if code == 304:
            self._note(linked, problem=linked["problem"], detail=linked["problem_detail"])
            return True
        try:
            reading = _reading(upstream, answered, code)
        except UnreadableAnswer as error:
            problem = error.details.get("problem", UNREADABLE)
            # One that shrank is believed when it comes again.
            size = {"answer_bytes": len(answered.body)} if problem == SHRUNK else {}
            self._note(linked, problem=problem, detail=error.message, **size)
            return False
        if apply(self.units, linked, reading) is None:
            # An old page of somebody's cache: whole again at the next look.
            self._note(linked, problem=BEHIND, detail="the answer is older than what was applied")
        self._remember(answered)
        return True

    def _note(self, linked: Mapping[str, Any], **told: Any) -> None:
        with self.units.begin(actor=ACTOR, source=SOURCE) as work:
            note(work, linked, **told)

    def _remember(self, answered: Answered) -> None:
        """Keep what makes the next request conditional, behind everything it led to."""
        headers = answered.headers or {}
        with self.database.write() as connection:
            connection.execute(
                _of(answered.linked).values(
                    etag=_unless_problem(headers.get("etag"), 200),
                    last_modified=_unless_problem(headers.get("last-modified"), 100),
                    answer_bytes=len(answered.body),
                )
            )

    def _blame(
        self, upstream: Mapping[str, Any], now: datetime, error: str, until: datetime | None
    ) -> None:
        """Count a failure; the circuit opens at the last one allowed, or where it is told to."""
        log.info("upstream.failed", upstream_id=upstream["id"], error=error)
        mine = upstreams.c.id == upstream["id"]
        with self.database.write() as connection:
            counted = connection.execute(
                update(upstreams)
                .where(mine)
                .values(
                    failures_in_row=upstreams.c.failures_in_row + 1,
                    last_error=error[:200],
                    updated_at=now,
                )
                .returning(upstreams.c.failures_in_row, upstreams.c.openings)
            ).one()
            blocked_until = until or block(counted.failures_in_row, counted.openings, now)
            if blocked_until is not None:
                opened = {"blocked_until": blocked_until, "failures_in_row": 0}
                opened |= {"openings": upstreams.c.openings + 1}
                connection.execute(update(upstreams).where(mine).values(opened))

    def _forgive(self, upstream: Mapping[str, Any]) -> None:
        well = {"failures_in_row": 0, "openings": 0, "blocked_until": None, "last_error": None}
        failed = (upstreams.c.failures_in_row > 0) | (upstreams.c.openings > 0)
        with self.database.write() as connection:
            connection.execute(
                update(upstreams).where(upstreams.c.id == upstream["id"], failed).values(well)
            )


def claim(
    connection: Connection, upstream: Mapping[str, Any], now: datetime
) -> list[Mapping[str, Any]]:
    """Take due orders of an upstream, those that move first, as far as its minute allows."""
    allowed = _budget(connection, upstream, now)
    due = upstream_orders.c.next_check_at <= now
    mine = upstream_orders.c.upstream_id == upstream["id"]
    hot = upstream_orders.c.changed_at > now - HOT_FOR
    chosen: list[str] = []
    for kind, share in ((hot, allowed), (~hot, int(upstream["requests_per_minute"] * COLD_SHARE))):
        rest = min(allowed - len(chosen), share)
        query = select(upstream_orders.c.reference).where(mine, due, kind)
        rows = connection.execute(
            query.order_by(upstream_orders.c.next_check_at).limit(max(0, rest))
        )
        chosen += rows.scalars()
    taken = connection.execute(
        update(upstream_orders)
        .where(mine, due, upstream_orders.c.reference.in_(chosen))
        .values(next_check_at=now + CLAIM)
        .returning(*upstream_orders.c)
    )
    claimed: list[Mapping[str, Any]] = [dict(row) for row in taken.mappings()]
    _spend(connection, upstream, len(claimed))
    return claimed


def _askable(now: datetime) -> Any:
    free = upstreams.c.blocked_until.is_(None) | (upstreams.c.blocked_until <= now)
    return select(upstreams).where(upstreams.c.state == ACTIVE, free).order_by(upstreams.c.id)


def _budget(connection: Connection, upstream: Mapping[str, Any], now: datetime) -> int:
    """Lock the upstream, begin a minute when one is over, and return what is left of it."""
    over = upstreams.c.minute_at.is_(None) | (upstreams.c.minute_at <= now - MINUTE)
    row = connection.execute(
        update(upstreams)
        .where(upstreams.c.id == upstream["id"])
        .values(
            minute_at=case((over, now), else_=upstreams.c.minute_at),
            minute_used=case((over, 0), else_=upstreams.c.minute_used),
        )
        .returning(upstreams.c.minute_used)
    ).one()
    # One probe while a circuit that was open is tried again.
    left: int = upstream["requests_per_minute"] - row.minute_used
    return max(0, min(left, 1 if upstream["openings"] else ORDERS_PER_LOOK))


def _spend(connection: Connection, upstream: Mapping[str, Any], count: int) -> None:
    connection.execute(
        update(upstreams)
        .where(upstreams.c.id == upstream["id"])
        .values(minute_used=upstreams.c.minute_used + count)
    )


def _reading(upstream: Mapping[str, Any], answered: Answered, code: int) -> Reading:
    """Read an answer that is to be believed; raises UnreadableAnswer with the ``problem``."""
    linked = answered.linked
    if code != 200 or answered.truncated:
        raise UnreadableAnswer(f"the upstream answers {code}, or too much", problem=UNREADABLE)
    before = linked["answer_bytes"]
    if before is not None and len(answered.body) < before * SHRINKS_TO:
        raise UnreadableAnswer(
            f"the answer shrank from {before} to {len(answered.body)} bytes", problem=SHRUNK
        )
    reading = read_answer(Kind(upstream["kind"]), answered.body)
    if reading.references and linked["reference"] not in reading.references:
        raise UnreadableAnswer("the answer is about another order", problem=OTHER_ORDER)
    return reading


def _unless_problem(value: str | None, length_max: int) -> Any:
    """Keep a validator only where all is well: what must be tried again is asked for whole."""
    usable = value is not None and value.isascii() and value.isprintable()
    kept = value if usable and value is not None and len(value) <= length_max else None
    return case((upstream_orders.c.problem.is_(None), kept), else_=null())


def _retry_after(answered: Answered, now: datetime) -> datetime | None:
    named = (answered.headers or {}).get("retry-after")
    return None if named is None else parse_retry_after(named.encode("latin-1", "replace"), now)


def _of(linked: Mapping[str, Any]) -> Any:
    return update(upstream_orders).where(
        upstream_orders.c.upstream_id == linked["upstream_id"],
        upstream_orders.c.reference == linked["reference"],
    )
