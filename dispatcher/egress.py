"""Where callbacks may go: the egress policy, and the vetting of URLs and addresses. Pure.

The rules are domain.md 4.1. One parser (httpx's) reads a URL, and what it read must be what was
written; every address of a name must pass, or the whole name is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network

from dispatcher.addresses import IPAddress, IPNetwork, is_public, parse_address, unwrap
from dispatcher.errors import EndpointUrlRefused
from dispatcher.http_types import URL, InvalidURL
from engine.errors import InvalidInput

URL_LENGTH_MAX = 2048
HOST_LENGTH_MAX = 253
DEFAULT_PORTS = {"https": 443, "http": 80}
HTTPS_PORTS = frozenset({443, 8443})
HEAD_START = b" %b HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\ncontent-length: "
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
#: Names that lead into a platform's own network, whatever they resolve to.
RESERVED_NAME = re.compile(
    r"(.+\.)?(internal|local|svc)|(instance-data|kubernetes\.default)(\..+)?"
    r"|localhost[0-9]*\..+|localhost[0-9]+"
)
#: These mean this machine by definition (RFC 6761, 6.3).
LOOPBACK_NAME = re.compile(r"(.+\.)?localhost")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")

REASONS = {
    "too_long": f"it is longer than {URL_LENGTH_MAX} characters",
    "not_ascii": "it holds characters outside ASCII; write the host in punycode, the rest as %XX",
    "control_character": "it holds a space or a control character",
    "backslash": "it holds a backslash",
    "unparsable": "it cannot be read as a URL",
    "scheme": "it must begin with https://",
    "plain_http": "it must begin with https://; http:// is allowed only by TILLBELL_ALLOW_HTTP",
    "user_info": "it holds a user name or password; use a secret path or the signature instead",
    "fragment": "it holds a fragment (#)",
    "host_missing": "it has no host",
    "zone_id": "its address has a zone id",
    "trailing_dot": "its host ends in a dot",
    "numeric_host": "its host is a number in disguise; write an address as four decimal parts",
    "bad_host": "its host is not a valid name",
    "single_label": "its host has no domain",
    "reserved_name": "its host is reserved for internal services",
    "not_canonical": "it would be rewritten before it is called; write it as it goes on the wire",
    "port": "its port is not allowed; use 443 or 8443 (80 where http:// is allowed)",
    "blocked_address": "its address is not public",
}


class Reach(Enum):
    """How far an address, or a whole name, may be called."""

    REFUSED = "refused"  #: never
    PUBLIC = "public"  #: on the allowed ports
    HOLE = "hole"  #: on any port: the operator opened its network


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What the operator allows: networks opened by hand (holes) and plain HTTP."""

    allow: tuple[IPNetwork, ...] = ()
    allow_http: bool = False

    @classmethod
    def from_settings(cls, networks: Iterable[str], *, allow_http: bool) -> EgressPolicy:
        """Read the networks of ``TILLBELL_EGRESS_ALLOW``; raises InvalidInput naming a bad one."""
        opened = []
        for text in networks:
            try:
                opened.append(ip_network(text))
            except ValueError as error:
                raise InvalidInput(
                    f"egress network {text!r} cannot be used: {error}",
                    field="egress_allow",
                    value=text,
                ) from None
        return cls(tuple(opened), allow_http)

    @property
    def ports(self) -> frozenset[int]:
        """Ports that may be called outside of holes."""
        return HTTPS_PORTS | {80} if self.allow_http else HTTPS_PORTS

    @property
    def opens_loopback(self) -> bool:
        """Whether a hole covers this machine itself."""
        return any(
            hole.version == loop.version and hole.overlaps(loop)
            for hole in self.allow
            for loop in LOOPBACK
        )

    def reach(self, address: IPAddress) -> Reach:
        """Say how far one address may be called."""
        if any(unwrap(address) in network for network in self.allow):
            return Reach.HOLE
        return Reach.PUBLIC if is_public(address) else Reach.REFUSED

    def reach_of_all(self, addresses: Sequence[IPAddress]) -> Reach:
        """Say how far a name may be called: as far as the least of its addresses."""
        reaches = {self.reach(address) for address in addresses}
        if not reaches or Reach.REFUSED in reaches:
            return Reach.REFUSED
        return Reach.PUBLIC if Reach.PUBLIC in reaches else Reach.HOLE


@dataclass(frozen=True, slots=True)
class Target:
    """A vetted URL, split into what a call needs.

    ``origin`` is what a connection is bound to, besides its address; ``target`` the path with its
    query; ``head_start`` the request's head from after the method to before the content length;
    ``literal`` the address when the host is one, IPv4-mapped ones as IPv4; ``holes_only`` demands
    that every address of the name lies in a hole.
    """

    scheme: str
    host: str
    port: int
    target: bytes
    origin: str
    host_header: bytes
    head_start: bytes
    literal: str | None
    holes_only: bool


