"""Every spelling of domain.md 4.1, and the ordinary URLs beside them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.egress import REASONS, URL_LENGTH_MAX, EgressPolicy, check_url
from dispatcher.errors import EndpointUrlRefused
from engine.errors import InvalidInput

CLOSED = EgressPolicy()
PLAIN = EgressPolicy(allow_http=True)
DEVELOPMENT = EgressPolicy.from_settings(["127.0.0.0/8", "::1/128"], allow_http=True)

REFUSED = {
    "not_ascii": (
        "https://１２７.0.0.1/",  # noqa: RUF001  # full-width digits are the attack
        "https://127。0。0。1/",
        "https://①②⑦.0.0.1/",
        "https://ⅼocalhost/",  # noqa: RUF001  # U+217C is the attack
        "https://exämple.com/",
        "https://example.com/ö",
    ),
    "control_character": (
        "https://127.0.0.1\x00.example.com/",
        "https://exam\tple.com/",
        "https://exam\nple.com/",
        "https://example.com/a\r\nhost: evil",
        "https://example.com/a b",
        " https://example.com/",
        "https://example.com/\x7f",
    ),
    "backslash": (
        "https://127.0.0.1\\@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https:\\\\example.com/",
    ),
    "unparsable": (
        "https://xn--/",
        "https://xn--ls8h.example/",
        "https://0177.0.0.1/",
        "https://256.1.1.1/",
        "https://[::1",
        "https://[1.2.3.4]/",
        "https://example.com:port/",
        "https://example.com:80:80/",
    ),
    "scheme": (
        "",
        "example.com/hook",
        "//example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "ws://example.com/",
    ),
    "plain_http": ("http://example.com/", "http://127.0.0.1/"),
    "user_info": (
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1%2f@example.com/",
    ),
    "fragment": ("https://example.com/#part", "https://example.com#@127.0.0.1/"),
    "host_missing": ("https://", "https:///hook", "https://:443/", "https://?a=b"),
    "zone_id": ("https://[fe80::1%25eth0]/", "https://[::1%lo]/"),
    "trailing_dot": ("https://example.com./", "https://localhost./"),
    "numeric_host": (
        "https://127.1/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://0/",
        "https://1.2.3/",
        "https://example.0x7f/",
        "https://example.1/",
    ),
    "bad_host": (
        "https://%31%32%37.0.0.1.com/",
        "https://e..com/",
        "https://-example.com/",
        "https://example-.com/",
        "https://*.example.com/",
        "https://example.com,127.0.0.1.com/",
        f"https://{'a' * 64}.com/",
        f"https://{'a.' * 130}com/",
    ),
    "single_label": ("https://intranet/", "https://metadata/"),
    "reserved_name": (
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost.localdomain/",
        "https://localhost6/",
        "https://app.localhost/",
        "https://metadata.google.internal/",
        "https://metadata.azure.internal/",
        "https://anything.internal/",
        "https://printer.local/",
        "https://instance-data/",
        "https://instance-data.ec2.internal/",
        "https://kubernetes.default.svc/",
        "https://kubernetes.default.svc.cluster.local/",
        "https://redis.prod.svc/",
        "https://host.docker.internal/",
    ),
    "not_canonical": (
        "https://example.com:/",
        "https://example.com:0443/",
        "https://example.com:+443/",
        "https://example.com/a/../b",
        "https://example.com/a/./b",
        'https://example.com/"quoted"',
        "https://example.com/<a>",
    ),
    "port": (
        "https://example.com:22/",
        "https://example.com:80/",
        "https://example.com:6379/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:65536/",
        "https://93.184.216.34:8080/",
    ),
    "blocked_address": (
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://168.63.129.16/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00:ec2::254]/",
    ),
}


@pytest.mark.fault("F38")
@pytest.mark.parametrize(
    ("reason", "url"), [(reason, url) for reason, urls in REFUSED.items() for url in urls]
)
def test_a_dangerous_spelling_is_refused_with_its_reason(reason: str, url: str) -> None:
    """Each spelling is refused as input to the field, without the URL in the message."""
    with pytest.raises(EndpointUrlRefused) as refusal:
        check_url(url, CLOSED)
    assert {"field": "url", "reason": reason} == refusal.value.details
    assert refusal.value.code == "URL_REFUSED"
    assert isinstance(refusal.value, InvalidInput)
    assert REASONS[reason] in refusal.value.message


def test_every_reason_is_reached() -> None:
    """No reason is documented that no spelling leads to."""
    assert set(REASONS) == set(REFUSED) | {"too_long"}


def test_a_url_may_have_2048_characters_and_no_more() -> None:
    """The limit is on the URL as written."""
    longest = "https://example.com/".ljust(URL_LENGTH_MAX, "a")
    assert check_url(longest, CLOSED).host == "example.com"
    with pytest.raises(EndpointUrlRefused) as refusal:
        check_url(longest + "a", CLOSED)
    assert refusal.value.details["reason"] == "too_long"


@pytest.mark.parametrize(
    ("url", "origin", "host_header", "path"),
    [
        ("https://example.com", "https://example.com:443", b"example.com", b"/"),
        ("HTTPS://Example.COM/Hook", "https://example.com:443", b"example.com", b"/Hook"),
        ("https://example.com:443/h", "https://example.com:443", b"example.com", b"/h"),
        ("https://example.com:8443/h", "https://example.com:8443", b"example.com:8443", b"/h"),
        ("https://example.com?a[]=1&b={c}", None, b"example.com", b"/?a[]=1&b={c}"),
        ("https://example.com/a%20b/@me?x=%2f", None, b"example.com", b"/a%20b/@me?x=%2f"),
        ("https://xn--exmple-cua.com/", "https://xn--exmple-cua.com:443", None, b"/"),
        ("https://a_b.example.com/", "https://a_b.example.com:443", None, b"/"),
        ("https://93.184.216.34/h", "https://93.184.216.34:443", b"93.184.216.34", b"/h"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]:443", b"[2606:4700::1111]", b"/"),
    ],
)
def test_an_ordinary_url_is_split_for_the_wire(
    url: str, origin: str | None, host_header: bytes | None, path: bytes
) -> None:
    """What is called is what was written: host in lower case, path and query untouched."""
    target = check_url(url, CLOSED)
    assert path == target.target
    assert origin in {None, target.origin}
    assert host_header in {None, target.host_header}
    assert target.holes_only is False


@pytest.mark.parametrize(
    ("url", "literal", "holes_only"),
    [
        ("http://127.0.0.1:9001/hook", "127.0.0.1", True),
        ("http://127.0.0.1/hook", "127.0.0.1", False),
        ("http://[::1]:3000/", "::1", True),
        ("http://[::ffff:127.0.0.1]:3000/", "127.0.0.1", True),
        ("http://localhost:3000/", None, True),
        ("http://localhost/", None, True),
        ("http://receiver:9000/", None, True),
        ("http://app.localhost/", None, True),
        ("https://example.com:9001/", None, True),
        ("https://example.com/", None, False),
        ("http://example.com/", None, False),
        ("http://example.com:80/", None, False),
    ],
)
def test_a_hole_allows_any_port_but_only_into_holes(
    url: str, literal: str | None, *, holes_only: bool
) -> None:
    """Development URLs work; a name on an odd port, or an inner one, may lead only into holes."""
    target = check_url(url, DEVELOPMENT)
    assert (literal, holes_only) == (target.literal, target.holes_only)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://10.0.0.1:9001/", "blocked_address"),
        ("http://93.184.216.34:9001/", "port"),
        ("http://metadata.google.internal/", "reserved_name"),
        ("http://host.docker.internal:3000/", "reserved_name"),
        ("http://localhost.example.com/", "reserved_name"),
        ("http://instance-data/", "reserved_name"),
        ("http://127.0.0.1:0/", "port"),
        ("http://127.0.0.1:65536/", "port"),
    ],
)
def test_a_hole_opens_nothing_else(url: str, reason: str) -> None:
    """Beside the hole every rule stands."""
    with pytest.raises(EndpointUrlRefused) as refusal:
        check_url(url, DEVELOPMENT)
    assert reason == refusal.value.details["reason"]


def test_localhost_needs_a_hole_over_loopback() -> None:
    """A hole elsewhere does not open this machine by name."""
    policy = EgressPolicy.from_settings(["10.0.0.0/8"], allow_http=True)
    with pytest.raises(EndpointUrlRefused) as refusal:
        check_url("http://localhost:3000/", policy)
    assert refusal.value.details["reason"] == "reserved_name"


def test_plain_http_opens_port_80() -> None:
    """With plain HTTP allowed, 80 joins the ports; without, it does not."""
    assert frozenset({80, 443, 8443}) == PLAIN.ports
    assert frozenset({443, 8443}) == CLOSED.ports
    assert check_url("http://example.com/", PLAIN).port == 80


@pytest.mark.fault("F39")
@given(st.text(max_size=60))
def test_no_text_escapes_as_a_foreign_exception(text: str) -> None:
    """Whatever is written after the scheme, the answer is a target or a refusal."""
    for url in (text, f"https://{text}", f"https://{text}.example.com/{text}"):
        try:
            target = check_url(url, DEVELOPMENT)
        except EndpointUrlRefused:
            continue
        assert target.host_header.isascii()
        assert not set(target.head_start) & {0, 127}
        assert target.head_start.count(b"\n") == 3


@pytest.mark.fault("F38")
@given(st.from_regex(r"\A[a-z0-9.:@%\[\]/?_-]{1,40}\Z"))
def test_what_is_accepted_names_one_host_to_everybody(rest: str) -> None:
    """An accepted URL has no user part, and its host stands right after the scheme."""
    try:
        target = check_url(f"https://{rest}", DEVELOPMENT)
    except EndpointUrlRefused:
        return
    shown = f"[{target.host}]" if ":" in target.host else target.host
    assert rest.startswith(shown)
    assert rest[len(shown) :][:1] in {"", ":", "/", "?"}
