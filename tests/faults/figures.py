"""What processes are measured by, from ``/proc``: memory, files, sockets, and where these lead.

Each judging function returns what does not hold of I7 and R1 to R3, one sentence each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from dispatcher.egress import EgressPolicy, Reach

GROWTH_MAX_MEGABYTES = 150.0
FILES_MAX = 10
SLACK_SECONDS = 60.0
ESTABLISHED, SYN_SENT = "01", "02"


@dataclass(frozen=True)
class Figures:
    """What a process holds at one moment."""

    rss_megabytes: float
    files: int
    sockets: int


def of(pid: int) -> Figures:
    """Return the figures of a running process."""
    fields = Path(f"/proc/{pid}/status").read_text().splitlines()
    rss_kilobytes = next(int(line.split()[1]) for line in fields if line.startswith("VmRSS:"))
    kinds = list(_open_files(pid))
    sockets = sum(kind.startswith("socket:") for kind in kinds)
    return Figures(rss_kilobytes / 1024, len(kinds), sockets)


def remotes(pid: int) -> set[tuple[str, int]]:
    """Return the addresses and ports to which a process has, or is opening, a TCP connection."""
    mine = {kind[8:-1] for kind in _open_files(pid) if kind.startswith("socket:[")}
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in mine and fields[3] in {ESTABLISHED, SYN_SENT}:
                found.add(_address(fields[2]))
    return found


def forbidden(
    connected: Iterable[tuple[str, int]], policy: EgressPolicy, servers: Iterable[int]
) -> Iterator[str]:
    """Yield I7: connections that the egress policy refuses, but for those to ``servers``' ports."""
    ours = set(servers)
    for address, port in sorted(connected):
        if port not in ours and policy.reach(ip_address(address)) is Reach.REFUSED:
            yield f"I7: a socket leads to {address} port {port}"


def grown(before: Figures, after: Figures) -> Iterator[str]:
    """Yield R1: memory, files or sockets that did not come back."""
    megabytes = after.rss_megabytes - before.rss_megabytes
    if megabytes > GROWTH_MAX_MEGABYTES:
        yield f"R1: {megabytes:.0f} MB more than at the start"
    for name in ("files", "sockets"):
        more = getattr(after, name) - getattr(before, name)
        if more > FILES_MAX:
            yield f"R1: {more} {name} more than at the start"


def slow(fault_seconds: float, drained_seconds: float) -> Iterator[str]:
    """Yield R2: a backlog that took longer to drain than twice the fault and a minute."""
    most = 2 * fault_seconds + SLACK_SECONDS
    if drained_seconds > most:
        yield f"R2: drained {drained_seconds:.0f} s after the fault, at most {most:.0f} s"


def told(texts: Iterable[tuple[str, str]], canaries: Iterable[str]) -> Iterator[str]:
    """Yield R3: secrets that stand in a text; ``texts`` are pairs of a name and what it holds."""
    secrets = list(canaries)
    for name, text in texts:
        for number, secret in enumerate(secrets):
            if secret in text:
                yield f"R3: {name} holds secret {number}"


def _open_files(pid: int) -> Iterator[str]:
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            yield str(path.readlink())


def _address(text: str) -> tuple[str, int]:
    """Return what ``0100007F:1F90`` means: words of the machine's order, port last."""
    digits, _, port = text.partition(":")
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    raw = b"".join(words)
    address = IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), int(port, 16)