def address_allowed(address: IPAddress, policy: EgressPolicy) -> bool:
    """Tell whether ``address`` may be called at all: it is public, or lies in a hole."""
    return policy.reach(address) is not Reach.REFUSED


def check_url(url: str, policy: EgressPolicy) -> Target:
    """Return what to call for ``url``, or raise EndpointUrlRefused with the reason.

    Meant for creation, edit and each send alike; it resolves nothing, so the addresses of a name
    are judged when it is called.
    """
    _check_characters(url)
    parsed = _parse(url)
    if parsed.scheme not in DEFAULT_PORTS:
        raise _refused("scheme")
    if parsed.scheme == "http" and not policy.allow_http:
        raise _refused("plain_http")
    host = parsed.raw_host.decode("ascii")
    shown = f"[{host}]" if ":" in host else host
    port = DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
    _check_as_written(url, parsed, {shown, f"{shown}:{port}"})
    address = _literal(host)
    return Target(
        scheme=parsed.scheme,
        host=host,
        port=port,
        target=parsed.raw_path,
        origin=f"{parsed.scheme}://{shown}:{port}",
        host_header=parsed.netloc,
        head_start=HEAD_START % (parsed.raw_path, parsed.netloc),
        literal=None if address is None else str(address),
        holes_only=_needs_hole(host, address, port, policy),
    )


def _refused(reason: str) -> EndpointUrlRefused:
    """Build the refusal; the URL itself stays out of it, for it may hold a secret."""
    message = f"this callback URL cannot be used: {REASONS[reason]}"
    return EndpointUrlRefused(message, field="url", reason=reason)


def _check_characters(url: str) -> None:
    """Refuse what two parsers could read in two ways, before any parser sees it."""
    if len(url) > URL_LENGTH_MAX:
        raise _refused("too_long")
    if not url.isascii():
        raise _refused("not_ascii")
    if any(character <= " " or character == "\x7f" for character in url):
        raise _refused("control_character")
    if "\\" in url:
        raise _refused("backslash")
    if "#" in url:
        raise _refused("fragment")


def _parse(url: str) -> URL:
    try:
        parsed = URL(url)
        # The host is decoded on reading: a false punycode label is refused here, not at the send.
        _ = parsed.host
    except (InvalidURL, ValueError) as error:  # ValueError: idna.IDNAError is one
        raise _refused("unparsable") from error
    return parsed


def _check_as_written(url: str, parsed: URL, authorities: set[str]) -> None:
    """Refuse a URL that the parser would change, other than in letter case and an empty path."""
    scheme, separator, rest = url.partition("://")
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise _refused("user_info")
    if not parsed.raw_host:
        raise _refused("host_missing")
    path = rest[len(authority) :]
    written = path if path.startswith("/") else f"/{path}"
    same = scheme.lower() == parsed.scheme and authority.lower() in authorities
    if not (separator and same and written.encode() == parsed.raw_path):
        raise _refused("not_canonical")


def _literal(host: str) -> IPAddress | None:
    if "%" in host and ":" in host:
        raise _refused("zone_id")
    try:
        return parse_address(host)
    except ValueError:
        return None


def _needs_hole(host: str, address: IPAddress | None, port: int, policy: EgressPolicy) -> bool:
    """Tell whether only holes may be called, or refuse what may not be called at all."""
    if not 1 <= port <= 65535:
        raise _refused("port")
    if address is None:
        inner = _is_inner_name(host, policy)
        holes = bool(policy.allow)
    else:
        reach = policy.reach(address)
        if reach is Reach.REFUSED:
            raise _refused("blocked_address")
        inner, holes = False, reach is Reach.HOLE
    if port not in policy.ports and not holes:
        raise _refused("port")
    return inner or port not in policy.ports


def _is_inner_name(host: str, policy: EgressPolicy) -> bool:
    """Tell whether a name has a meaning only inside a network of the operator's, or refuse it."""
    if host.endswith("."):
        raise _refused("trailing_dot")
    labels = host.split(".")
    if NUMERIC_LABEL.fullmatch(labels[-1]):
        raise _refused("numeric_host")
    if len(host) > HOST_LENGTH_MAX or not all(LABEL.fullmatch(label) for label in labels):
        raise _refused("bad_host")
    loopback = LOOPBACK_NAME.fullmatch(host) is not None
    if RESERVED_NAME.fullmatch(host) or (loopback and not policy.opens_loopback):
        raise _refused("reserved_name")
    if len(labels) == 1 and not policy.allow:
        raise _refused("single_label")
    return loopback or len(labels) == 1
