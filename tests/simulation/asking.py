"""Clients ask as the API does, and ask again when they do not know what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from config.crash_points import Crashed
from config.errors import TillbellError
from engine.errors import DatabaseUnavailable
from engine.unit_of_work import UnitOfWork
from tests.simulation.processes import acting

if TYPE_CHECKING:
    from tests.simulation.world import World

TRIES = 4


class Asker:
    """Somebody who asks for things."""

    def __init__(self, world: World) -> None:
        """Act in ``world``."""
        self.world = world
        self.asked = 0
        self._name = type(self).__name__.lower()

    def ask(self, what: str, ask: Callable[[UnitOfWork], Any], *, again: bool = True) -> Any:
        """Ask for something in a transaction; after a broken answer ask again, if that is safe.

        Returns the answer, or None for a refusal and where nothing is known.
        """
        world = self.world
        self.asked += 1
        for number in range(TRIES if again else 1):
            client = f"{self._name}{self.asked}.{number}"
            world.faults.mortal[client] = lambda: None
            with acting(client):
                try:
                    with world.units.begin(actor="client", source="api") as work:
                        answer = ask(work)
                except (Crashed, DBAPIError, DatabaseUnavailable):
                    world.trace.add(f"{what}: unknown")
                    continue
                except TillbellError as refusal:
                    world.trace.add(f"{what}: refused {refusal.code}")
                    return None
                finally:
                    world.faults.mortal.pop(client, None)
                world.trace.add(f"{what}: done")
                return answer
        return None
