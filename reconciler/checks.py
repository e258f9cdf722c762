"""The register of checks."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import InvalidInput
from reconciler.callback_checks import EVENTS_RELAYED, MAILBOXES_AWAKE
from reconciler.check import Check
from reconciler.money_checks import BOOKS_BALANCE, MILESTONES_DUE, WALLETS_JUDGED
from reconciler.order_checks import ORDERS_TOLD

CHECKS = {
    check.id: check
    for check in (
        ORDERS_TOLD,
        EVENTS_RELAYED,
        MAILBOXES_AWAKE,
        MILESTONES_DUE,
        WALLETS_JUDGED,
        BOOKS_BALANCE,
    )
}


def choose(names: Sequence[str] | None) -> list[Check]:
    """Return the named checks, or all; raises InvalidInput for an unknown one."""
    if names is None:
        return list(CHECKS.values())
    for name in names:
        if name not in CHECKS:
            raise InvalidInput(
                f"no check {name!r}; there are {', '.join(CHECKS)}", field="check", value=name
            )
    return [CHECKS[name] for name in names]
