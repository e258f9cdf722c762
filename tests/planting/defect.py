"""What a planted defect is, and what running its check twice must show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.checks import CHECKS
from tests.planting.world import World
from tests.reconciling import OWN_TABLES

Content = Mapping[str, list[tuple[Any, ...]]]
#: What a check may write though it heals nothing: it tells people.
TELLING = ("events", "outbox")


@dataclass(frozen=True, slots=True)
class Defect:
    """A way to break one thing that a check is for.

    ``plant`` breaks it some times over and returns how many findings that must make. ``heals``
    says whether the check mends it. ``spreads``: one broken row may show in more findings than one.
    ``marks`` are tables that an alarm may change (an account is frozen).
    """

    check: str
    name: str
    plant: Callable[[World], int]
    heals: bool
    spreads: bool = False
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What two runs made of a planted defect."""

    planted: int
    found: int
    healed: int
    found_again: int
    rows_changed_again: int
    problems: tuple[str, ...]


def show(world: World, defect: Defect) -> Shown:
    """Plant a defect, run its check, let what it sent arrive, and run it again."""
    planted = defect.plant(world)
    before = world.scene.content()
    [first] = world.scene.run(defect.check)
    told = world.scene.content()
    world.settle()
    between = world.scene.content()
    [second] = world.scene.run(defect.check)
    changed = differing(between, world.scene.content())
    problems = [*_judged(defect, planted, first, second)]
    if not defect.heals:
        mended = set(differing(before, told)) - {*TELLING, *defect.marks}
        problems += [f"changed {name}, though it heals nothing" for name in sorted(mended)]
    problems += [f"the second run changed {name}" for name in changed]
    return Shown(
        planted,
        first["found"],
        first["healed"],
        second["found"],
        sum(changed.values()),
        tuple(problems),
    )


def show_clean(world: World) -> list[str]:
    """Run every check on a history in which nothing is out of order; return what is wrong."""
    before = world.scene.content()
    rows = world.scene.run()
    changed = differing(before, world.scene.content())
    return [
        *([] if list(CHECKS) == [row["check"] for row in rows] else ["not every check ran"]),
        *(f"{row['check']} found {row['found']}" for row in rows if row["found"]),
        *(f"{row['check']} stopped: {row['problem']}" for row in rows if row["problem"]),
        *(f"changed {name}" for name in changed),
    ]


def differing(before: Content, after: Content) -> dict[str, int]:
    """Return in which tables how many rows differ, the reconciler's own left out."""
    return {
        name: len(set(map(repr, before[name])) ^ set(map(repr, after[name])))
        for name in before
        if name not in OWN_TABLES and before[name] != after[name]
    }


def _judged(
    defect: Defect, planted: int, first: dict[str, Any], second: dict[str, Any]
) -> list[str]:
    """Return what is wrong with two runs."""
    found = first["found"]
    expected = found if defect.spreads and found >= planted else planted
    healed = expected if defect.heals else 0
    left = 0 if defect.heals else expected
    claims = {
        "planted": planted > 0,
        f"found {found} of {planted}": found == expected,
        f"healed {first['healed']} of {healed}": first["healed"] == healed,
        f"problem {first['problem']}": first["problem"] is None,
        f"the second run found {second['found']}, not {left}": second["found"] == left,
        f"{CHECKS[defect.check].id} is not of that check": first["check"] == defect.check,
    }
    return [claim for claim, holds in claims.items() if not holds]
