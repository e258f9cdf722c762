"""Ask upstream platforms about orders: many at once, guarded, with no transaction open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dispatcher.drain import new_event_loop
from dispatcher.errors import CallbackFailed
from dispatcher.http_types import Request
from dispatcher.transport import CallbackTransport
from reconciler.upstream_reading import Kind

AT_ONCE_MAX = 10
#: As much of an answer as the transport reads.
ANSWER_BYTES_MAX = 64 * 1024

MakeTransport = Callable[[], CallbackTransport]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back for one order: a status with headers and body, or a failure's class."""

    linked: Mapping[str, Any]
    status_code: int | None = None
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    error: str | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """One upstream to be asked about some orders; ``token`` is opened for this once."""

    upstream: Mapping[str, Any]
    token: str | None
    orders: Sequence[Mapping[str, Any]]


def ask(make_transport: MakeTransport, asking: Asking) -> list[Answered]:
    """Return what an upstream answers about each of these orders; never raises for one of them."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_ask_all(make_transport, asking))


async def _ask_all(make_transport: MakeTransport, asking: Asking) -> list[Answered]:
    transport = make_transport()
    slots = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(linked: Mapping[str, Any]) -> Answered:
        async with slots:
            return await _ask_one(transport, asking, linked)

    try:
        return list(await asyncio.gather(*(one(linked) for linked in asking.orders)))
    finally:
        await transport.aclose()


async def _ask_one(
    transport: CallbackTransport, asking: Asking, linked: Mapping[str, Any]
) -> Answered:
    try:
        request = Request("GET", url_of(asking.upstream, linked), headers=_headers(asking, linked))
        response = await transport.handle_async_request(request)
    except CallbackFailed as failure:
        return Answered(linked, error=failure.kind)
    except ValueError:  # what httpx says of a header or URL that cannot be sent
        return Answered(linked, error="request")
    return Answered(
        linked,
        response.status_code,
        {name.lower(): value for name, value in response.headers.items()},
        response.content,
        truncated=bool(response.extensions.get("truncated")),
    )


def url_of(upstream: Mapping[str, Any], linked: Mapping[str, Any]) -> str:
    """Return where an upstream tells of an order; the reference cannot leave its place."""
    path = upstream["path"].replace("{reference}", quote(linked["reference"], safe=""))
    return f"{upstream['base_url']}{path}"


def _headers(asking: Asking, linked: Mapping[str, Any]) -> dict[str, str]:
    found = {"accept": "application/json", "user-agent": "Tillbell/0.1 (+order state)"}
    if asking.token is not None:
        # Document 000: "Token only! Please use without Bearer tag/prefix."
        bare = asking.upstream["kind"] == Kind.ORDER_DETAIL
        found["authorization"] = asking.token if bare else f"Bearer {asking.token}"
    if asking.upstream["x_tenant"] is not None:
        found["x-tenant"] = asking.upstream["x_tenant"]
    if linked["etag"] is not None:
        found["if-none-match"] = linked["etag"]
    if linked["last_modified"] is not None:
        found["if-modified-since"] = linked["last_modified"]
    return found
