"""Every address of domain.md 4.1, judged by the table and by the table alone."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.addresses import NOT_PUBLIC_V4, NOT_PUBLIC_V6, IPNetwork, is_public, parse_address
from dispatcher.egress import EgressPolicy, Reach, address_allowed
from engine.errors import InvalidInput

POLICY = EgressPolicy()

REFUSED = (
    # First and last of every IPv4 row.
    *("0.0.0.1", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255"),
    *("127.0.0.0", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.255.255"),
    *("172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.0", "192.0.2.255"),
    *("192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255"),
    *("192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.0", "224.0.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255"),
    # Metadata of the clouds.
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23"),
    *("100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    # What ipaddress.is_global has called global in one Python or another.
    *("::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::"),
    *("3fff::1", "5f00::1", "100:0:0:1::1", "fec0::1", "ff02::1"),
    # The other forms that hide an address or stay inside a network.
    *("::", "::1", "100::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "ff0e::1"),
    *("2001::1", "2001:0:7f00:1::", "2001:20::1", "2001:1ff:ffff::1", "2001:db8::1"),
    *("2620:4f:8000::1", "3fff:fff::1", "4000::1", "1fff::1"),
    # IPv4-mapped forms are judged as what they map.
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a83f:8110"),
)
ALLOWED = (
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"),
    *("126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17", "172.15.255.255"),
    *("172.32.0.0", "191.255.255.255", "192.0.1.0", "192.167.255.255", "192.169.0.0"),
    *("198.17.255.255", "198.20.0.0", "223.255.255.255", "93.184.216.34"),
    *("2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "2003::1"),
    *("3ffe::1", "3fff:1000::1", "::ffff:93.184.216.34"),
)


@pytest.mark.fault("F38")
@pytest.mark.parametrize("text", REFUSED)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    """No private, local, reserved, translated or metadata address may be called."""
    assert address_allowed(ip_address(text), POLICY) is False
    assert POLICY.reach(ip_address(text)) is Reach.REFUSED


@pytest.mark.parametrize("text", ALLOWED)
def test_a_public_address_is_allowed(text: str) -> None:
    """The neighbours of every forbidden range, and plain public addresses, may be called."""
    assert address_allowed(ip_address(text), POLICY) is True
    assert POLICY.reach(ip_address(text)) is Reach.PUBLIC


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_one_it_maps(address: IPv4Address) -> None:
    """``::ffff:a.b.c.d`` never reaches further than ``a.b.c.d``."""
    mapped = IPv6Address(f"::ffff:{address}")
    assert is_public(address) == is_public(mapped)
    assert parse_address(str(mapped)) == address


@given(st.ip_addresses(v=6))
def test_outside_the_public_block_no_ipv6_address_is_public(address: IPv6Address) -> None:
    """2000::/3 is the only door, whatever form an address has."""
    mapped = address.ipv4_mapped is not None
    inside = 0x2000 <= int(address) >> 112 <= 0x3FFF
    assert not (is_public(address) and not (inside or mapped))


@pytest.mark.parametrize("network", NOT_PUBLIC_V4 + NOT_PUBLIC_V6, ids=str)
def test_a_row_holds_from_its_first_address_to_its_last(network: IPNetwork) -> None:
    """Both ends of every row of the table are refused."""
    assert [False, False] == [is_public(network[0]), is_public(network[-1])]


@pytest.mark.parametrize(
    ("holes", "text", "expected"),
    [
        (["127.0.0.0/8"], "127.0.0.1", Reach.HOLE),
        (["127.0.0.0/8"], "::ffff:127.0.0.1", Reach.HOLE),
        (["127.0.0.0/8"], "::1", Reach.REFUSED),
        (["127.0.0.0/8"], "10.0.0.1", Reach.REFUSED),
        (["10.1.0.0/16", "::1/128"], "::1", Reach.HOLE),
        (["10.1.0.0/16"], "10.2.0.1", Reach.REFUSED),
        (["8.8.8.0/24"], "8.8.8.8", Reach.HOLE),
    ],
)
def test_a_hole_opens_its_network_and_no_more(holes: list[str], text: str, expected: Reach) -> None:
    """What the operator opens may be called on any port; its neighbours stay shut."""
    policy = EgressPolicy.from_settings(holes, allow_http=False)
    assert expected is policy.reach(ip_address(text))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["93.184.216.34", "2606:4700::1111"], Reach.PUBLIC),
        (["93.184.216.34", "10.0.0.1"], Reach.REFUSED),
        (["93.184.216.34", "fe80::1"], Reach.REFUSED),
        (["93.184.216.34", "127.0.0.1"], Reach.PUBLIC),
        (["127.0.0.1", "127.0.0.2"], Reach.HOLE),
        (["1.1.1.1"] * 999 + ["192.168.0.1"], Reach.REFUSED),
        ([], Reach.REFUSED),
    ],
)
def test_a_name_reaches_as_far_as_the_least_of_its_addresses(
    texts: list[str], expected: Reach
) -> None:
    """One forbidden address refuses the whole name; a hole counts only when all lie in holes."""
    policy = EgressPolicy.from_settings(["127.0.0.0/8"], allow_http=False)
    assert expected is policy.reach_of_all([ip_address(text) for text in texts])


def test_a_bad_network_is_refused_by_name() -> None:
    """The policy names the network that cannot be read."""
    with pytest.raises(InvalidInput, match=r"10\.0\.0\.1/8") as refusal:
        EgressPolicy.from_settings(["10.0.0.1/8"], allow_http=False)
    assert refusal.value.details["field"] == "egress_allow"
