"""What an endpoint's calls would bear if they were made now, for tests of its secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dispatcher import endpoints
from dispatcher.due import endpoint_rows
from dispatcher.signer import Signer, open_signers
from tests.dispatching import Dispatching

BODY = b'{"event":"webhook.test"}'


def act(dispatch: Dispatching, action: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Do one thing in a transaction of its own."""
    with dispatch.units.begin(actor="test") as work:
        return action(work, dispatch.guard, *given, **named)


def rotate(dispatch: Dispatching, endpoint: dict[str, Any], **options: Any) -> str:
    """Rotate the signing secret and return the new one."""
    return str(act(dispatch, endpoints.rotate, endpoint["id"], **options)["secret"])


def signer(dispatch: Dispatching, endpoint: dict[str, Any]) -> Signer | None:
    """Return what a lease taken now would sign with."""
    with dispatch.database.read() as connection:
        rows = endpoint_rows(connection, [endpoint["id"]])
        return open_signers(
            connection, dispatch.guard.keyring, rows.values(), dispatch.clock.now()
        ).get(endpoint["id"])


def headers(dispatch: Dispatching, held: Signer) -> dict[str, str]:
    """Return the headers of an attempt made now."""
    made = held.headers(message_id="m1", event="webhook.test", body=BODY, now=dispatch.clock.now())
    return {name.decode(): value.decode() for name, value in made}
