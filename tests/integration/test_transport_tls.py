"""TLS: only a receiver whose certificate stands for the URL's name gets a request."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
import trustme

from dispatcher.dial import system_tls
from tests.wire import (
    OK,
    Conversation,
    answering,
    failure_of,
    on_each_loop,
    post,
    receiving_raw,
    transport_to,
)

NAME = "hooks.reseller.example"
PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return an authority that our client trusts."""
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return what the transport uses, with the test's authority in place of the system's store."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the server's side for one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def to_loopback(_: str) -> Iterable[str]:
    """Resolve every name to this machine."""
    return ["127.0.0.1"]


@on_each_loop
async def test_a_good_certificate_is_accepted_and_the_connection_kept(
    authority: trustme.CA,
) -> None:
    """SNI, certificate and Host are the name's, while the socket goes to the pinned address."""
    server, names = serving(authority.issue_cert(NAME)), []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    async with (
        receiving_raw(answering(OK), tls=server) as receiver,
        transport_to(
            resolver=to_loopback, ssl_context=trusting(authority), deadline_seconds=5.0
        ) as transport,
    ):
        for _ in range(3):
            response = await post(transport, f"https://{NAME}:{receiver.port}/hook")
            assert (200, "127.0.0.1") == (response.status_code, response.extensions["remote_ip"])
    assert (1, [NAME]) == (receiver.connections, names)
    assert b"host: %b:%d\r\n" % (NAME.encode(), receiver.port) in receiver.requests[0]


@on_each_loop
async def test_a_certificate_for_an_address_is_accepted(authority: trustme.CA) -> None:
    """An IP literal is checked against the certificate's addresses."""
    server = serving(authority.issue_cert("127.0.0.1"))
    async with (
        receiving_raw(answering(OK), tls=server) as receiver,
        transport_to(ssl_context=trusting(authority), deadline_seconds=5.0) as transport,
    ):
        response = await post(transport, f"https://127.0.0.1:{receiver.port}/")
        assert response.status_code == 200


@pytest.mark.parametrize(
    "certificate",
    [
        lambda ours: ours.issue_cert(NAME, not_after=PAST),
        lambda ours: ours.issue_cert("other.example"),
        lambda ours: ours.issue_cert("127.0.0.1"),
        lambda _: trustme.CA().issue_cert(NAME),
    ],
    ids=["expired", "another name", "address only", "unknown authority"],
)
@on_each_loop
async def test_a_wrong_certificate_is_refused(authority: trustme.CA, certificate: object) -> None:
    """The class is ``tls``, the receiver hears nothing, and nothing goes out in plain (F35)."""
    assert callable(certificate)
    async with (
        receiving_raw(answering(OK), tls=serving(certificate(authority))) as receiver,
        transport_to(
            resolver=to_loopback, ssl_context=trusting(authority), deadline_seconds=5.0
        ) as transport,
    ):
        assert await failure_of(transport, f"https://{NAME}:{receiver.port}/") == "tls"
        assert receiver.requests == []


@on_each_loop
async def test_an_old_protocol_is_refused(authority: trustme.CA) -> None:
    """A receiver that speaks nothing newer than TLS 1.1 is not called."""
    server = serving(authority.issue_cert(NAME))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        server.minimum_version = ssl.TLSVersion.TLSv1
        server.maximum_version = ssl.TLSVersion.TLSv1_1
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    async with (
        receiving_raw(answering(OK), tls=server) as receiver,
        transport_to(
            resolver=to_loopback, ssl_context=trusting(authority), deadline_seconds=5.0
        ) as transport,
    ):
        assert await failure_of(transport, f"https://{NAME}:{receiver.port}/") == "tls"


@on_each_loop
async def test_a_receiver_that_asks_for_our_certificate_fails(authority: trustme.CA) -> None:
    """We have none: whether the handshake or the first answer says so, it is a failure."""
    server = serving(authority.issue_cert(NAME))
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    async with (
        receiving_raw(answering(OK), tls=server) as receiver,
        transport_to(
            resolver=to_loopback, ssl_context=trusting(authority), deadline_seconds=5.0
        ) as transport,
    ):
        assert await failure_of(transport, f"https://{NAME}:{receiver.port}/") in {"tls", "reset"}
        assert receiver.requests == []


@pytest.mark.parametrize("first_words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
@on_each_loop
async def test_a_receiver_without_tls_gets_no_request(
    authority: trustme.CA, first_words: bytes
) -> None:
    """Whoever hangs up on the handshake or answers in plain gets no request in plain."""

    async def plain(conversation: Conversation) -> None:
        await conversation.reader.read(10)
        await conversation.say(first_words)

    async with (
        receiving_raw(plain) as receiver,
        transport_to(
            resolver=to_loopback, ssl_context=trusting(authority), deadline_seconds=5.0
        ) as transport,
    ):
        assert await failure_of(transport, f"https://{NAME}:{receiver.port}/") == "tls"
        assert receiver.connections == 1


@pytest.mark.parametrize(
    ("deadline_seconds", "connect_seconds", "expected"),
    [(5.0, 0.2, "tls"), (0.2, 5.0, "timeout")],
)
@on_each_loop
async def test_a_stalled_handshake_ends(
    authority: trustme.CA, deadline_seconds: float, connect_seconds: float, expected: str
) -> None:
    """The handshake has its own bound, and the call's deadline bounds it too."""

    async def stalls(conversation: Conversation) -> None:
        await conversation.closed()

    async with (
        receiving_raw(stalls) as receiver,
        transport_to(
            resolver=to_loopback,
            ssl_context=trusting(authority),
            deadline_seconds=deadline_seconds,
            connect_seconds=connect_seconds,
        ) as transport,
    ):
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert expected == await failure_of(transport, f"https://{NAME}:{receiver.port}/")
        assert 0.15 <= loop.time() - start <= 2.0


@on_each_loop
async def test_without_a_context_the_systems_store_decides(authority: trustme.CA) -> None:
    """A certificate of an authority that this machine does not know is refused by default."""
    async with (
        receiving_raw(answering(OK), tls=serving(authority.issue_cert(NAME))) as receiver,
        transport_to(resolver=to_loopback, deadline_seconds=5.0) as transport,
    ):
        assert await failure_of(transport, f"https://{NAME}:{receiver.port}/") == "tls"


def test_the_process_has_one_strict_context() -> None:
    """Built once: TLS 1.2 or later, certificate and host name required."""
    context = system_tls()
    assert context is system_tls()
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)
