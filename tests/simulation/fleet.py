"""The receivers: how each answers when, by a script of the seed, and what each was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from dispatcher.egress import EgressPolicy, Target
from dispatcher.errors import CallbackFailed, SignatureRefused
from dispatcher.http_connection import Answer
from dispatcher.signing import decode_secret, verify
from dispatcher.transport import CallbackTransport
from tests.simulation.faults import Faults

POLICY = EgressPolicy.from_settings(["127.0.0.0/8"], allow_http=True)
#: A secret that is replaced signs this much longer: a lease taken before goes on to its end.
LEASE_SECONDS = 60


class Call(NamedTuple):
    """One call that reached a receiver whole; ``accepted`` if it was answered with 2xx."""

    at: datetime
    message_id: str
    body: bytes
    accepted: bool


@dataclass
class Receiver:
    """One endpoint's receiver; ``moods`` say from when on it answers how."""

    tenant_id: str
    url: str
    moods: list[tuple[datetime, str]] = field(default_factory=list)
    secrets: list[tuple[bytes, datetime | None]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    #: What it was sent and must refuse: not signed, or another's.
    refused: list[str] = field(default_factory=list)

    def mood(self, now: datetime) -> str:
        """Return how it answers now."""
        return next((mood for since, mood in reversed(self.moods) if since <= now), "well")

    def learn(self, secret: str) -> None:
        """Take a secret from now on, beside those it has."""
        self.secrets.append((decode_secret(secret), None))

    def forget_all_but(self, secret: str, at: datetime) -> None:
        """Take no other secret after an instant, and the little that a lease may lag behind."""
        ends_at, kept = at + timedelta(seconds=LEASE_SECONDS), decode_secret(secret)
        self.secrets = [
            (each, end if each == kept else end or ends_at) for each, end in self.secrets
        ]

    def take(self, head: bytes, body: bytes, now: datetime, *, accepted: bool) -> None:
        """Keep a call, and check it as a careful receiver does."""
        lines = head.decode("latin-1").split("\r\n")[1:]
        headers = dict(line.split(": ", 1) for line in lines if line)
        known = [each for each, end in self.secrets if end is None or now <= end]
        try:
            verify(known, headers, body, now)
        except SignatureRefused as refusal:
            self.refused.append(f"{headers.get('webhook-id')}: {refusal.message}")
        if orjson.loads(body)["tenant_id"] != self.tenant_id:
            self.refused.append(f"{headers.get('webhook-id')} is another tenant's")
        self.calls.append(Call(now, headers["webhook-id"], body, accepted))


class Fleet:
    """All receivers by their address, whatever endpoints call them."""

    def __init__(self, faults: Faults, now: Callable[[], datetime]) -> None:
        """Ask ``now`` for the time and ``faults`` for chance."""
        self.receivers: dict[str, Receiver] = {}
        self.now = now
        self.faults = faults

    def __getitem__(self, url: str) -> Receiver:
        """Return the receiver of a URL."""
        return self.receivers[url]

    def add(self, receiver: Receiver) -> None:
        """Let a receiver be reached under its URL."""
        self.receivers[receiver.url] = receiver

    async def receive(self, url: str, head: bytes, body: bytes, deadline_at: float) -> Answer:
        """Answer one call as its receiver's mood is; raises CallbackFailed."""
        receiver, loop = self.receivers[url], asyncio.get_running_loop()
        call = _Call(self, receiver, head, body, deadline_at - loop.time())
        mood = receiver.mood(self.now())
        if mood == "moody":
            mood = self.faults.chance.choice(("well", "slow", "broken", "resetting", "silent"))
        answer = await MOODS[mood](call)
        self.faults.crash_at("answer read")
        return answer


@dataclass
class _Call:
    fleet: Fleet
    receiver: Receiver
    head: bytes
    body: bytes
    patience_seconds: float

    async def wait(self, seconds: float) -> None:
        """Let the receiver take its time; a process may die meanwhile, and time out."""
        await asyncio.sleep(min(seconds, self.patience_seconds))
        self.fleet.faults.crash_at("call under way")
        if seconds >= self.patience_seconds:
            raise CallbackFailed("timeout", "no answer in time")

    def takes(self, *, accepted: bool) -> None:
        """Let the receiver have it."""
        self.receiver.take(self.head, self.body, self.fleet.now(), accepted=accepted)

    def answers(self, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
        """Return an answer."""
        return Answer(status, list(headers), b"", truncated=False, remote_ip="127.0.0.1")

    @property
    def chance(self) -> float:
        """A random number in [0, 1)."""
        return self.fleet.faults.chance.random()


async def _well(call: _Call) -> Answer:
    await call.wait(0.001 + 0.2 * call.chance)
    call.takes(accepted=True)
    return call.answers(200 if call.chance < 0.9 else 204)


async def _slow(call: _Call) -> Answer:
    call.takes(accepted=True)
    await call.wait(2 + 12 * call.chance)
    return call.answers(200)


async def _broken(call: _Call) -> Answer:
    await call.wait(0.05)
    call.takes(accepted=False)
    return call.answers(500)


async def _resetting(call: _Call) -> Answer:
    await call.wait(0.05)
    if call.chance < 0.5:
        call.takes(accepted=True)  # its answer is lost: it will have it twice
    raise CallbackFailed("reset", "connection reset")


async def _silent(call: _Call) -> Answer:
    if call.chance < 0.5:
        call.takes(accepted=True)
    await call.wait(1000)
    return call.answers(500)


async def _down(call: _Call) -> Answer:
    await call.wait(0.01)
    raise CallbackFailed("connect", "connection refused")


async def _gone(call: _Call) -> Answer:
    await call.wait(0.01)
    return call.answers(410)


async def _busy(call: _Call) -> Answer:
    await call.wait(0.01)
    seconds = int(10 ** (5 * call.chance))
    return call.answers(429, [(b"retry-after", b"%d" % seconds)])


MOODS: dict[str, Callable[[_Call], Awaitable[Answer]]] = {
    "well": _well,
    "slow": _slow,
    "broken": _broken,
    "resetting": _resetting,
    "silent": _silent,
    "down": _down,
    "gone": _gone,
    "busy": _busy,
}


class FleetTransport(CallbackTransport):
    """Reaches the fleet instead of the network; the vetting of URLs is the product's."""

    def __init__(self, fleet: Fleet) -> None:
        """Prepare calls to ``fleet``."""
        super().__init__(POLICY)
        self._fleet = fleet

    async def send(self, target: Target, head: bytes, body: bytes, deadline_at: float) -> Answer:
        """Hand the bytes to the receiver; the process may stand still before it reads on."""
        faults = self._fleet.faults
        url = f"{target.origin}{target.target.decode()}"
        try:
            return await self._fleet.receive(url, head, body, deadline_at)
        finally:
            if faults.strikes(faults.odds.stopped):
                faults.trace.add("stands still")
                await asyncio.sleep(20 + 100 * faults.chance.random())
