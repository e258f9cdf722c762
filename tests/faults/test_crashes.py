"""F01: a process killed at each of the 24 points; whoever comes next goes on as if it had not."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.crash_points import POINTS
from dispatcher.retry import RetryPolicy
from tests.faults import oracle
from tests.faults.fleet import Fleet, fleet
from tests.faults.plugin import Reached
from tests.faults.scenes import SCENES, Load, Scene
from tests.faults.stage import SETTINGS, Listener, Stage, embedded, eventually, production, within
from tests.receivers import receiving
from worker.bootstrap import Application

POLICY = RetryPolicy(SETTINGS["retry_schedule"])
LONGEST_SECONDS = 900.0
LONG_LIVED = {"worker", "scheduler"}
#: Points that the short form tries on SQLite too.
EMBEDDED = {"C05", "C07", "C11", "C12", "C17", "C19"}
#: Scenes after which the short form ends what was begun; before them no call was ever answered.
ENDED_AFTER = {"C10", "C11", "C12", "C13", "C14", "C15", "C24"}


@contextmanager
def standing(postgresql_url: str, redis_url: str, folder: Path) -> Iterator[tuple[Stage, Fleet]]:
    """Yield an installation on both servers with what starts its processes."""
    with production(postgresql_url, redis_url, folder) as made, staged(made, folder) as found:
        yield found


@contextmanager
def staged(application: Application, folder: Path) -> Iterator[tuple[Stage, Fleet]]:
    """Yield an installation's stage and what starts its processes."""
    with (
        receiving(Listener()) as listener,
        fleet(application, folder) as processes,
    ):
        assert isinstance(listener, Listener)
        yield Stage(application, listener), processes


def killed(stage: Stage, processes: Fleet, scene: Scene, load: Load, passage: int = 1) -> None:
    """Let a process die at its point, and people repeat what they asked for."""
    arguments = scene.prepare(stage, load)
    lives_long = arguments[0] in LONG_LIVED
    if lives_long and stage.application.settings.embedded:
        arguments = ("serve",)
    victim = processes.start(*arguments, crash_at=f"{scene.point}:{passage}")
    assert -signal.SIGKILL == victim.ended(), (scene.point, victim.said())
    if not lives_long:
        assert 0 == processes.run(*arguments)


def ended(stage: Stage, processes: Fleet) -> None:
    """Start again what died and let it end what was begun."""
    stage.let_leases_run_out()
    everything = processes.serving("serve")
    eventually(stage.settled, what="everything settled")
    everything.kill()


@pytest.mark.fault("F01")
@pytest.mark.timeout(600)
def test_no_crash_point_loses_or_doubles(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """Killed at each point with one call at a time, only a call that was sent whole repeats."""
    assert list(POINTS) == [scene.point for scene in SCENES]
    with standing(postgresql_url, redis_url, tmp_path) as (stage, processes):
        again = one_after_the_other(stage, processes, SCENES, every_time=reached.full)
    points = ", ".join(point for point, count in again.items() if count)
    reached.says("F01", f"24 kills, one call at a time: lost 0, twice only at {points}")


@pytest.mark.fault("F01")
@pytest.mark.timeout(600)
def test_the_same_on_the_embedded_database(tmp_path: Path, reached: Reached) -> None:
    """On SQLite, where all is one process, a kill means the same."""
    scenes = [each for each in SCENES if reached.full or each.point in EMBEDDED]
    with embedded(tmp_path) as application, staged(application, tmp_path) as (stage, processes):
        again = one_after_the_other(stage, processes, scenes, every_time=reached.full)
    points = ", ".join(point for point, count in again.items() if count)
    reached.says("F01", f"{len(scenes)} kills on SQLite: lost 0, twice only at {points}")


def one_after_the_other(
    stage: Stage, processes: Fleet, scenes: Sequence[Scene], *, every_time: bool
) -> dict[str, int]:
    """Play scenes with one call at a time, ask the oracle, and return what came again at each.

    What was begun is ended after each scene if ``every_time``, else where a call was answered.
    """
    again: dict[str, int] = {}
    for scene in scenes:
        before = oracle.repeats(stage.listener.everything())
        killed(stage, processes, scene, Load())
        if every_time or scene.point in ENDED_AFTER or scene is scenes[-1]:
            ended(stage, processes)
        again[scene.point] = oracle.repeats(stage.listener.everything()) - before
    heard, repeats_max = stage.listener.everything(), len(scenes)
    assert [] == oracle.broken(stage.database, heard, repeats_max=repeats_max, policy=POLICY)
    assert {scene.point: scene.repeated for scene in scenes} == again
    return again


@pytest.mark.fault("F01")
@pytest.mark.timeout(0)
def test_crash_points_under_load(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """Killed at a drawn passage of each point, many calls out: what was settled never repeats."""
    seeds, twice, kills = range(reached.times(1, 25)), Counter[str](), 0
    scenes = SCENES if reached.full else [SCENES[7], SCENES[10], SCENES[11]]
    with standing(postgresql_url, redis_url, tmp_path) as (stage, processes):
        for seed in within(LONGEST_SECONDS, seeds):
            for scene in scenes:
                kills += 1
                twice[scene.point] += under_load(stage, processes, scene, seed)
        heard = stage.listener.everything()
        repeats_max = len(heard)
        assert [] == oracle.broken(stage.database, heard, repeats_max=repeats_max, policy=POLICY)
    counts = ", ".join(f"{point} {count}" for point, count in sorted(twice.items()) if count)
    reached.says("F01", f"{kills} kills under load, {len(heard)} calls: lost 0, twice: {counts}")


def under_load(stage: Stage, processes: Fleet, scene: Scene, seed: int) -> int:
    """Play a scene with a load and at a passage that the seed draws; return what came again."""
    chance = random.Random(f"{scene.point}:{seed}")  # noqa: S311  # a draw that can be repeated
    load = Load(chance.randint(1, 4), chance.randint(1, 25), chance.choice((1, 4, 10)))
    passage = chance.randint(1, load.calls) if scene.per_call else 1
    stage.listener.delay_seconds = chance.choice((0.0, 0.002, 0.02))
    before = len(stage.listener.everything())
    killed(stage, processes, scene, load, passage)
    recorded, at_death = stage.succeeded(), len(stage.listener.everything())
    ended(stage, processes)
    heard = stage.listener.everything()
    later = {(each.endpoint_id, each.event_id) for each in heard[at_death:]}
    assert set() == later & recorded, f"{scene.point}, seed {seed}: sent again behind its end"
    return oracle.repeats(heard[before:])
