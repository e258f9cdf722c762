"""Time zones come from the pinned package, whatever the machine has."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import reset_tzpath

import pytest

from engine import zones
from engine.errors import InvalidInput


def test_every_name_has_its_rules() -> None:
    """All zones of the database load under their own name."""
    assert {zones.zone(name).key for name in zones.names()} == zones.names()
    assert len(zones.names()) > 590


@pytest.mark.parametrize(
    "name", ["", "Mars/Base", "../zones", "/etc/localtime", "asia/kolkata", "localtime", "UTC\x00"]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """No path, no other spelling, nothing of the machine's own."""
    with pytest.raises(InvalidInput):
        zones.zone(name)


def test_the_machine_has_no_say() -> None:
    """With the machine's own rules out of reach the same zone says the same."""
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    before = noon.astimezone(zones.zone("Europe/Berlin")).utcoffset()
    try:
        reset_tzpath(to=[])
        zones._load.cache_clear()
        assert (
            timedelta(hours=2) == before == noon.astimezone(zones.zone("Europe/Berlin")).utcoffset()
        )
    finally:
        reset_tzpath()


def test_versions_can_be_compared() -> None:
    """A year and a letter: what comes later compares greater."""
    assert re.fullmatch(r"20\d\d[a-z]", zones.version())
    assert zones.version() > "2025z"
