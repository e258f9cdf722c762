"""What leads to each crash point: who passes it, and what there must be to do (F01).

A scene prepares, and returns the command that is armed; the commands of people are given again
after their process died, as people do, and must then end as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import update

from engine import orders, products
from engine.draft_tables import draft_orders
from tests.chains import Chain, accept_at_top, build_chain, place
from tests.drafting import make_draft
from tests.faults.stage import Stage
from tests.owing import owe, owe_again

PREPARED = 3


@dataclass(frozen=True)
class Load:
    """How much a scene has to do: one call, or many at a time."""

    endpoints: int = 1
    events: int = 1
    in_flight: int = 1

    @property
    def calls(self) -> int:
        """How many calls that makes at least."""
        return self.endpoints * self.events


@dataclass(frozen=True)
class Scene:
    """One way to a crash point.

    ``prepare`` returns the arguments of the process that is armed. ``repeated`` is how many calls
    its death makes again when one is made at a time; ``per_call`` whether each call passes.
    """

    point: str
    prepare: Callable[[Stage, Load], tuple[str, ...]]
    repeated: int = 0
    per_call: bool = False


def _worker(stage: Stage, load: Load) -> tuple[str, ...]:
    return _listening(stage, load)


def _failing(*statuses: int) -> Callable[[Stage, Load], tuple[str, ...]]:
    return lambda stage, load: _listening(stage, load, statuses)


def _listening(stage: Stage, load: Load, statuses: tuple[int, ...] = ()) -> tuple[str, ...]:
    for _ in range(load.endpoints):
        tenant_id, _ = stage.endpoint(
            statuses=statuses, permanent_statuses=[422], max_in_flight=load.in_flight
        )
        stage.publish(tenant_id, load.events)
    return ("worker",)


def _scheduler(stage: Stage, load: Load) -> tuple[str, ...]:
    _listening(stage, load)
    return ("scheduler",)


def _publishing(stage: Stage, load: Load) -> tuple[str, ...]:
    tenant_id, endpoint_id = stage.endpoint()
    what = ("--type", "webhook.test", "--dedupe-key", f"published for {endpoint_id}")
    return ("events", "publish", "--tenant", tenant_id, *what, "--count", str(load.events))


def _due(stage: Stage, load: Load) -> tuple[str, ...]:
    _, first = owe(stage.application.units)
    for tenant_id in (first["payer_id"], first["payee_id"]):
        stage.endpoint(tenant_id)
    past = first["due_date"] - timedelta(days=60)
    owe_again(stage.application.units, first, PREPARED * load.events, due_date=past)
    return ("reconcile", "run", "--check", "K10")


def _chain(stage: Stage) -> Chain:
    chain = build_chain(stage.application.units)
    for tenant_id in (chain.s, chain.d, chain.r):
        stage.endpoint(tenant_id)
    return chain


def _delivered(stage: Stage, _load: Load) -> tuple[str, ...]:
    order_id = place(stage.application.units, _chain(stage))
    with stage.application.units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T1", carrier="delhivery")
    return ("orders", "deliver", order_id)


def _drafts(stage: Stage, load: Load) -> tuple[str, ...]:
    units, chain = stage.application.units, _chain(stage)
    ids = [make_draft(units, chain) for _ in range(PREPARED * load.endpoints)]
    with stage.database.write() as connection:
        values = {"expires_at": stage.database.now() - timedelta(hours=1)}
        connection.execute(update(draft_orders).where(draft_orders.c.id.in_(ids)).values(values))
    return ("reconcile", "run", "--check", "K21")


def _product(stage: Stage, _load: Load) -> tuple[str, ...]:
    chain = _chain(stage)
    with stage.application.units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": 110})
    return ("scheduler",)


def _rotation(stage: Stage, load: Load) -> tuple[str, ...]:
    tenant_id, endpoint_id = stage.endpoint()
    stage.publish(tenant_id, load.events)
    return ("endpoints", "rotate-secret", endpoint_id)


def _disabling(stage: Stage, _load: Load) -> tuple[str, ...]:
    tenant_id, endpoint_id = stage.endpoint()
    stage.endpoint(tenant_id)
    return ("endpoints", "disable", endpoint_id)


SCENES = (
    Scene("C01", _publishing),
    Scene("C02", _publishing),
    Scene("C03", _worker),
    Scene("C04", _scheduler),
    Scene("C05", _worker),
    Scene("C06", _worker),
    Scene("C07", _worker),
    Scene("C08", _worker, per_call=True),
    Scene("C09", _worker),
    Scene("C10", _worker, per_call=True),
    Scene("C11", _worker, repeated=1, per_call=True),
    Scene("C12", _worker, repeated=1),
    Scene("C13", _worker),
    Scene("C14", _failing(500, 200), repeated=1, per_call=True),
    Scene("C15", _failing(422), repeated=1, per_call=True),
    Scene("C16", _due),
    Scene("C17", _due),
    Scene("C18", _due),
    Scene("C19", _delivered),
    Scene("C20", _drafts),
    Scene("C21", _product),
    Scene("C22", _rotation),
    Scene("C23", _due),
    Scene("C24", _disabling),
)
