"""Sealed secrets: bound to their owner, readable by every key of the ring, silent about content."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput, SecretUnreadable
from engine.sealing import KeyRing, bound_to, key_id_of

OLD = b"o" * 32
NEW = b"n" * 32
PLAIN = b"canary-of-a-secret"
OWNER = "tenant/endpoint"


@given(st.binary(max_size=200), st.text(max_size=80))
def test_what_is_sealed_opens_for_its_owner(plain: bytes, owner: str) -> None:
    """Sealing and opening give the same bytes back."""
    ring = KeyRing([NEW])
    key_id, ciphertext = ring.seal(plain, bound_to=owner)
    assert plain == ring.open(key_id, ciphertext, bound_to=owner)


def test_the_same_secret_seals_differently_each_time() -> None:
    """A fresh nonce each time: equal secrets cannot be recognised, nor read."""
    ring = KeyRing([NEW])
    first, second = (ring.seal(PLAIN, bound_to=OWNER)[1] for _ in range(2))
    assert first != second
    assert PLAIN not in first


def test_the_key_id_is_the_start_of_the_keys_hash() -> None:
    """The id names the key for ever, whatever its place in the ring."""
    key_id, _ = KeyRing([NEW, OLD]).seal(PLAIN, bound_to=OWNER)
    assert hashlib.sha256(NEW).hexdigest()[:16] == key_id


def test_the_first_key_seals_and_every_key_opens() -> None:
    """After a new key is put first, what the old one sealed still opens."""
    key_id, ciphertext = KeyRing([OLD]).seal(PLAIN, bound_to=OWNER)
    rotated = KeyRing([NEW, OLD])
    assert PLAIN == rotated.open(key_id, ciphertext, bound_to=OWNER)
    assert key_id != rotated.seal(PLAIN, bound_to=OWNER)[0]


def test_a_missing_key_is_named_with_what_to_do() -> None:
    """Without its key a secret stays shut, and the refusal names the key id and the setting."""
    key_id, ciphertext = KeyRing([OLD]).seal(PLAIN, bound_to=OWNER)
    with pytest.raises(SecretUnreadable, match="TILLBELL_SECRET_KEYS") as refusal:
        KeyRing([NEW]).open(key_id, ciphertext, bound_to=OWNER)
    assert refusal.value.code == "SECRET_UNREADABLE"
    assert {"key_id": key_id} == refusal.value.details
    assert key_id in refusal.value.message


def test_a_secret_does_not_open_as_another_endpoints() -> None:
    """A ciphertext copied to another row is refused."""
    ring = KeyRing([NEW])
    key_id, ciphertext = ring.seal(PLAIN, bound_to=OWNER)
    with pytest.raises(SecretUnreadable, match="another owner"):
        ring.open(key_id, ciphertext, bound_to="tenant/other")


def test_each_tenant_endpoint_and_kind_is_an_owner_of_its_own() -> None:
    """What differs in any of the three does not open."""
    owners = {bound_to(*each) for each in (("t", "e", "a"), ("u", "e", "a"), ("t", "f", "a"))}
    assert 4 == len({*owners, bound_to("t", "e", "b")})


def test_keys_are_told_by_their_ids_the_sealing_one_first() -> None:
    """The ids are those of the keys in their order."""
    ring = KeyRing([NEW, OLD])
    assert (key_id_of(NEW), key_id_of(OLD)) == ring.key_ids
    assert key_id_of(NEW) == ring.sealing_key_id


@pytest.mark.parametrize("cut", [0, 5, 12, 20])
def test_a_cut_or_altered_ciphertext_is_refused(cut: int) -> None:
    """Damage of any kind is one refusal, never a wrong secret."""
    ring = KeyRing([NEW])
    key_id, ciphertext = ring.seal(PLAIN, bound_to=OWNER)
    altered = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    for damaged in (ciphertext[:cut], altered):
        with pytest.raises(SecretUnreadable) as refusal:
            ring.open(key_id, damaged, bound_to=OWNER)
        assert PLAIN.decode() not in str(refusal.value)


def test_a_ring_never_shows_a_key() -> None:
    """Text of a ring holds ids only."""
    shown = repr(KeyRing([NEW, OLD])) + str(KeyRing([NEW]))
    assert hashlib.sha256(OLD).hexdigest()[:16] in shown
    assert NEW.decode() not in shown
    assert OLD.hex() not in shown


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b""], [b"l" * 33]])
def test_a_ring_needs_keys_of_32_bytes(keys: list[bytes]) -> None:
    """No key, or one of another length, is refused at the start."""
    with pytest.raises(InvalidInput) as refusal:
        KeyRing(keys)
    assert refusal.value.details["field"] == "secret_keys"
