"""A Redis database number of our own on a server that others may use too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis import Redis
from redis.exceptions import ResponseError

from tests.servers import NoServer

NUMBERS = range(1, 16)
#: Inside a number it says that the keys are ours; in database 0, with the number, it is a lease.
MARK = "tillbell:tests"
LEASE_SECONDS = 1800


def numbered(url: str, number: int) -> str:
    """Return the address of one database of the server at ``url``."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        query = dict(parse_qsl(parts.query)) | {"db": str(number)}
        return f"unix://{parts.path}?{urlencode(query)}"
    return urlunsplit(parts._replace(path=f"/{number}"))


class OwnDatabase:
    """A leased database number; nothing outside it is ever emptied."""

    def __init__(self, server_url: str, number: int) -> None:
        """Speak of ``number`` without taking it."""
        self.url = numbered(server_url, number)
        self._leases = Redis.from_url(numbered(server_url, 0))
        self._keys = Redis.from_url(self.url)
        self._lease = f"{MARK}:{number}"

    def take(self) -> bool:
        """Lease the number, unless it is leased or holds keys that no test wrote."""
        if not self._leases.set(self._lease, os.getpid(), nx=True, ex=LEASE_SECONDS):
            return False
        try:
            if self._keys.exists(MARK) or not self._keys.dbsize():
                self.empty()
                return True
        except ResponseError:  # the server has fewer databases than numbers
            pass
        self.give_up()
        return False

    def empty(self) -> None:
        """Delete every key of this number and renew the lease."""
        self._leases.expire(self._lease, LEASE_SECONDS)
        with self._keys.pipeline() as transaction:
            transaction.flushdb()
            transaction.set(MARK, os.getpid())
            transaction.execute()

    def release(self) -> None:
        """Delete every key of this number and give it back."""
        self._keys.flushdb()
        self.give_up()

    def give_up(self) -> None:
        """Give the number back with whatever it holds."""
        self._leases.delete(self._lease)

    def close(self) -> None:
        """Close the connections."""
        self._keys.close()
        self._leases.close()


@contextmanager
def own_database(server_url: str) -> Iterator[OwnDatabase]:
    """Lease a number that is free for as long as the block runs, or raise NoServer."""
    for number in NUMBERS:
        database = OwnDatabase(server_url, number)
        try:
            if database.take():
                yield database
                database.release()
                return
        finally:
            database.close()
    raise NoServer(f"every database number of the Redis server at {server_url} is in use")
