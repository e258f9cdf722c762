"""The dead-man ping: somebody outside hears each minute that the checks run, and else rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from config.clock import Clock
from config.log import get_logger
from dispatcher.drain import new_event_loop
from dispatcher.errors import CallbackFailed
from dispatcher.http_types import Request, Response
from dispatcher.transport import CallbackTransport
from engine.database import Database
from reconciler.check import Scope
from reconciler.checks import CHECKS

log = get_logger("deadman")

#: The check that watches the others; it is not among those it watches.
WATCHER = "K24"
HEADERS = {"user-agent": "Tillbell/0.1 (+dead-man ping)"}


class DeadMan:
    """Calls one URL as long as every check is on time; silence is the alarm."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        url: str,
        make_transport: Callable[[], CallbackTransport],
    ) -> None:
        self._database = database
        self._clock = clock
        self._url = url
        self._make_transport = make_transport

    def ping(self) -> bool:
        """Call the URL, with no transaction open, unless a check is late; tell whether it heard.

        A call that fails is logged and no more: the other end notices by itself.
        """
        self._clock.sync()
        now = self._clock.now()
        with self._database.read() as connection:
            late = CHECKS[WATCHER].find(connection, Scope(now, now)).findings
        if late:
            log.warning("deadman.silent", count=len(late), reason=late[0].subject)
            return False
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                response = runner.run(self._call())
        except CallbackFailed as failure:
            log.warning("deadman.failed", url=self._url, reason=failure.kind)
            return False
        heard = 200 <= response.status_code < 300
        if not heard:
            log.warning("deadman.failed", url=self._url, status_code=response.status_code)
        return heard

    async def _call(self) -> Response:
        transport = self._make_transport()
        try:
            request = Request("GET", self._url, headers=HEADERS)
            return await transport.handle_async_request(request)
        finally:
            await transport.aclose()
