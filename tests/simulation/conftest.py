"""Options of the simulation: ``--seeds 500 --first-seed 1234``."""

from __future__ import annotations

import pytest

SEEDS_SHORT, SEEDS_FULL = 200, 10_000
BLOCK = 25
#: A long run is cut into so many tests at most: each has a line in the report.
BLOCKS_MAX = 8


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; they are known where this folder is named on the command line."""
    group = parser.getgroup("simulation")
    group.addoption("--seeds", type=int, default=None, help="how many histories")
    group.addoption("--first-seed", type=int, default=1, help="the seed of the first")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that takes ``first_seed`` the first seed of each block."""
    if "first_seed" in metafunc.fixturenames:
        config = metafunc.config
        full = config.getoption("faults", default="short") == "full"
        count = config.getoption("seeds", default=None) or (SEEDS_FULL if full else SEEDS_SHORT)
        first = config.getoption("first_seed", default=1)
        step = max(BLOCK, -(-count // BLOCKS_MAX))
        blocks = [(at, min(step, first + count - at)) for at in range(first, first + count, step)]
        metafunc.parametrize(("first_seed", "count"), blocks)
