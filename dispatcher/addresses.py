"""Which IP addresses are public: a table of our own, for ``ipaddress`` flags change with Python.

The table is domain.md 4.1: IPv4 must be outside every row; IPv6 must be inside 2000::/3 and outside
every row, so that mapped, translated, local and multicast forms need no list to be refused.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

NOT_PUBLIC_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier NAT; Alibaba's metadata 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server, inside a public range
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: hides an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def parse_address(text: str) -> IPAddress:
    """Return the address written in ``text``, an IPv4-mapped one as IPv4; raise ValueError.

    Only the plain spellings are read (no octal, hexadecimal or short IPv4 forms).
    """
    return unwrap(ip_address(text))


def unwrap(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv4-mapped one stands for, or the address itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: IPAddress) -> bool:
    """Tell whether ``address`` belongs to the public Internet."""
    plain = unwrap(address)
    if isinstance(plain, IPv4Address):
        return not any(plain in network for network in NOT_PUBLIC_V4)
    return plain in PUBLIC_V6 and not any(plain in network for network in NOT_PUBLIC_V6)
