"""The register of checks."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import InvalidInput
from reconciler import own_checks
from reconciler.book_checks import BOOKS_BALANCE, BOOKS_MIRROR, HOLDS_NEEDED, PAYMENTS_POSTED
from reconciler.callback_checks import EVENTS_RELAYED, MAILBOXES_AWAKE
from reconciler.check import Check
from reconciler.clearing_checks import ACCOUNTS_CLEAR
from reconciler.collection_checks import CASH_AGREES
from reconciler.courier_checks import COURIERS_AGREE
from reconciler.delivery_checks import DELIVERIES_DEAD, ENDPOINTS_CURRENT
from reconciler.draft_checks import DRAFTS_EXPIRED
from reconciler.due_checks import ZONE_RULES
from reconciler.endpoint_checks import CREDENTIALS_LAST
from reconciler.hold_checks import HOLDS_EXPIRED
from reconciler.idempotency_checks import KEYS_EFFECTIVE
from reconciler.milestone_checks import MILESTONES_DUE, MILESTONES_TOLD
from reconciler.order_checks import ORDERS_TOLD
from reconciler.price_checks import PRICES_CASCADED
from reconciler.probe_checks import ENDPOINTS_PROBED
from reconciler.purchase_checks import PURCHASES_EXPIRED
from reconciler.settlement_checks import ORDERS_SETTLED
from reconciler.stock_checks import STOCK_COUNTED
from reconciler.stuck_checks import ORDERS_ARRIVE, ORDERS_MOVE
from reconciler.upstream_checks import UPSTREAM_AHEAD, UPSTREAM_CONTRADICTS
from reconciler.wallet_checks import WALLETS_JUDGED

_ALL = (
    ACCOUNTS_CLEAR,
    BOOKS_BALANCE,
    BOOKS_MIRROR,
    CASH_AGREES,
    COURIERS_AGREE,
    CREDENTIALS_LAST,
    DELIVERIES_DEAD,
    DRAFTS_EXPIRED,
    ENDPOINTS_CURRENT,
    ENDPOINTS_PROBED,
    EVENTS_RELAYED,
    HOLDS_EXPIRED,
    HOLDS_NEEDED,
    KEYS_EFFECTIVE,
    MAILBOXES_AWAKE,
    MILESTONES_DUE,
    MILESTONES_TOLD,
    ORDERS_ARRIVE,
    ORDERS_MOVE,
    ORDERS_SETTLED,
    ORDERS_TOLD,
    PAYMENTS_POSTED,
    PRICES_CASCADED,
    PURCHASES_EXPIRED,
    STOCK_COUNTED,
    UPSTREAM_AHEAD,
    UPSTREAM_CONTRADICTS,
    WALLETS_JUDGED,
    ZONE_RULES,
)
#: Every check by its name, in the order of the names; who watches the others looks last.
CHECKS = {
    check.id: check for check in (*sorted(_ALL, key=lambda check: check.id), own_checks.make(_ALL))
}


def choose(names: Sequence[str] | None) -> list[Check]:
    """Return the named checks, or all; raises InvalidInput for an unknown one."""
    if names is None:
        return list(CHECKS.values())
    # A part has a name of its own, with a small ending: K10.zones.
    known = {name.upper(): name for name in CHECKS}
    for name in names:
        if name.upper() not in known:
            raise InvalidInput(
                f"no check {name!r}; there are {', '.join(CHECKS)}", field="check", value=name
            )
    return [CHECKS[known[name.upper()]] for name in names]
