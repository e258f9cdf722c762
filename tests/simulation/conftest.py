"""Options of the simulation: ``--seeds 500 --first-seed 1234``."""

from __future__ import annotations

import pytest

SEEDS_SHORT, SEEDS_FULL = 200, 10_000
BLOCK = 25


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
        metafunc.parametrize("first_seed", range(first, first + count, BLOCK))
