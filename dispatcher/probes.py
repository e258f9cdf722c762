"""Probes: what an endpoint would answer, and until when its certificate lasts.

Nothing of a probe is a delivery: no event is raised and no attempt is written. It takes the way of
every callback: vetted, pinned, within a deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.errors import TillbellError
from dispatcher.drain import new_event_loop
from dispatcher.egress import Target
from dispatcher.errors import CallbackFailed
from dispatcher.profiles import render
from dispatcher.signer import Signer
from dispatcher.transport import CallbackTransport, request_head
from engine.events import EventDraft, render_body
from engine.sealing import KeyRing

TEST = "webhook.test"
AT_ONCE_MAX = 100
DEADLINE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Caller:
    """What a probe is made with."""

    keyring: KeyRing
    make_transport: Callable[[], CallbackTransport]


@dataclass(frozen=True, slots=True)
class Probe:
    """One endpoint to look at: with a signer it is sent a test, else only a TLS handshake is made.

    ``data`` is the test's.
    """

    endpoint_id: str
    tenant_id: str
    url: str
    profile: str
    signer: Signer | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Probed:
    """What came back: the status of a test, the end of a certificate, or a failure's class."""

    endpoint_id: str
    status_code: int | None = None
    error: str | None = None
    certificate_ends_at: datetime | None = None


def probe(caller: Caller, probes: Sequence[Probe], now: datetime) -> list[Probed]:
    """Make every probe, many at once, each within 5 s; never raises for one of them.

    Endpoints of one origin share a handshake.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_probe_all(caller.make_transport(), probes, now))


async def _probe_all(
    transport: CallbackTransport, probes: Sequence[Probe], now: datetime
) -> list[Probed]:
    slots = asyncio.Semaphore(AT_ONCE_MAX)
    handshakes: dict[str, asyncio.Task[datetime | None]] = {}

    async def shake(target: Target) -> datetime | None:
        async with slots:
            return await transport.certificate_ends_at(target, _deadline())

    async def one(each: Probe) -> Probed:
        try:
            target = transport.target_of(each.url)
            if each.signer is not None:
                async with slots:
                    return await _test(transport, target, each, each.signer, now)
            if target.origin not in handshakes:
                handshakes[target.origin] = asyncio.ensure_future(shake(target))
            ends_at = await handshakes[target.origin]
        except CallbackFailed as failure:
            return Probed(each.endpoint_id, error=failure.kind)
        except TillbellError as refused:  # a URL that may not be called, a test too large to send
            return Probed(each.endpoint_id, error=refused.code)
        return Probed(each.endpoint_id, certificate_ends_at=ends_at)

    try:
        return list(await asyncio.gather(*(one(each) for each in probes)))
    finally:
        await transport.aclose()


async def _test(
    transport: CallbackTransport, target: Target, each: Probe, signer: Signer, now: datetime
) -> Probed:
    """Send a signed test event that is never written down."""
    draft = EventDraft(tenant_id=each.tenant_id, type=TEST, data=each.data or {})
    body = render(each.profile, render_body(draft, now))
    headers = signer.headers(message_id=draft.id, event=TEST, body=body, now=now)
    head = request_head(target, headers, len(body))
    answer = await transport.send(target, head, body, _deadline())
    return Probed(each.endpoint_id, status_code=answer.status_code)


def _deadline() -> float:
    return asyncio.get_running_loop().time() + DEADLINE_SECONDS
