"""While the tests run, this machine may be reached and no other."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop


class OutsideConnection(RuntimeError):
    """A test tried to reach another machine; no OSError, lest a transport take it for an outage."""


@contextmanager
def only_loopback(servers: Iterable[str | None] = ()) -> Iterator[None]:
    """Refuse every connection that leaves this machine, except to the hosts of ``servers``.

    The ``servers`` are URLs. libpq connects by itself and is not seen here.
    """
    allowed = {"localhost", *(address for url in servers if url for address in _addresses(url))}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            original = getattr(socket.socket, name)
            patch.setattr(socket.socket, name, _guarded_socket(original, allowed))
        create = _guarded_uvloop(uvloop.Loop.create_connection, allowed)
        patch.setattr(uvloop.Loop, "create_connection", create)
        yield


def _guarded_socket(original: Any, allowed: set[str]) -> Any:
    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            try:
                _refuse_outside(address[0], allowed)
            except OutsideConnection:
                self.close()  # socket.create_connection closes after an OSError only
                raise
        return original(self, address)

    return connect


def _guarded_uvloop(original: Any, allowed: set[str]) -> Any:
    """Guard the connections that uvloop makes below the socket module."""

    def create_connection(
        loop: Any, factory: Any, host: Any = None, *rest: Any, **named: Any
    ) -> Any:
        if host is not None:
            _refuse_outside(host, allowed)
        return original(loop, factory, host, *rest, **named)

    return create_connection


def _refuse_outside(host: str, allowed: set[str]) -> None:
    if host not in allowed and not _is_local(host):
        raise OutsideConnection(f"tests reach this machine only: connecting to {host} is refused")


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")  # noqa: S104  # how the empty host is read
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _addresses(url: str) -> Iterable[str]:
    host = urlsplit(url).hostname
    return {host, *(str(found[4][0]) for found in socket.getaddrinfo(host, None))} if host else ()
