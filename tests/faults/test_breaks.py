"""Line breaks, NUL and other control characters in whatever an owner gives (F39)."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook

from config.clock import FixedClock
from dispatcher.signing import new_secret
from engine.database import Database
from engine.errors import InvalidInput
from engine.events import EventDraft
from engine.tables import events
from tests.dispatching import Dispatching, dispatching
from tests.faults.plugin import Reached
from tests.receivers import receiving

BREAKS = ("\r\n", "\n", "\r", "\0", "\r\nx-forged: 1", "\x0b", "\x1b[2J", "\x7f", "\u2028", "\x85")


def refused(dispatch: Dispatching, tenant_id: str, given: dict[str, Any]) -> None:
    """Require that no endpoint can be made with this."""
    with pytest.raises(InvalidInput):
        dispatch.endpoint(tenant_id, given.pop("url", "http://127.0.0.1:9/hook"), **given)


@pytest.mark.fault("F39")
def test_a_break_is_refused_at_input_or_goes_out_as_signed(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Headers, URLs and secrets with a break are refused; event data arrives byte for byte."""
    with dispatching(database, clock) as dispatch, receiving() as receiver:
        tenant_id = dispatch.tenant()
        for text in BREAKS:
            for given in (
                {"headers": {"x-own": f"a{text}b"}},
                {"headers": {f"x-{text}own": "a"}},
                {"url": f"http://127.0.0.1:9/a{text}b"},
                {"secret": new_secret() + text},
                {"apikey": f"long-enough{text}key", "profile": "flat"},
            ):
                refused(dispatch, tenant_id, given)
        secret = dispatch.endpoint(tenant_id, receiver.url)["secret"]
        with dispatch.units.begin(actor="test") as work:
            for text in BREAKS:
                data = {"text": text, f"key{text}": 1}
                work.raise_event(EventDraft(tenant_id=tenant_id, type="webhook.test", data=data))
        assert len(BREAKS) == dispatch.run_once()
    with database.read() as connection:
        stored = set(connection.execute(select(events.c.body)).scalars())
    assert stored == {each.body for each in receiver.callbacks}
    with time_machine.travel(clock.now(), tick=False):
        verify = Webhook(secret).verify
        heard = [verify(each.body, dict(each.headers)) for each in receiver.callbacks]
    assert sorted(BREAKS) == sorted(each["data"]["text"] for each in heard)
    assert not any("forged" in name for each in receiver.callbacks for name in each.headers)
    reached.says(
        "F39",
        f"{len(BREAKS)} breaks: refused in header value, header name, URL, secret and API key;"
        f" sent as signed in event data ({database.engine.dialect.name})",
    )
