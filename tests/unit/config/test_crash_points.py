"""Crash points: nothing unless armed, and then a death exactly where it was asked for."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from timeit import repeat

import pytest

from config import crash_points
from config.crash_points import POINTS, Crashed, Death, at, install, parse, send
from config.settings import SettingsInvalid, load_settings

ROOT = Path(__file__).parents[3]
FLOORS = ("engine", "dispatcher", "reconciler", "worker")
#: What a passage may cost; a loaded machine takes several times the 20 to 50 ns of a quiet one.
PASSAGE_SECONDS_MAX = 500e-9


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    """Leave no hook behind."""
    yield
    install(None)


class Pipe:
    """A stream over one end of a socket pair, which keeps what was not written at once."""

    def __init__(self, end: socket.socket, *, tls: bool = False) -> None:
        self.buffered = b""
        self._end = end
        self._tls = tls

    def write(self, data: bytes) -> None:
        """Keep what would be sent later."""
        self.buffered += data

    def get_extra_info(self, name: str) -> object:
        """Return the socket, or whether it is TLS."""
        return {"socket": self._end, "sslcontext": self._tls or None}[name]


def test_every_point_is_passed_somewhere() -> None:
    """Each of the 24 points stands in the product, by its name."""
    named = {name[:3]: name for name in vars(crash_points) if re.match(r"C\d\d_", name)}
    assert sorted(named) == list(POINTS)
    code = "".join(path.read_text() for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    code += (ROOT / "config/crash_points.py").read_text()
    passed = set(re.findall(r"(?:at\(|_hook\(|: )(C\d\d_\w+)", code))
    assert set(named.values()) == passed


def test_a_passage_costs_next_to_nothing() -> None:
    """Not armed, a point is a call that returns."""
    best = min(repeat(lambda: at("C07"), number=20_000, repeat=5)) / 20_000
    assert best < PASSAGE_SECONDS_MAX


@pytest.mark.parametrize("place", ["", "C00", "C25", "c07", "C07:0", "C07:-1", "C07:x", "C7", ":3"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    """Only a point of the list and a passage from 1 on are taken."""
    with pytest.raises(ValueError, match="C01 to C24"):
        parse(place)


def test_a_place_is_a_point_and_a_passage() -> None:
    """Without a passage the first is meant."""
    assert ("C07", 3) == parse("C07:3")
    assert ("C07", 1) == parse("C07")


def test_death_comes_at_its_passage_and_stays() -> None:
    """Other points and earlier passages are passed; after it every point is the end."""
    death = Death("C07", 2)
    install(death)
    for point in ("C07", "C08", "C01"):
        at(point)
    assert not death.happened
    for point in ("C07", "C01"):
        with pytest.raises(Crashed):
            at(point)
    assert death.happened


def test_a_simulated_death_is_no_fault_to_be_handled() -> None:
    """A boundary that catches every exception does not catch it."""
    install(Death("C12", 1))
    with pytest.raises(Crashed), suppress(Exception):
        at("C12")


def test_a_hook_gives_its_place_back() -> None:
    """The hook before is returned, so that simulations may be nested."""
    first = Death("C01", 1)
    assert None is install(first)
    assert first is install(None)
    at("C01")


@pytest.mark.parametrize(("point", "arrived"), [("C10", b"half"), ("C11", b"half of it")])
def test_what_was_sent_before_death_is_on_the_wire(point: str, arrived: bytes) -> None:
    """At C10 half of the bytes have left the process, at C11 all: no buffer dies with them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        install(Death(point, 1))
        with pytest.raises(Crashed):
            send(Pipe(ours), b"half of it"[: 2 * len(arrived)] if point == "C10" else arrived)
        assert arrived == theirs.recv(100)


def test_bytes_are_sent_once_whoever_listens() -> None:
    """Hook or none, plain or TLS, the stream carries the bytes exactly once."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        plain, armed, tls = Pipe(ours), Pipe(ours), Pipe(ours, tls=True)
        send(plain, b"one")
        install(lambda _point: None)
        send(armed, b"two")
        send(tls, b"three")
        assert (b"one", b"", b"three") == (plain.buffered, armed.buffered, tls.buffered)
        assert b"two" == theirs.recv(100)


def test_a_crash_must_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable alone is refused, so that no environment kills a process by accident."""
    monkeypatch.setenv("TILLBELL_CRASH_AT", "C07:3")
    with pytest.raises(SettingsInvalid, match="ALLOW_CRASHES"):
        load_settings()
    monkeypatch.setenv("TILLBELL_ALLOW_CRASHES", "true")
    assert "C07:3" == load_settings().crash_at
    monkeypatch.setenv("TILLBELL_CRASH_AT", "C99")
    with pytest.raises(SettingsInvalid, match="CRASH_AT must be a crash point"):
        load_settings()


def test_an_armed_process_is_killed_at_its_passage(tmp_path: Path) -> None:
    """A process told by its environment dies by SIGKILL, and says nothing on the way out."""
    told = {"TILLBELL_ALLOW_CRASHES": "true", "TILLBELL_CRASH_AT": "C02:1"}
    environment = {**os.environ, "TILLBELL_DATA_DIR": str(tmp_path)}

    def command(*words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603  # our own module
            [sys.executable, "-m", "worker", *words],
            cwd=ROOT,
            env={**environment, **more},
            capture_output=True,
            check=False,
        )

    assert 0 == command("init").returncode
    killed = command("tenants", "create", "--name", "Reseller", **told)
    assert -signal.SIGKILL == killed.returncode
    assert b"" == killed.stdout
    # It died behind its commit.
    assert b"Reseller" in command("tenants", "list", "--json").stdout
