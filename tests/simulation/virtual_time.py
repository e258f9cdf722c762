"""An event loop whose time is virtual: it jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import Context, ContextVar
from datetime import datetime, timedelta
from typing import Any

from config.crash_points import Crashed

#: Whose code is running: a worker, the scheduler, a client. Tasks and timers inherit it.
PROCESS: ContextVar[str] = ContextVar("process", default="")
#: Floats of a month in seconds are exact to less than this.
RESOLUTION_SECONDS = 1e-6


class Stalled(Exception):
    """Nothing is left that could ever happen, but the simulation has not ended."""


class _Instant(selectors.SelectSelector):
    """Waits for nothing: a time-out is over at once, and the loop's time with it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stalled
        self.loop.pass_by(timeout)
        return []


class _Numbered(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks are walked in the same order each time."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs callbacks, timers and tasks in virtual time, in an order that a seed determines."""

    def __init__(self) -> None:
        """Begin at second 0."""
        self._virtual_seconds = 0.0
        selector = _Instant()
        super().__init__(selector)
        selector.loop = self
        self._clock_resolution = RESOLUTION_SECONDS
        self._numbers = itertools.count(1)
        #: The tasks of each process, so that they can die together.
        self.tasks_of: dict[str, list[asyncio.Task[Any]]] = {}
        #: What ended a task or a callback, and no code of the product took.
        self.uncaught: list[BaseException | str] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._keep_error)

    def time(self) -> float:
        """Return the virtual seconds since the beginning."""
        return self._virtual_seconds

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._virtual_seconds += seconds

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = _Numbered(coroutine, loop=loop, context=context)
        task.number = next(self._numbers)
        self.tasks_of.setdefault(PROCESS.get(), []).append(task)
        return task

    def _keep_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or str(context["message"])
        if not isinstance(error, Crashed):
            self.uncaught.append(error)

    def kill(self, process: str) -> None:
        """End every task of a process at its next step."""
        for task in self.tasks_of.pop(process, []):
            task.cancel()

    def play(self, story: Coroutine[Any, Any, None]) -> None:
        """Run a story to its end and close."""
        try:
            self.run_until_complete(story)
        finally:
            for process in list(self.tasks_of):
                self.kill(process)
            self.call_soon(self.stop)
            self.run_forever()
            self.close()


class VirtualClock:
    """The one clock of a simulation: the loop's time behind a beginning."""

    def __init__(self, start: datetime, loop: VirtualLoop) -> None:
        """Begin at ``start``, which must be aware."""
        self._start, self._loop = start, loop

    def now(self) -> datetime:
        """Return the current virtual instant."""
        return self._start + timedelta(seconds=round(self._loop.time(), 6))

    def sync(self) -> None:
        """Do nothing: it is the source."""

    def seconds_at(self, instant: datetime) -> float:
        """Return the loop's time at an instant."""
        return (instant - self._start).total_seconds()


class LoopExecutor(Executor):
    """Runs what would run on another thread as a callback of the loop, a moment later."""

    def __init__(self, loop: VirtualLoop, delay_seconds: Callable[[], float]) -> None:
        """Ask ``delay_seconds`` how much later each one runs."""
        self._loop, self._delay_seconds = loop, delay_seconds

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it soon and return its future."""
        future: Future[Any] = Future()
        self._loop.call_later(self._delay_seconds(), self._run, future, fn, args, kwargs)
        return future

    def _run(self, future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # a thread pool keeps it in the future, too
            future.set_exception(error)
