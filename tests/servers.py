"""Real servers for the tests: the ones named, the ones standing on this machine, or throwaway ones.

Four sources are asked in order; the first that has a usable server wins:

named       TILLBELL_TEST_DATABASE_URL, TILLBELL_TEST_REDIS_URL; once set, it alone counts
standing    what answers on the standard local ports and sockets
installed   server programs of this machine, started in a folder of their own and stopped at the end
packaged    the same with the programs that ``make test`` keeps in ``.venv/servers``

TILLBELL_TEST_SERVERS (``installed,packaged``) narrows the choice.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from signal import SIGINT
from typing import Any

PACKAGED = Path(sys.prefix, "servers")
START_SECONDS = 30
STOP_SECONDS = 15


class NoServer(Exception):
    """No source has a server that the tests can use; the message says what was tried."""


class Kind(ABC):
    """One kind of server: where it may stand, whether it can be used, how it is started."""

    title: str
    variable: str
    programs: tuple[str, ...]
    installed: tuple[str, ...] = ()
    packaged: str

    @abstractmethod
    def standing(self) -> Iterable[str]:
        """Return the addresses on this machine where such a server usually answers."""

    @abstractmethod
    def problem(self, url: str) -> str | None:
        """Return why the server at ``url`` cannot be used, or None when it can."""

    @abstractmethod
    def prepare(self, programs: Path, folder: Path) -> None:
        """Make what a new server in ``folder`` needs before it starts."""

    @abstractmethod
    def command(self, programs: Path, folder: Path, port: int) -> list[str]:
        """Return the command that serves ``folder`` on a loopback port."""

    @abstractmethod
    def url(self, port: int) -> str:
        """Return the address of a server started by ``command``."""


@contextmanager
def server(kind: Kind) -> Iterator[str]:
    """Yield the address of a usable server; whatever was started for it stops at the end.

    Raises NoServer naming everything that was tried.
    """
    with ExitStack() as stack:
        yield _find(kind, stack)


def _find(kind: Kind, stack: ExitStack) -> str:
    allowed = os.environ.get("TILLBELL_TEST_SERVERS", "named,standing,installed,packaged").split(
        ","
    )
    if "named" in allowed and (url := os.environ.get(kind.variable)):
        if reason := kind.problem(url):
            raise NoServer(f"{kind.variable} names a server that cannot be used: {reason}")
        return url
    reasons = [f"{kind.variable} is not set"]
    sources = {"standing": _standing, "installed": _installed, "packaged": _packaged}
    for source in [sources[name] for name in sources if name in allowed]:
        try:
            return source(kind, stack)
        except (NoServer, OSError) as error:
            reasons.append(str(error))
    raise NoServer(f"no {kind.title} server for the tests: {'; '.join(reasons)}")


def _standing(kind: Kind, _stack: ExitStack) -> str:
    reasons = []
    for url in kind.standing():
        if (reason := kind.problem(url)) is None:
            return url
        reasons.append(reason)
    raise NoServer(reasons[0] if reasons else "nothing stands")


def _installed(kind: Kind, stack: ExitStack) -> str:
    found = [Path(path).resolve().parent for path in [shutil.which(kind.programs[0])] if path]
    for pattern in kind.installed:
        found += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    for programs in found:
        if all((programs / name).exists() for name in kind.programs):
            return _started(kind, programs, _new_folder(stack), stack)
    raise NoServer(f"{kind.programs[0]} is not installed")


def _packaged(kind: Kind, stack: ExitStack) -> str:
    programs = PACKAGED / kind.packaged
    if not programs.exists():
        raise NoServer(f"{PACKAGED.name} of the virtual environment holds no {kind.programs[0]}")
    folder = _new_folder(stack)
    if os.geteuid() == 0:
        # The server runs as another user, who may not enter a virtual environment below a private
        # home: a copy of his own lets the modes of those folders alone.
        copy = shutil.copytree(PACKAGED, folder / "programs", symlinks=True)
        for path in (copy, *copy.rglob("*")):
            os.chown(path, *_server_user(), follow_symlinks=False)
        programs = copy / kind.packaged
    return _started(kind, programs, folder, stack)


def _started(kind: Kind, programs: Path, folder: Path, stack: ExitStack) -> str:
    """Start a server that only this process knows of, and wait until it can be used."""
    kind.prepare(programs, folder)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # a server program found on this machine
            kind.command(programs, folder, port),
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt of the tests reaches it through _stop
            **unprivileged(folder),
        )
    stack.callback(_stop, process)
    url, deadline = kind.url(port), time.monotonic() + START_SECONDS
    while reason := kind.problem(url):
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text(errors="replace").split("\n")
            raise NoServer(f"{programs / kind.programs[0]} did not start: {said[-2:][0] or reason}")
        time.sleep(0.02)
    return url


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    process.kill()
    process.wait()


def _new_folder(stack: ExitStack) -> Path:
    """Make a folder that the server's user owns and can reach, gone at the end."""
    parent = "/tmp" if os.geteuid() == 0 else None  # noqa: S108  # the one folder all users may enter
    folder = Path(tempfile.mkdtemp(prefix="tillbell-test-", dir=parent))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    if os.geteuid() == 0:
        os.chown(folder, *_server_user())
    return folder


def unprivileged(folder: Path) -> dict[str, Any]:
    """Return how to run a program in ``folder``: as an ordinary user, PostgreSQL refuses root."""
    run: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.defpath, "LC_ALL": "C"}}
    if os.geteuid() == 0:
        user, group = _server_user()
        run |= {"user": user, "group": group, "extra_groups": ()}
    return run


def _server_user() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise NoServer("servers cannot run as root, and this machine has neither postgres nor nobody")


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
