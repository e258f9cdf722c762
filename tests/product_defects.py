"""What the tests of the checks on products share: a chain with open orders, and defects in it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Update

from engine.unit_of_work import UnitsOfWork
from reconciler.check import Check, Scope
from tests.chains import Chain, accept_at_top, build_chain, place, tell_products
from tests.reconciling import Reconciling

#: Random defects of each check.
PLANTS = 50


def build_open_chain(units: UnitsOfWork) -> Chain:
    """Create the chain of document 001 with two of ten pieces set aside for accepted orders."""
    chain = build_chain(units, stock=10)
    for number in ("one", "two"):
        order_id = place(units, chain, number=number)
        with units.begin(actor="test") as work:
            accept_at_top(work, order_id)
    tell_products(units)
    return chain


def plant(scene: Reconciling, defect: Update) -> None:
    """Change rows behind the engine's back."""
    with scene.database.write() as connection:
        assert connection.execute(defect).rowcount


def subjects(scene: Reconciling, check: Check, **scope: Any) -> list[str]:
    """Return what a check finds, without the product's id."""
    now = scene.clock.now()
    with scene.database.read() as connection:
        found = check.find(connection, Scope(as_of=now, now=now, **scope))
    return sorted(finding.subject.split(" ", 2)[2] for finding in found.findings)


def require_only_reported(scene: Reconciling, name: str, number: int) -> None:
    """Require that a check finds so many, changes nothing, and tells the owner of each once."""
    told = ("events", "outbox")
    before = {key: rows for key, rows in scene.content().items() if key not in told}
    assert {name: (number, 0)} == scene.found(name)
    once = scene.content()
    assert before == {key: rows for key, rows in once.items() if key not in told}
    assert {name: (number, 0)} == scene.found(name, full=False)
    assert once == scene.content()
    assert [(name, "open")] * number == scene.discrepancies()
