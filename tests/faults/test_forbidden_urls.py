"""Every address and spelling that leads inside: refused when given, edited and sent (F38)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import select, update

from config.clock import FixedClock
from dispatcher import endpoints
from dispatcher.egress import EgressPolicy
from dispatcher.errors import EndpointUrlRefused
from dispatcher.tables import attempts
from dispatcher.tables import endpoints as endpoints_table
from engine.database import Database
from tests.dispatching import dispatching
from tests.faults.measured import sockets_opened
from tests.faults.plugin import Reached
from tests.unit.dispatcher.test_addresses import REFUSED as ADDRESSES
from tests.unit.dispatcher.test_egress import REFUSED as SPELLINGS

CLOSED = EgressPolicy()
GOOD = "https://example.com/hook"


def as_url(text: str) -> str:
    """Return the URL of an address."""
    return f"https://[{text}]/" if ip_address(text).version == 6 else f"https://{text}/"


URLS = [
    *dict.fromkeys([*map(as_url, ADDRESSES), *(url for urls in SPELLINGS.values() for url in urls)])
]
#: PostgreSQL cannot store it, so no row can hold it.
STORABLE = [url for url in URLS if "\0" not in url]


@pytest.mark.fault("F38")
def test_a_url_that_leads_inside_is_refused_at_creation_edit_and_send(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Refused twice by name of the reason; in the table it is not called."""
    with dispatching(database, clock, egress=CLOSED) as dispatch, sockets_opened() as sockets:
        tenant_id = dispatch.tenant()
        for url in URLS:
            with pytest.raises(EndpointUrlRefused):
                dispatch.endpoint(tenant_id, url)
        good = [dispatch.endpoint(tenant_id, GOOD)["id"] for _ in STORABLE]
        for url in URLS:
            refuse_edit(dispatch, good[0], url)
        with database.write() as connection:
            for endpoint_id, url in zip(good, STORABLE, strict=True):
                row = endpoints_table.c.id == endpoint_id
                connection.execute(update(endpoints_table).where(row).values(url=url))
        dispatch.publish(tenant_id)
        assert len(STORABLE) == dispatch.run_once()
    with database.read() as connection:
        ended = connection.execute(select(attempts.c.error)).scalars().all()
    assert ["blocked_address"] * len(STORABLE) == ended
    assert set() == {each for each in sockets if each[1] != 5432}
    reached.says(
        "F38",
        f"{len(URLS)} URLs refused at creation and edit, {len(STORABLE)} planted ones at the send,"
        f" sockets 0 ({database.engine.dialect.name})",
    )


def refuse_edit(dispatch: Any, endpoint_id: str, url: str) -> None:
    """Require that an endpoint cannot be moved to ``url``."""
    with pytest.raises(EndpointUrlRefused), dispatch.units.begin(actor="test") as work:
        endpoints.change(work, dispatch.guard, endpoint_id, url=url)
