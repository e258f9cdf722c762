"""A chain whose top buys from an upstream platform: one order linked to it, and what polls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dispatcher.endpoints import EndpointGuard
from dispatcher.transport import CallbackTransport
from engine.order_rows import get as order_row
from engine.sealing import KeyRing
from engine.unit_of_work import UnitsOfWork
from reconciler import upstreams
from reconciler.upstream_calls import ANSWER_BYTES_MAX
from reconciler.upstream_polling import UpstreamPoll
from tests.chains import Chain, build_chain, place
from tests.dispatching import POLICY
from tests.platforms import Asked, Platform, platform

KEYRING = KeyRing([b"k" * 32])
GUARD = EndpointGuard(POLICY, KEYRING)
TOKEN = "canary-token"  # a test's


class Scene:
    """A chain whose top buys from a platform, one order linked, and what polls."""

    def __init__(
        self, units: UnitsOfWork, served: Platform, *, kind: str = "chain_order", **options: Any
    ) -> None:
        self.units, self.served = units, served
        self.chain: Chain = build_chain(units)
        item = {"sku": "PROD-001", "quantity": 1, "unit_price": 155.00, "deliver_id": "D-1"}
        self.order_id = place(units, self.chain, items=[item])
        with units.begin(actor="test") as work:
            self.upstream_id = upstreams.create(
                work,
                GUARD,
                tenant_id=self.chain.s,
                name="Above",
                kind=kind,
                base_url=f"{served.url}/api/v1",
                token=TOKEN,
                **options,
            )["id"]
            upstreams.link(work, self.upstream_id, self.order_id, "u-1")
        self.poll = UpstreamPoll(
            units.database,
            units,
            KEYRING,
            lambda: CallbackTransport(POLICY, deadline_seconds=2, kept_bytes_max=ANSWER_BYTES_MAX),
        )

    @property
    def status(self) -> str:
        """Our order's state."""
        with self.units.database.read() as connection:
            return str(order_row(connection, self.order_id)["chain_status"])

    @property
    def seen(self) -> Mapping[str, Any]:
        """What is known of the order upstream."""
        with self.units.database.read() as connection:
            return upstreams.order_of(connection, self.order_id)

    def platform_row(self) -> Mapping[str, Any]:
        """Return the upstream as it stands."""
        with self.units.database.read() as connection:
            return upstreams.get(connection, self.upstream_id)


@contextmanager
def scene(
    units: UnitsOfWork,
    answer: Callable[[Asked], tuple[int, Mapping[str, str], bytes]],
    **options: Any,
) -> Iterator[Scene]:
    """Serve a platform and link an order to it."""
    with platform(answer) as served:
        yield Scene(units, served, **options)


def chain_order(status: str, **changes: Any) -> dict[str, Any]:
    """Return document 001's answer about the linked order."""
    shipping = {"carrier": "delhivery", "tracking_number": "DEL1"}
    return {"order": {"id": "u-1", "chain_status": status, "shipping": shipping, **changes}}
