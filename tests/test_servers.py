"""The tests find or start real servers, keep to themselves on them, and reach no other machine."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis import Redis

from tests import servers
from tests.loopback import OutsideConnection
from tests.redis_numbers import MARK, numbered, own_database
from tests.server_kinds import PostgreSQL, RedisServer
from tests.servers import Kind, NoServer, free_port, server

OUTSIDE = "192.0.2.1"  # an address for examples, nobody's


class Bell(Kind):
    """A server that is up while the file ``rings`` holds its process number."""

    title = "Bell"
    variable = "TILLBELL_TEST_BELL_URL"
    programs = ("sh",)
    packaged = "bell/bin"

    def __init__(self, script: str = "echo $$ > rings; exec sleep 60") -> None:
        """Serve by running ``script`` in the server's folder."""
        self.script = script
        self.folder = Path()
        self.program = ""

    def standing(self) -> Iterable[str]:
        """Return an address where nothing stands."""
        return ["bell://standing"]

    def problem(self, url: str) -> str | None:
        """Return whether the file is missing."""
        rings = self.folder / "rings"
        return None if rings.exists() and rings.read_text() else f"{url} does not ring"

    def prepare(self, programs: Path, folder: Path) -> None:  # noqa: ARG002  # of Kind
        """Remember the folder."""
        self.folder = folder

    def command(self, programs: Path, *_: object) -> list[str]:
        """Return the script's command."""
        self.program = str(programs / "sh")
        return [self.program, "-c", self.script]

    def url(self, port: int) -> str:
        """Return an address."""
        return f"bell://{port}"


@pytest.fixture(autouse=True)
def _every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these tests look everywhere, however the run itself was told to find its servers."""
    monkeypatch.delenv("TILLBELL_TEST_SERVERS", raising=False)


def is_running(process: int) -> bool:
    """Return whether a process of this number exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_started_server_stops_with_its_folder() -> None:
    """A throwaway server runs for as long as it is wanted and leaves nothing behind."""
    bell = Bell()
    with server(bell) as url:
        process = int((bell.folder / "rings").read_text())
        assert url.startswith("bell://")
        assert is_running(process)
    assert not is_running(process)
    assert not bell.folder.exists()


def test_a_server_that_dies_says_why() -> None:
    """The last line that a server wrote before it died is the reason given."""
    with (
        pytest.raises(NoServer, match="did not start: no bell here"),
        server(Bell("echo starting; echo no bell here; exit 1")),
    ):
        pass


def test_a_packaged_server_leaves_the_modes_of_folders_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs in a folder closed to other users serve without opening it."""
    closed = tmp_path / "closed"
    (closed / Bell.packaged).mkdir(parents=True)
    program = closed / Bell.packaged / "sh"
    program.write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
    program.chmod(0o755)
    closed.chmod(0o700)
    monkeypatch.setattr(servers, "PACKAGED", closed)
    monkeypatch.setenv("TILLBELL_TEST_SERVERS", "packaged")
    bell = Bell()
    with server(bell):
        assert bell.program.endswith("bell/bin/sh")
    assert 0o700 == closed.stat().st_mode & 0o777


def test_a_named_server_alone_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was named and does not answer is an error, not a reason to take another."""
    monkeypatch.setenv(Bell.variable, "bell://named")
    with (
        pytest.raises(NoServer, match=r"TILLBELL_TEST_BELL_URL names .*bell://named does not ring"),
        server(Bell()),
    ):
        pass


@pytest.mark.parametrize("kind", [PostgreSQL(), RedisServer()], ids=lambda kind: kind.title)
def test_no_server_is_one_clear_line(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no server, one line names the setting and everything that was tried."""
    monkeypatch.delenv(kind.variable, raising=False)
    monkeypatch.setenv("TILLBELL_TEST_SERVERS", "packaged")
    monkeypatch.setattr(servers, "PACKAGED", Path("nowhere"))
    with pytest.raises(NoServer) as refused, server(kind):
        pass
    assert (
        f"no {kind.title} server for the tests: {kind.variable} is not set; "
        f"nowhere of the virtual environment holds no {kind.programs[0]}"
    ) == str(refused.value)


@pytest.mark.parametrize("kind", [PostgreSQL(), RedisServer()], ids=lambda kind: kind.title)
def test_a_silent_port_is_a_problem(kind: Kind) -> None:
    """A port where nothing listens is no usable server."""
    assert "refused" in (kind.problem(kind.url(free_port())) or "").lower()


def test_two_runs_share_a_redis_server_without_meeting(redis_url: str) -> None:
    """Each run has a database number to itself, and emptying one leaves the other alone."""
    with own_database(redis_url) as one, own_database(redis_url) as other:
        assert 3 == len({redis_url, one.url, other.url})
        with Redis.from_url(one.url) as keys, Redis.from_url(other.url) as others:
            keys.set("bell", "rings")
            others.set("bell", "rings")
            one.empty()
            assert [MARK.encode()] == keys.keys()
            assert b"rings" == others.get("bell")
    with Redis.from_url(one.url) as keys:
        assert 0 == keys.dbsize()


def test_a_redis_database_of_others_is_not_taken(redis_url: str) -> None:
    """A number that holds keys no test wrote is left as it is."""
    with own_database(redis_url) as own, Redis.from_url(own.url) as keys:
        keys.delete(MARK)
        keys.set("theirs", "1")
        own.give_up()
        with own_database(redis_url) as second:
            assert own.url != second.url
        assert [b"theirs"] == keys.keys()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/7"),
        ("redis://:secret@localhost/0", "redis://:secret@localhost/7"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=7"),
    ],
)
def test_an_address_takes_a_database_number(url: str, expected: str) -> None:
    """The number replaces the one in the address, wherever that kind of address holds it."""
    assert expected == numbered(url, 7)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_reaches_this_machine_only(new_loop: Callable[[], Any]) -> None:
    """Both event loops connect to loopback and refuse any other machine."""

    async def connect(host: str) -> None:
        _, writer = await asyncio.open_connection(host, listener.getsockname()[1])
        writer.close()
        await writer.wait_closed()

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        runner.run(connect("127.0.0.1"))
        with pytest.raises(OutsideConnection, match=re.escape(OUTSIDE)):
            runner.run(connect(OUTSIDE))


@pytest.mark.parametrize("address", [OUTSIDE, "::ffff:192.0.2.1", "2001:db8::1", "example.com"])
def test_a_socket_reaches_this_machine_only(address: str) -> None:
    """A socket refuses every address that is not of this machine, before a packet leaves."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(OutsideConnection), socket.socket(family) as client:
        client.connect((address, 80))
