"""The owners of endpoints: they open, change, hold and close them, and have things sent again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from dispatcher import endpoint_state, endpoints, replay_jobs
from dispatcher.replay_selection import Selection
from engine.unit_of_work import UnitOfWork
from tests.simulation.asking import Asker
from tests.simulation.world import PATTERNS, Standing, open_endpoint


class Owners(Asker):
    """Those who have endpoints."""

    def doings(self) -> dict[Callable[[], None], int]:
        """Return what they do, and how often."""
        return {
            self.edit: 2,
            self.rotate: 2,
            self.hold: 2,
            self.close: 1,
            self.open: 1,
            self.replay: 2,
            self.test: 1,
        }

    def _pick(self) -> Standing | None:
        standing = [each for each in self.world.endpoints if each.alive]
        return self.world.chance.choice(standing) if standing else None

    def edit(self) -> None:
        """Change what an endpoint hears."""
        chosen, world = self._pick(), self.world
        if chosen is None:
            return
        patterns = world.chance.choice(PATTERNS)
        self.ask(
            f"edit {chosen.id} {patterns}",
            lambda work: endpoints.change(work, world.guard, chosen.id, events=patterns),
        )
        self._look(chosen)

    def _look(self, chosen: Standing) -> None:
        """Look what came of it: an answer may have been lost."""
        now = self.world.clock.now()
        chosen.touched.append(now)
        with self.world.database.read() as connection:
            rows = [each for each in endpoints.listing(connection) if each["id"] == chosen.id]
        chosen.alive = bool(rows)
        patterns = tuple(rows[0]["events"]) if rows else ()
        if patterns != chosen.heard[-1][1]:
            chosen.heard.append((now, patterns))

    def rotate(self) -> None:
        """Renew a secret; its receiver, who chose it, takes the old one until its end."""
        chosen, world = self._pick(), self.world
        if chosen is None:
            return
        overlap = timedelta(hours=world.chance.choice((0, 1, 24)))
        secret = f"whsec_{world.chance.randbytes(24).hex()[:32]}"
        receiver = world.fleet[chosen.receiver]
        receiver.learn(secret)
        if self.ask(
            f"rotate {chosen.id}",
            lambda work: endpoints.rotate(
                work, world.guard, chosen.id, overlap=overlap, secret=secret
            ),
        ):
            receiver.forget_all_but(secret, world.clock.now() + overlap)

    def hold(self) -> None:
        """Pause, resume, disable or enable an endpoint."""
        chosen, world = self._pick(), self.world
        if chosen is None:
            return
        until = world.clock.now() + timedelta(minutes=world.chance.randint(1, 3000))
        doings: dict[str, Callable[[UnitOfWork], Any]] = {
            "pause": lambda work: endpoint_state.pause(work, chosen.id, until=until),
            "pause for good": lambda work: endpoint_state.pause(work, chosen.id),
            "resume": lambda work: endpoint_state.resume(work, chosen.id),
            "disable": lambda work: endpoint_state.disable(work, chosen.id),
            "enable": lambda work: endpoint_state.enable(work, chosen.id),
        }
        name = world.chance.choice(list(doings))
        self.ask(f"{name} {chosen.id}", doings[name])
        self._look(chosen)

    def close(self) -> None:
        """Delete an endpoint."""
        chosen = self._pick()
        if chosen is None:
            return
        self.ask(f"delete {chosen.id}", lambda work: endpoints.delete(work, chosen.id))
        self._look(chosen)

    def open(self) -> None:
        """Create an endpoint; nobody knows of one whose answer was lost, so none is."""
        world = self.world
        name, stormy = world.chance.choice("SDRQ"), world.faults.stormy
        url = f"http://127.0.0.1:{9000 + len(world.endpoints)}/hooks"
        patterns = world.chance.choice(PATTERNS)
        world.faults.stormy = False
        endpoint_id, receiver = open_endpoint(
            world.units, world.names.tenants[name], url, events=patterns
        )
        world.faults.stormy = stormy
        world.fleet.add(receiver)
        world.endpoints.append(Standing(endpoint_id, name, url, [(world.clock.now(), patterns)]))
        world.trace.add(f"{name} opens {endpoint_id}")

    def replay(self) -> None:
        """Ask for what was sent to an endpoint once more."""
        chosen, world = self._pick(), self.world
        if chosen is None:
            return
        state = world.chance.choice((None, "failed", "cancelled", "succeeded"))
        selection = Selection(endpoint_id=chosen.id, state=state)
        self.ask(
            f"replay {state} of {chosen.id}",
            lambda work: replay_jobs.create(work, selection, reason="asked"),
            again=False,
        )

    def test(self) -> None:
        """Send a test to one endpoint."""
        chosen = self._pick()
        if chosen is not None:
            self.ask(
                f"test {chosen.id}",
                lambda work: endpoint_state.send_test(work, chosen.id),
                again=False,
            )
