"""The simulated fleet: what it is asked is served or waits, and more of it bears more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.growth import SECONDS, Costs, Fleet, breaking_point, simulate

FLEET = Fleet(workers=4, endpoints=100_000, database_cores=4, log_megabytes_second=1_000)


def test_the_same_seed_gives_the_same_load() -> None:
    """A figure in the documents can be had again."""
    assert simulate(FLEET, Costs(), 2_000) == simulate(FLEET, Costs(), 2_000)


def test_an_easy_load_leaves_nothing_behind() -> None:
    """What is asked is served in the step it came in or the next."""
    load = simulate(FLEET, Costs(), 1_000)
    assert (0, "") == (load.behind, load.full)
    assert load.p99_ms <= 20


def test_what_a_fleet_has_no_room_for_waits() -> None:
    """Twice what can be borne leaves about half behind, and the wait grows to seconds."""
    rate, _ = breaking_point(FLEET, Costs())
    load = simulate(FLEET, Costs(), 2 * rate)
    assert 0.4 <= load.behind / (2 * rate * SECONDS) <= 0.6
    assert load.p99_ms > 1_000


@pytest.mark.parametrize(
    ("part", "fleet"),
    [
        ("workers", replace(FLEET, database_cores=400)),
        ("database", replace(FLEET, workers=400)),
        ("log", replace(FLEET, workers=400, database_cores=400, log_megabytes_second=10)),
    ],
)
def test_the_part_that_is_full_is_named(part: str, fleet: Fleet) -> None:
    """Whoever adds to another part gains nothing."""
    assert part == breaking_point(fleet, Costs())[1]


def test_more_of_what_is_full_bears_more() -> None:
    """Twice the workers bear twice as much where the workers are full."""
    small = replace(FLEET, database_cores=400)
    rates = [breaking_point(replace(small, workers=count), Costs())[0] for count in (4, 8)]
    assert 1.9 <= rates[1] / rates[0] <= 2.1
