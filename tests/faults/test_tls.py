"""Receivers whose TLS is wrong: no request, no second try in plain text, one clear class (F35)."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dispatcher.dial import system_tls
from dispatcher.transport import CallbackTransport
from tests.faults.measured import outcome
from tests.faults.plugin import Reached
from tests.wire import LOOPBACK, OK, Conversation, Handler, answering, receiving_raw

NAME = "hooks.reseller.example"
PAST = datetime(2020, 1, 1, tzinfo=UTC)
PEM = Encoding.PEM
#: The two algorithms as DER writes them (RFC 8017, A.2.4), and what stands before a SHA-1 digest.
RSA_SHA256 = bytes.fromhex("06092a864886f70d01010b")
RSA_SHA1 = bytes.fromhex("06092a864886f70d010105")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
Serving = Callable[[trustme.CA], ssl.SSLContext]


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the server's side for one certificate, which may be weak."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    certificate.configure_cert(context)
    return context


def self_signed(_: trustme.CA) -> ssl.SSLContext:
    """Serve a certificate that vouches for itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return serving(trustme.LeafCert(private, made.public_bytes(PEM), []))


def signed_over_sha1(ours: trustme.CA) -> ssl.SSLContext:
    """Serve a certificate of our authority whose signature is one over SHA-1.

    Written by hand into one that is good otherwise: no library makes them any more.
    """
    leaf = ours.issue_cert(NAME, key_type=trustme.KeyType.RSA)
    good = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    key = load_pem_private_key(ours.private_key_pem.bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    body = good.tbs_certificate_bytes.replace(RSA_SHA256, RSA_SHA1)
    digest = SHA1_INFO + hashlib.sha1(body, usedforsecurity=False).digest()
    size = key.key_size // 8
    padded = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
    numbers = key.private_numbers()
    number = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n)
    der = good.public_bytes(Encoding.DER).replace(good.tbs_certificate_bytes, body)
    der = der.replace(RSA_SHA256, RSA_SHA1).replace(good.signature, number.to_bytes(size))
    made = x509.load_der_x509_certificate(der).public_bytes(PEM)
    return serving(trustme.LeafCert(leaf.private_key_pem.bytes(), made, []))


def speaking_only(version: ssl.TLSVersion) -> Serving:
    """Serve a good certificate over an old protocol."""

    def serve(ours: trustme.CA) -> ssl.SSLContext:
        context = serving(ours.issue_cert(NAME))
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = context.maximum_version = version
        return context

    return serve


def asking_for_ours(ours: trustme.CA) -> ssl.SSLContext:
    """Serve a good certificate and demand one of the caller."""
    context = serving(ours.issue_cert(NAME))
    ours.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def knowing_another_name(ours: trustme.CA) -> ssl.SSLContext:
    """Serve only callers that ask for another name (RFC 6066, 3)."""
    context = serving(ours.issue_cert(NAME))
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    return context


def with_a_long_chain(ours: trustme.CA) -> ssl.SSLContext:
    """Serve a good certificate with more than 100 kB of others behind it."""
    leaf = ours.issue_cert(NAME)
    own = ours.cert_pem.bytes()
    size = len(x509.load_pem_x509_certificate(own).public_bytes(Encoding.DER))
    chain = [own] * (110_000 // size)
    pems = [leaf.cert_chain_pems[0].bytes(), *chain]
    return serving(trustme.LeafCert(leaf.private_key_pem.bytes(), pems[0], pems[1:]))


async def stalling(conversation: Conversation) -> None:
    """Accept and say nothing, not even hello."""
    await conversation.closed()


KINDS: dict[str, tuple[Serving | None, set[str]]] = {
    "good": (lambda ours: serving(ours.issue_cert(NAME)), {"200"}),
    "expired": (lambda ours: serving(ours.issue_cert(NAME, not_after=PAST)), {"tls"}),
    "self-signed": (self_signed, {"tls"}),
    "unknown authority": (lambda _: serving(trustme.CA().issue_cert(NAME)), {"tls"}),
    "wrong host": (lambda ours: serving(ours.issue_cert("other.example")), {"tls"}),
    "SHA-1": (signed_over_sha1, {"tls"}),
    "TLS 1.0": (speaking_only(ssl.TLSVersion.TLSv1), {"tls"}),
    "TLS 1.1": (speaking_only(ssl.TLSVersion.TLSv1_1), {"tls"}),
    # TLS 1.3 tells a caller without a certificate after the handshake: closing may come first.
    "our certificate asked": (asking_for_ours, {"tls", "reset"}),
    "another name": (knowing_another_name, {"tls"}),
    "100 kB chain": (with_a_long_chain, {"tls"}),
    "stall": (None, {"tls"}),
}


@pytest.fixture(scope="module")
def ours() -> trustme.CA:
    """Return an authority that our client trusts."""
    return trustme.CA(key_type=trustme.KeyType.RSA)


def trusting(ours: trustme.CA) -> ssl.SSLContext:
    """Return the product's own context, made anew, with the test's authority added."""
    context = system_tls.__wrapped__()
    ours.configure_trust(context)
    return context


async def to_loopback(_: str) -> Iterable[str]:
    """Resolve every name to this machine."""
    return ["127.0.0.1"]


@pytest.mark.fault("F35")
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_tls_is_refused_and_never_tried_in_plain(
    kind: str, ours: trustme.CA, reached: Reached
) -> None:
    """Each is a failure of its class, the receiver hears no request, and one connection a call."""
    times, bound = reached.times(2, 10), 5.0 if reached.full else 0.4
    serve, ends = KINDS[kind]
    handler: Handler = stalling if serve is None else answering(OK)

    async def story() -> tuple[list[tuple[str, float]], int, int]:
        tls = None if serve is None else serve(ours)
        transport = CallbackTransport(
            LOOPBACK,
            resolver=to_loopback,
            ssl_context=trusting(ours),
            connect_seconds=bound if serve is None else 5.0,
        )
        async with receiving_raw(handler, tls=tls) as receiver:
            url = f"https://{NAME}:{receiver.port}/"
            found = [await outcome(transport, url) for _ in range(times)]
            await transport.aclose()
            return found, receiver.connections, len(receiver.requests)

    found, connections, requests = asyncio.run(story())
    counted = Counter(ended for ended, _ in found)
    assert set(counted) <= ends
    assert requests == (times if kind == "good" else 0)
    # asyncio hands a connection over when its handshake is done; a stalled one counts at once.
    assert connections <= times
    said = ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
    reached.says("F35", f"{kind}: {said}, requests heard {requests}")
