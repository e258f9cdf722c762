"""Canaries: values that nothing but their field may ever show, and the search for them.

As a plugin of pytest it looks through what every test leaves on standard error and in its logs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis
from sqlalchemy import Table, select

from engine.database import Database

#: What a signing secret, a private signing key and an API token look like, whoever made them.
SECRET = re.compile(r"wh(?:sec|sk)_[A-Za-z0-9+/]{30,}={0,2}|tbk_[0-9a-f]+_[\w-]{20,}")
#: The key that tests seal with, as settings write it.
SEALING_KEY = base64.b64encode(b"k" * 32).decode()
FORMS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "quoted": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "hex": lambda text: text.encode().hex(),
}


def leaks(canaries: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Return ``place: field (form)`` of every canary that a place shows, in whatever form."""
    return [
        f"{place}: {field} ({form})"
        for place, content in places.items()
        for field, canary in canaries.items()
        for form, write in FORMS.items()
        if write(canary).encode() in content
    ]


def redis_content(url: str) -> bytes:
    """Return every key of a Redis database with everything in it."""
    with Redis.from_url(url) as redis:
        return repr([(key, _value(redis, key)) for key in redis.scan_iter()]).encode()


def _value(redis: Redis, key: bytes) -> Any:
    kind = redis.type(key)
    if kind == b"string":
        return redis.get(key)
    if kind == b"list":
        return redis.lrange(key, 0, -1)
    if kind == b"hash":
        return redis.hgetall(key)
    if kind == b"set":
        return redis.smembers(key)
    assert kind == b"zset", f"nobody reads a {kind!r} yet"
    return redis.zrange(key, 0, -1, withscores=True)


def rows_of(database: Database, *tables: Table) -> bytes:
    """Return every row of some tables as text, what is sealed being bytes."""
    with database.read() as connection:
        found = {table.name: connection.execute(select(table)).all() for table in tables}
    return repr(found).encode()


def secrets_in(text: str) -> list[str]:
    """Return what looks like a secret, cut so that the complaint does not show it again."""
    found = [match[:12] for match in SECRET.findall(text)]
    return found + ["the sealing key"] * (SEALING_KEY in text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that leaves a secret on standard error or in a log."""
    report = yield
    spoken = "".join(text for title, text in report.sections if "stdout" not in title)
    if found := secrets_in(spoken):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} left secrets in its logs: {', '.join(found)}"
    return report
