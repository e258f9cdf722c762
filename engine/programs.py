"""A merchant's reseller program: its switch and what resellers get by default (document 002)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import update as update_rows

from engine import tenants
from engine.errors import ProgramUnavailable
from engine.inputs import check_choice, check_flag, check_keys, check_share
from engine.money import parse_amount
from engine.program_tables import reseller_programs
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

AFFILIATE, STOCK, BOTH = "affiliate", "stock", "both"
MODES = (AFFILIATE, STOCK, BOTH)
FIELDS = (
    "is_enabled",
    "default_mode",
    "default_commission_percent",
    "default_wholesale_discount_percent",
    "min_payout_threshold",
)


def show(connection: Connection, tenant_id: str) -> dict[str, Any]:
    """Return a merchant's program; one never set is off, without commission or discount.

    Raises NotFound for an unknown tenant.
    """
    tenant = tenants.get(connection, tenant_id)
    query = select(reseller_programs).where(reseller_programs.c.tenant_id == tenant["id"])
    found = connection.execute(query).mappings().first()
    return dict(found) if found else _unset(tenant)


def update(work: UnitOfWork, tenant_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change the given fields of a merchant's program and return it.

    Sales and purchases made before keep what was agreed then. Raises NotFound, InvalidInput or
    InvalidAmount naming the field.
    """
    tenant = tenants.get(work.connection, tenant_id)
    columns = _columns(changes, tenant["currency"])
    born = {**_unset(tenant), "created_at": work.now, "updated_at": work.now}
    insert_missing(work.connection, reseller_programs, [born], ["tenant_id"])
    mine = reseller_programs.c.tenant_id == tenant["id"]
    changed = {"version": reseller_programs.c.version + 1, "updated_at": work.now, **columns}
    work.connection.execute(update_rows(reseller_programs).where(mine).values(changed))
    return show(work.connection, tenant["id"])


def require_enabled(connection: Connection, tenant_id: str) -> dict[str, Any]:
    """Return a merchant's program, or raise ProgramUnavailable while it is off."""
    program = show(connection, tenant_id)
    if not program["is_enabled"]:
        raise ProgramUnavailable(
            "the reseller program is off: 'tillbell programs update' switches it on",
            reason="program_disabled",
        )
    return program


def read_mode(value: object, *, field: str) -> str:
    """Return a mode; document 002 writes it in capitals. Raises InvalidInput."""
    return check_choice(value.lower() if isinstance(value, str) else value, MODES, field=field)


def _columns(changes: Mapping[str, Any], currency: str) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in check_keys(changes, FIELDS, field="program").items():
        match name:
            case "is_enabled":
                columns[name] = check_flag(value, field=name)
            case "default_mode":
                columns[name] = read_mode(value, field=name)
            case "min_payout_threshold":
                columns[f"{name}_minor"] = parse_amount(value, currency, field=name)
            case _:
                columns[name] = check_share(value, field=name)
    return columns


def _unset(tenant: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tenant_id": tenant["id"],
        "is_enabled": False,
        "default_mode": BOTH,
        "default_commission_percent": Decimal(0),
        "default_wholesale_discount_percent": Decimal(0),
        "currency": tenant["currency"],
        "min_payout_threshold_minor": 0,
        "version": 0,
        "created_at": None,
        "updated_at": None,
    }
