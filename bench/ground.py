"""Where a measurement may stand: an empty database of its own and a broker nobody else uses."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from config.errors import TillbellError
from config.settings import load_settings


class GroundTaken(TillbellError):
    """A measurement would disturb somebody, or be disturbed."""

    code = "GROUND_TAKEN"


@contextmanager
def fresh_ground(*, embedded: bool = False) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield an empty folder and the settings of an empty database, dropped again at the end.

    The database is made on the server that the environment names, the embedded one without any or
    when asked for. Raises GroundTaken when the broker holds something.
    """
    given = load_settings()
    with tempfile.TemporaryDirectory(prefix="tillbell-bench-") as name:
        folder = Path(name)
        if embedded or given.database.startswith("sqlite"):
            yield folder, {"database_url": f"sqlite:///{folder / 'bench.db'}", "broker_url": MEMORY}
            return
        _require_free(given.broker_url)
        with _own_database(given.database) as url:
            yield folder, {"database_url": url, "broker_url": given.broker_url}
            _forget(given.broker_url)


MEMORY = "memory://"


@contextmanager
def _own_database(server: str) -> Iterator[str]:
    name = f"tillbell_bench_{secrets.token_hex(4)}"
    admin = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        url = make_url(server).set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _require_free(broker_url: str) -> None:
    if broker_url == MEMORY:
        return
    with Redis.from_url(broker_url) as broker:
        if broker.dbsize():
            raise GroundTaken(
                "the broker's database holds something; name an empty one in TILLBELL_BROKER_URL,"
                " such as redis://127.0.0.1:6379/9",
                broker="not empty",
            )


def _forget(broker_url: str) -> None:
    """Remove what the measurement left: it was empty before."""
    if broker_url != MEMORY:
        with Redis.from_url(broker_url) as broker:
            broker.flushdb()
