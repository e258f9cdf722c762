"""Draft orders of the chain's retailer, and time moved for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.errors import TillbellError
from engine import drafts, end_customers
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, dump

ITEM = {"sku": "PROD-001", "quantity": 1, "unit_price": 155}
ADDRESS = {"line1": "1 Road", "city": "Pune"}


def make_draft(units: UnitsOfWork, chain: Chain, *items: Any, **given: Any) -> str:
    """Make a draft of R's own account, with a piece at 155.00 unless told, and return its id."""
    asked = {
        "account_id": chain.r,
        "shipping_address": ADDRESS,
        "payment": {"method": "cod"},
        "items": list(items or (ITEM,)),
        **given,
    }
    with units.begin(actor="test") as work:
        return str(drafts.create(work, chain.r, asked)["id"])


def make_customer(units: UnitsOfWork, tenant_id: str, name: str = "Asha Rao") -> str:
    """Add an end customer and return its id."""
    given = {"name": name, "customer": {"phone": "+91 1"}, "shipping_address": ADDRESS}
    with units.begin(actor="test") as work:
        return str(end_customers.create(work, tenant_id, given)["id"])


def do(units: UnitsOfWork, call: Callable[[UnitOfWork], Any]) -> Any:
    """Run one call in a transaction of its own."""
    with units.begin(actor="test") as work:
        return call(work)


def refused(
    units: UnitsOfWork,
    database: Database,
    kind: type[TillbellError],
    call: Callable[[UnitOfWork], Any],
) -> TillbellError:
    """Require a refusal that leaves every row of every table as it was, and return it."""
    before = dump(database)
    with pytest.raises(kind) as refusal:
        do(units, call)
    assert before == dump(database)
    return refusal.value
