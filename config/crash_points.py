"""The 24 places at which a crash is tried: named no-ops, unless a development setting arms one.

``TILLBELL_CRASH_AT=C07:3`` beside ``TILLBELL_ALLOW_CRASHES=true`` lets a process kill itself when
it passes C07 for the third time; ``install`` gives every passage to a function of a simulation.

====  ==================================  ==========================================================
id    where the list of faults wants it   where it is here, and what stands for what is not here
====  ==================================  ==========================================================
C01   before commit of a business change  unit of work, its events inserted
C02   after commit                        unit of work, its hint not given
C03   relay after claim                   deliveries inserted, no mailbox fed: one statement claims
C04   after the Redis push                hint enqueued; the push comes behind the commit here
C05   before the relay's commit           mailboxes fed
C06   worker after dequeue                message in hand, nothing asked of the database
C07   lease taken                         lease committed, no delivery read
C08   attempt row written                 no row is written before a call: the signed call in hand
C09   connected                           a new connection is made, nothing sent
C10   half the body sent                  half of the call's bytes, head included
C11   all sent, no answer                 behind the last byte
C12   answer read, before commit          attempts and deliveries written, not committed
C13   after commit, before the ack        lease or fan-out committed, message not acknowledged
C14   while scheduling the retry          in the transaction of C12 that holds a retry
C15   while marking dead                  the same for what failed; and in that which parks poison
C16   scheduler after select              a check's or the sweep's rows read, nothing done with them
C17   milestone and outbox before commit  outcomes written; their events go in as the unit ends
C18   after it                            heals of a check committed, K10's milestones among them
C19   settlement mid-transaction          posted, neither collection nor remittances recorded
C20   expiry sweep mid-batch              drafts expired, no owner told
C21   fan-out mid-chunk                   a product's tenants told, its cursor not moved
C22   secret rotated, not reloaded        nothing reloads: each lease reads; written, not committed
C23   reconciler mid-heal                 healed, not noted
C24   endpoint disable                    endpoint disabled, no notice raised
====  ==================================  ==========================================================
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Lock
from typing import Final, Protocol

C01_BEFORE_COMMIT: Final = "C01"
C02_COMMITTED: Final = "C02"
C03_CLAIMED: Final = "C03"
C04_PUSHED: Final = "C04"
C05_FED: Final = "C05"
C06_DEQUEUED: Final = "C06"
C07_LEASED: Final = "C07"
C08_SIGNED: Final = "C08"
C09_CONNECTED: Final = "C09"
C10_HALF_SENT: Final = "C10"
C11_SENT: Final = "C11"
C12_ANSWERED: Final = "C12"
C13_UNACKNOWLEDGED: Final = "C13"
C14_RETRY_WRITTEN: Final = "C14"
C15_MARKED_DEAD: Final = "C15"
C16_SELECTED: Final = "C16"
C17_MILESTONE_WRITTEN: Final = "C17"
C18_HEALS_COMMITTED: Final = "C18"
C19_SETTLEMENT_POSTED: Final = "C19"
C20_DRAFTS_EXPIRED: Final = "C20"
C21_TENANTS_TOLD: Final = "C21"
C22_ROTATED: Final = "C22"
C23_HEALED: Final = "C23"
C24_DISABLED: Final = "C24"

POINTS: Final = tuple(f"C{number:02}" for number in range(1, 25))

Hook = Callable[[str], None]


class Crashed(BaseException):
    """What a simulation raises in place of a death: no ``except Exception`` takes it for a fault.

    A boundary that catches even this goes on to the next point, where ``Death`` raises it again.
    """


class Stream(Protocol):
    """What bytes are written to: an asyncio transport."""

    def write(self, data: bytes) -> None:
        """Send ``data`` soon."""

    def get_extra_info(self, name: str) -> object:
        """Return the socket."""


_hook: Hook | None = None


def at(point: str) -> None:
    """Pass a point; costs a call that returns (20 to 50 ns) unless a hook is installed."""
    if _hook is not None:
        _hook(point)


def send(stream: Stream, data: bytes) -> None:
    """Write a call's bytes, passing C10 and C11; in one piece unless a hook is installed."""
    if _hook is None:
        stream.write(data)
        return
    half = len(data) // 2
    _send_now(stream, data[:half])
    _hook(C10_HALF_SENT)
    _send_now(stream, data[half:])
    _hook(C11_SENT)


def install(hook: Hook | None) -> Hook | None:
    """Give every passage of this process to ``hook`` (None: to nobody); return the one before."""
    global _hook  # one process dies as a whole
    before, _hook = _hook, hook
    return before


def arm(place: str) -> None:
    """Kill this process with SIGKILL at a passage written ``C07:3``; raises ValueError."""
    install(Death(*parse(place), lambda: os.kill(os.getpid(), signal.SIGKILL)))


def parse(place: str) -> tuple[str, int]:
    """Return the point and the passage of ``C07:3``, or of ``C07`` (the first); else ValueError."""
    point, _, passage = place.partition(":")
    if point not in POINTS or not (passage or "1").isdecimal() or int(passage or "1") < 1:
        msg = "must be a crash point C01 to C24, a colon and the number of the passage"
        raise ValueError(msg)
    return point, int(passage or "1")


def die() -> None:
    """Raise Crashed."""
    raise Crashed


class Death:
    """A hook that dies at one passage of one point, and at every point passed after that."""

    def __init__(self, point: str, passage: int, die: Callable[[], None] = die) -> None:
        """Wait for ``passage`` (1 is the first); any thread may pass. ``die`` raises or kills."""
        self.happened = False
        self._point = point
        self._left = passage
        self._die = die
        self._lock = Lock()

    def __call__(self, point: str) -> None:
        """Count a passage, and die when it is the one, or when dead."""
        with self._lock:
            self._left -= point == self._point
            self.happened = self._left <= 0
        if self.happened:
            self._die()


def _send_now(stream: Stream, data: bytes) -> None:
    """Write past the buffer: a process that dies sends nothing of it any more."""
    socket = stream.get_extra_info("socket")
    fileno = getattr(socket, "fileno", None)
    try:
        sent = os.write(fileno(), data) if fileno and not stream.get_extra_info("sslcontext") else 0
    except BlockingIOError:
        sent = 0
    stream.write(data[sent:])
