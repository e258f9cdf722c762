"""Time zones from one pinned database, the ``tzdata`` package.

Every process of a fleet then resolves a date to the same instant, whatever its machine has
installed, and newer rules arrive as a version that can be compared.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module, resources
from zoneinfo import ZoneInfo

from engine.errors import InvalidInput


def zone(name: str) -> ZoneInfo:
    """Return the rules of a zone such as ``Asia/Kolkata``, or raise InvalidInput."""
    if name not in names():
        raise InvalidInput(f"time zone {name!r} is not known", field="timezone", value=name)
    return _load(name)


@cache
def names() -> frozenset[str]:
    """Return the name of every zone."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def version() -> str:
    """Return the version of the rules, such as ``2026a``; a newer one compares greater."""
    return str(import_module("tzdata").IANA_VERSION)


@cache
def _load(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", name).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)
