"""Lookout: a worker that hears no hints looks for work itself, and needs no broker to go on.

While hints come it does nothing. The sweep cannot take its place: what it says goes through the
broker too, and so do the hints of whoever commits.
"""

from __future__ import annotations

import threading
import time

from config.log import get_logger
from dispatcher.drain import Drainer
from dispatcher.relay import Relay
from worker.broker import database_may_be_away

log = get_logger("lookout")

LOOK_SECONDS = 1.0


class Lookout:
    """Looks every second in which no hint was heard; an index probe each when nothing waits."""

    def __init__(self, relay: Relay, drainer: Drainer) -> None:
        self._relay = relay
        self._drainer = drainer
        self._heard_at = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def heard(self) -> None:
        """Say that a hint came: there is nothing to look for now."""
        self._heard_at = time.monotonic()

    def run_once(self) -> int:
        """Relay and lease what waits unless a hint came lately; return how much there was."""
        found = 0
        if time.monotonic() - self._heard_at >= LOOK_SECONDS:
            with database_may_be_away("lookout"):
                found = self._relay.run_until_empty()
                found += self._drainer.take()
        return found

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being relayed now is finished."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            if found := self.run_once():
                log.info("lookout.found", found=found)
