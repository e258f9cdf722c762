"""Names to addresses: our own lookups in threads, judged by the egress policy, remembered briefly.

A lookup may hang for half a minute inside the system's resolver. It then holds one thread of ours,
however many calls wait for it, and each of those calls gives up by itself. A name that hung is next
looked up in a lane for such names alone, so that many of them hold up no other.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dispatcher.addresses import IPAddress, parse_address
from dispatcher.egress import LOOPBACK_NAME, EgressPolicy, Reach
from dispatcher.errors import CallbackFailed

LOOKUP_SECONDS = 5.0
ANSWER_SECONDS = 30.0
ANSWERS_MAX = 16_384
THREADS_MAX = 32
#: A lookup that took longer puts its name among the slow ones, until one is quick again.
SLOW_SECONDS = 2.0
SLOW_THREADS_MAX = 8
LOOPBACK_LITERALS = ("127.0.0.1", "::1")

#: Finds the addresses of a name; raises OSError when there are none.
Lookup = Callable[[str], Awaitable[Iterable[str]]]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name meant when it was looked up: its addresses, and how far all may be called."""

    literals: tuple[str, ...]
    reach: Reach
    expires_at: float


class Resolver:
    """Resolves names for one event loop; answers live for 30 s on the loop's clock."""

    def __init__(self, policy: EgressPolicy, lookup: Lookup | None = None) -> None:
        """Judge by ``policy``; ``lookup`` replaces the system's resolver."""
        self._policy = policy
        self._threads = ThreadPoolExecutor(THREADS_MAX, "tillbell-dns")
        self._slow_threads = ThreadPoolExecutor(SLOW_THREADS_MAX, "tillbell-slow-dns")
        self._slow_names: set[str] = set()
        self._lookup = lookup or self._ask_system
        self._answers: dict[str, Resolution] = {}
        self._running: dict[str, asyncio.Task[Resolution]] = {}

    def known(self, host: str, now: float) -> Resolution | None:
        """Return the answer at hand, if it is still fresh at ``now`` (the loop's time)."""
        answer = self._answers.get(host)
        return answer if answer is not None and now < answer.expires_at else None

    async def resolve(self, host: str, deadline_at: float) -> Resolution:
        """Return what ``host`` means, or raise CallbackFailed: ``dns``, ``timeout``, ``reset``."""
        loop = asyncio.get_running_loop()
        answer = self.known(host, loop.time())
        if answer is not None:
            return answer
        task = self._running.get(host)
        if task is None:
            task = self._running[host] = loop.create_task(self._look_up(host))
            task.add_done_callback(lambda done: self._finished(host, done))
        until = loop.time() + LOOKUP_SECONDS
        try:
            async with asyncio.timeout_at(min(deadline_at, until)):
                # Shielded: the lookup serves every call that waits for this name.
                return await asyncio.shield(task)
        except TimeoutError:
            message = "the host name was not resolved in time"
            raise CallbackFailed("timeout" if deadline_at < until else "dns", message) from None
        except (OSError, UnicodeError) as error:  # UnicodeError: a name the system cannot encode
            raise CallbackFailed("dns", "the host name could not be resolved") from error
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise CallbackFailed("reset", "the dispatcher is closing") from None

    def close(self) -> None:
        """Let go of waiting lookups; a thread inside the system's resolver ends when that does."""
        for task in self._running.values():
            task.cancel()
        for threads in (self._threads, self._slow_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str) -> Resolution:
        if LOOPBACK_NAME.fullmatch(host):
            found = self._opened_loopback()
        else:
            found = {parse_address(text): None for text in await self._lookup(host)}
        # IPv4 first: many networks have no working way out over IPv6, and none says so quickly.
        addresses = tuple(sorted(found, key=lambda address: address.version))
        if not addresses:
            raise OSError("the name has no address")
        expires_at = asyncio.get_running_loop().time() + ANSWER_SECONDS
        literals = tuple(str(address) for address in addresses)
        answer = Resolution(literals, self._policy.reach_of_all(addresses), expires_at)
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        self._answers[host] = answer
        return answer

    def _opened_loopback(self) -> dict[IPAddress, None]:
        """Return what ``localhost`` means without asking anybody, as far as holes open it."""
        loopback = (parse_address(text) for text in LOOPBACK_LITERALS)
        return {each: None for each in loopback if self._policy.reach(each) is Reach.HOLE}

    def _finished(self, host: str, task: asyncio.Task[Resolution]) -> None:
        """Forget a lookup that ended, and take note of its error even when every caller left."""
        del self._running[host]
        if not task.cancelled():
            task.exception()

    async def _ask_system(self, host: str) -> Iterable[str]:
        loop = asyncio.get_running_loop()
        threads = self._slow_threads if host in self._slow_names else self._threads
        rows = await loop.run_in_executor(threads, self._timed, host)
        return [str(row[4][0]) for row in rows]

    def _timed(self, host: str) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
        """Look up in the thread that calls, and remember how the name's servers answer."""
        began = time.monotonic()
        try:
            return _getaddrinfo(host)
        finally:
            if time.monotonic() - began <= SLOW_SECONDS:
                self._slow_names.discard(host)
            elif len(self._slow_names) < ANSWERS_MAX:
                self._slow_names.add(host)


def _getaddrinfo(host: str) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    return list(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
