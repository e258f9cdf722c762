"""What wallets refuse, on both databases: each by name, with every row of every table as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from config.errors import TillbellError
from engine import (
    payouts,
    wallet_holds,
    wallet_summary,
    wallet_transactions,
    wallets,
)
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from engine.wallet_transactions import Filters
from tests.chains import Chain, build_chain, dump, top_up
from tests.conftest import START

NOBODY = "01900000-0000-7000-8000-000000000000"
#: Amounts that are none; zero is refused apart, for a limit of zero is one.
NO_AMOUNTS: tuple[Any, ...] = (-1, 2**53, True, 1.5, "100", None)
NO_TEXTS: tuple[Any, ...] = ("", "   ", "x" * 501, "a\x00b", "\ud800", None, 7)


@dataclass
class World:
    """A retailer with 100.00, a payout of 10.00 and a hold of 5.00."""

    chain: Chain
    payout_id: str
    hold_id: str


def build(units: UnitsOfWork) -> World:
    """Make the world in which everything below is refused."""
    chain = build_chain(units)
    top_up(units, chain.r, 10_000)
    with units.begin(actor="test") as work:
        wallets.top_up(work, chain.r, 1, reference="UTR", idempotency_key="k")
        wallets.set_min_payout(work, chain.r, 500)
        payout = payouts.request(work, chain.r, 1000)["id"]
        hold = wallet_holds.hold(work, chain.r, 500, reason="deposit")["id"]
    return World(chain, payout, hold)


Attempt = Callable[[UnitOfWork, World], Any]
Calls = dict[str, Callable[..., Any]]


def _rearm(work: UnitOfWork, tenant_id: str, given: Any) -> Any:
    return wallets.set_threshold(work, tenant_id, 0, rearm_minor=given)


def _of_wallet(call: Callable[..., Any], given: Any) -> Attempt:
    return lambda work, world: call(work, world.chain.r, given)


def _amounts() -> dict[str, tuple[str, Attempt]]:
    """Return every call that takes an amount, with every amount that is none."""
    moves: Calls = {
        "top-up": wallets.top_up,
        "payout": payouts.request,
        "hold": partial(wallet_holds.hold, reason="r"),
    }
    limits: Calls = {"credit limit": wallets.set_credit_limit, "minimum": wallets.set_min_payout}
    levels: Calls = {"threshold": wallets.set_threshold, "re-arm level": _rearm}
    given = [(name, call, each) for name, call in (moves | limits).items() for each in NO_AMOUNTS]
    # No threshold, and no re-arm level, is a wish that is granted.
    given += [(name, call, each) for name, call in levels.items() for each in NO_AMOUNTS[:-1]]
    given += [(name, call, 0) for name, call in moves.items()]
    return {
        f"{name} of {each!r}": ("INVALID_AMOUNT", _of_wallet(call, each))
        for name, call, each in given
    }


def _of_world(name: str, call: Callable[..., Any], given: Any) -> Attempt:
    """Return a call with a text; what it is about comes first."""

    def attempt(work: UnitOfWork, world: World) -> Any:
        subjects = {"release": world.hold_id, "hold": world.chain.r, "request": world.chain.r}
        return call(work, subjects.get(name, world.payout_id), given)

    return attempt


def _hold(work: UnitOfWork, tenant_id: str, reason: Any) -> Any:
    return wallet_holds.hold(work, tenant_id, 1, reason=reason)


def _request(work: UnitOfWork, tenant_id: str, method: Any) -> Any:
    return payouts.request(work, tenant_id, 600, method=method)


def _texts() -> dict[str, tuple[str, Attempt]]:
    """Return every call that takes a text, with every text that is none."""
    calls: Calls = {
        "hold": _hold,
        "request": _request,
        "release": lambda work, subject, given: wallet_holds.release(work, subject, reason=given),
        "reject": lambda work, subject, given: payouts.reject(work, subject, reason=given),
        "cancel": lambda work, subject, given: payouts.cancel(work, subject, reason=given),
        "complete": lambda work, subject, given: payouts.complete(work, subject, reference=given),
    }
    table = {
        f"{name} {given!r:.12}": ("VALIDATION_ERROR", _of_world(name, call, given))
        for name, call in calls.items()
        for given in NO_TEXTS
    }
    for given in NO_TEXTS[:-2]:
        for field in ("reference", "idempotency_key"):
            call = partial(_top_up_with, field)
            table[f"{field} {given!r:.12}"] = ("VALIDATION_ERROR", _of_wallet(call, given))
    return table


def _top_up_with(field: str, work: UnitOfWork, tenant_id: str, given: Any) -> Any:
    return wallets.top_up(work, tenant_id, 1, **{field: given})


REFUSALS: dict[str, tuple[str, Attempt]] = {
    **_amounts(),
    **_texts(),
    "a rearm level at the threshold": (
        "VALIDATION_ERROR",
        lambda work, world: wallets.set_threshold(work, world.chain.r, 100, rearm_minor=100),
    ),
    "a rearm level without a threshold": (
        "VALIDATION_ERROR",
        lambda work, world: wallets.set_threshold(work, world.chain.r, None, rearm_minor=100),
    ),
    "an unknown watch": (
        "VALIDATION_ERROR",
        lambda work, world: wallets.set_threshold(work, world.chain.r, 1, watch="balance"),
    ),
    "a hold that has ended": (
        "VALIDATION_ERROR",
        lambda work, world: wallet_holds.hold(work, world.chain.r, 1, reason="r", expires_at=START),
    ),
    "a hold that ends in no zone": (
        "VALIDATION_ERROR",
        lambda work, world: wallet_holds.hold(
            work,
            world.chain.r,
            1,
            reason="r",
            expires_at=datetime(2030, 1, 1),  # noqa: DTZ001
        ),
    ),
    "a payout below the minimum": (
        "PAYOUT_TOO_SMALL",
        lambda work, world: payouts.request(work, world.chain.r, 499),
    ),
    "a payout beyond the balance": (
        "INSUFFICIENT_BALANCE",
        lambda work, world: payouts.request(work, world.chain.r, 8502),
    ),
    "a hold beyond what may be spent": (
        "INSUFFICIENT_BALANCE",
        lambda work, world: wallet_holds.hold(work, world.chain.r, 8502, reason="r"),
    ),
    "a payment of another amount": (
        "IDEMPOTENCY_KEY_REUSED",
        lambda work, world: wallets.top_up(work, world.chain.r, 2, reference="UTR"),
    ),
    "a key of another request": (
        "IDEMPOTENCY_KEY_REUSED",
        lambda work, world: payouts.request(work, world.chain.r, 600, idempotency_key="k"),
    ),
    "one's own credit limit": (
        "FORBIDDEN",
        lambda work, world: wallets.set_credit_limit(work, world.chain.r, 1, by=world.chain.r),
    ),
    "one's own minimum": (
        "FORBIDDEN",
        lambda work, world: wallets.set_min_payout(work, world.chain.r, 1, by=world.chain.r),
    ),
    "a limit set from below": (
        "NOT_FOUND",
        lambda work, world: wallets.set_credit_limit(work, world.chain.d, 1, by=world.chain.r),
    ),
    "one's own payout approved": (
        "FORBIDDEN",
        lambda work, world: payouts.approve(work, world.payout_id, by=world.chain.r),
    ),
    "a payout paid before it is approved": (
        "INVALID_STATUS",
        lambda work, world: payouts.complete(work, world.payout_id, reference="UTR"),
    ),
    **{
        f"{name} of nobody": ("NOT_FOUND", call)
        for name, call in {
            "top-up": lambda work, _: wallets.top_up(work, NOBODY, 1),
            "payout": lambda work, _: payouts.request(work, "x", 1),
            "hold": lambda work, _: wallet_holds.hold(work, NOBODY, 1, reason="r"),
            "release": lambda work, _: wallet_holds.release(work, NOBODY, reason="r"),
            "approval": lambda work, _: payouts.approve(work, NOBODY),
            "limit": lambda work, _: wallets.set_credit_limit(work, "", 1),
            "threshold": lambda work, _: wallets.set_threshold(work, NOBODY, 1),
        }.items()
    },
}


def test_every_refusal_has_its_name_and_changes_nothing(
    units: UnitsOfWork, database: Database
) -> None:
    """Over a hundred wrong calls, one after the other: each has its code, no row differs."""
    world = build(units)
    before = dump(database)
    for name, (code, attempt) in REFUSALS.items():
        with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
            attempt(work, world)
        assert code == refused.value.code, name
        assert before == dump(database), name


def _read(
    connection: Connection, tenant_id: str, filters: Filters | None = None, **given: Any
) -> Any:
    return wallet_transactions.listing(connection, tenant_id, filters, **given)


@pytest.mark.parametrize(
    ("field", "read"),
    [
        ("type", lambda c, t: _read(c, t, Filters(type="gift"))),
        ("reference_type", lambda c, t: _read(c, t, Filters(reference_type=""))),
        ("from_date", lambda c, t: _read(c, t, Filters(from_date=date.min))),
        ("to_date", lambda c, t: _read(c, t, Filters(to_date=date.max))),
        (
            "to_date",
            lambda c, t: _read(c, t, Filters(from_date=START.date(), to_date=date(2026, 3, 1))),
        ),
        ("limit", lambda c, t: _read(c, t, limit=0)),
        ("limit", lambda c, t: _read(c, t, limit=1001)),
        ("after", lambda c, t: _read(c, t, after="-1")),
        ("after", lambda c, t: _read(c, t, after="²")),
        ("after", lambda c, t: _read(c, t, after="9" * 19)),
        ("per_page", lambda c, t: wallet_transactions.page(c, t, per_page=0)),
        ("page", lambda c, t: wallet_transactions.page(c, t, number=0)),
        ("period", lambda c, t: wallet_summary.summary(c, t, "day", now=START)),
        ("status", lambda c, t: payouts.listing(c, tenant_id=t, status="gone")),
        ("limit", lambda c, t: payouts.listing(c, tenant_id=t, limit=True)),
        ("after", lambda c, t: payouts.listing(c, tenant_id=t, after="x")),
    ],
)
def test_a_wrong_question_names_its_field(
    units: UnitsOfWork, database: Database, field: str, read: Callable[[Connection, str], Any]
) -> None:
    """Filters, cursors, pages and periods that cannot be are refused by the field's name."""
    chain = build_chain(units)
    with database.read() as connection, pytest.raises(TillbellError) as refused:
        read(connection, chain.r)
    assert ("VALIDATION_ERROR", field) == (refused.value.code, refused.value.details["field"])


@pytest.mark.parametrize(
    "read",
    [
        wallets.show,
        wallet_transactions.listing,
        wallet_transactions.page,
        wallet_transactions.get,
        partial(wallet_summary.summary, now=START),
        wallet_holds.open_holds,
        wallet_holds.get,
        payouts.get,
        lambda connection, tenant_id: payouts.listing(connection, tenant_id=tenant_id),
    ],
)
def test_what_is_not_there_is_not_found(
    database: Database, read: Callable[[Connection, str], Any]
) -> None:
    """Every way to read a wallet says the same of one that is not there."""
    for name in (NOBODY, "x", ""):
        with database.read() as connection, pytest.raises(TillbellError) as refused:
            read(connection, name)
        assert "NOT_FOUND" == refused.value.code


def test_the_largest_amount_is_the_last(units: UnitsOfWork, database: Database) -> None:
    """A wallet at the largest exact amount takes no paisa more, and says so by name."""
    chain = build_chain(units)
    top_up(units, chain.r, 2**53 - 1)
    before = dump(database)
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        wallets.top_up(work, chain.r, 1)
    assert "INVALID_AMOUNT" == refused.value.code
    assert before == dump(database)
