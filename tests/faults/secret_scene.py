"""An installation with a canary in every secret field, on servers with passwords."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from sqlalchemy import make_url

from dispatcher import endpoints
from dispatcher.endpoints import EndpointGuard
from engine import api_tokens, orders, stock_items, tenants
from engine.database import Database
from engine.events import EventDraft
from engine.unit_of_work import UnitOfWork
from reconciler import upstreams
from tests.chains import accept_at_top, build_chain, place, top_up
from tests.faults.canaries import (
    SEALING_KEY,
)
from tests.installations import installed
from tests.own_redis import redis_at
from tests.processes import free_port
from tests.reselling import build_shop, fulfil
from tests.server_kinds import new_database
from worker.bootstrap import Application
from worker.schema import upgrade

OLD_SECRET, NEW_SECRET = b"canary-old-signing-secret-32-byt", b"canary-new-signing-secret-32-byt"
CANARIES = {
    "signing secret before": OLD_SECRET.decode(),
    "signing secret": NEW_SECRET.decode(),
    "custom header": "canary-of-a-custom-header",
    "API key": "canary-of-an-api-key",
    "URL of a callback": "canary-in-a-callback-url",
    "upstream token": "canary-of-an-upstream-token",
    "upstream callback secret": "canary-of-upstream-callbacks",
    "database password": "canary-of-the-database",
    "Redis password": "canary-of-redis",
    "delivery_data": "canary-code-4711-0815",
    "delivery note": "canary-of-a-delivery-note",
    "serial": "canary-serial-4711",
    "private text": "canary@customer.example",
    "deadman URL": "canary-of-the-deadman",
    "token that is wrong": "canary-of-a-forged-token",
    "query of a request": "canary-in-a-query",
    "sealing key": SEALING_KEY,
}
#: What owners and operators ask to see is shown on purpose: the URLs of endpoints.
SHOWN_BY_COMMANDS = {"URL of a callback"}
#: What is stored as it is: what is sent on, and what was never given to us to keep.
STORED_PLAIN = {"URL of a callback", "delivery_data", "delivery note"}


@dataclass
class Scene:
    """An installation on servers with passwords, canaries in all its fields."""

    application: Application
    environment: dict[str, str]
    redis_url: str
    token: str = ""
    tenant_id: str = ""
    upstream_id: str = ""


@contextmanager
def secret_scene(postgresql_url: str, folder: Path) -> Iterator[Scene]:
    """Return the installation; PostgreSQL and Redis are called with passwords that are canaries."""
    with redis_at(free_port()) as plain, new_database(postgresql_url) as url, ExitStack() as stack:
        with closing(Redis.from_url(plain)) as redis:
            redis.config_set("requirepass", CANARIES["Redis password"])
        secretly = plain.replace("redis://", f"redis://default:{CANARIES['Redis password']}@")
        opened = make_url(url)
        opened = opened.set(password=opened.password or CANARIES["database password"])
        database = Database(opened.render_as_string(hide_password=False))
        stack.callback(database.dispose)
        upgrade(database)
        application = stack.enter_context(
            installed(
                database,
                secretly,
                data_dir=folder,
                log_format="json",
                log_level="debug",
                metrics_port=0,
                deadman_url=f"http://127.0.0.1:9/{CANARIES['deadman URL']}",
                retry_schedule=[0, 1, 1],
            )
        )
        environment = {**application.settings.as_environment(), "TILLBELL_API_PORT": "0"}
        yield Scene(application, environment, secretly)
        with closing(Redis.from_url(secretly)) as redis:
            redis.config_set("requirepass", "")


def filled(scene: Scene, url: str) -> None:
    """Put a canary into every field that takes one."""
    units, guard = scene.application.units, scene.application.guard
    chain, shop = build_chain(units), build_shop(units)
    with units.begin(actor="test") as work:
        scene.tenant_id = tenants.create(work, name="Reseller")["id"]
        scene.token = api_tokens.issue(work, tenant_id=scene.tenant_id)["token"]
        for tenant_id in (scene.tenant_id, chain.r, shop.merchant, shop.reseller):
            hear(work, guard, tenant_id, url)
        scene.upstream_id = upstreams.create(
            work,
            guard,
            tenant_id=chain.s,
            name="Above",
            kind="chain_order",
            base_url="http://127.0.0.1:9",
            token=CANARIES["upstream token"],
            callback_signature="shoppex",
            callback_secret=CANARIES["upstream callback secret"],
        )["id"]
        stock_items.add(work, guard.keyring, shop.product_id, [CANARIES["serial"]])
        data = {"delivery_data": [CANARIES["delivery_data"]]}
        work.raise_event(EventDraft(tenant_id=scene.tenant_id, type="webhook.test", data=data))
    item = {"sku": "PROD-001", "quantity": 1, "unit_price": 155.00, "deliver_id": "D-1"}
    order_id = place(units, chain, items=[item])
    told = {
        "deliver_id": "D-1",
        "delivery_data": [CANARIES["delivery_data"]],
        "delivery_note": CANARIES["delivery note"],
    }
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T1", carrier="C")
        orders.deliver(work, order_id, deliveries=[told])
    top_up(units, shop.reseller, 100_000)
    fulfil(units, shop, customer_email=CANARIES["private text"])


def hear(work: UnitOfWork, guard: EndpointGuard, tenant_id: str, url: str) -> None:
    """Subscribe a tenant twice: signed with rotated secrets and own headers, and by API key."""
    old, new = (f"whsec_{base64.b64encode(each).decode()}" for each in (OLD_SECRET, NEW_SECRET))
    made = endpoints.create(
        work,
        guard,
        tenant_id=tenant_id,
        url=f"{url}?key={CANARIES['URL of a callback']}",
        secret=old,
        headers={"X-Token": CANARIES["custom header"]},
    )
    endpoints.rotate(work, guard, made["id"], secret=new)
    key = CANARIES["API key"]
    endpoints.create(work, guard, tenant_id=tenant_id, url=url, profile="flat", apikey=key)
