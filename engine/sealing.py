"""What is secret at rest: AES-256-GCM, bound to its owner, readable by any key of the ring."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import InvalidInput, SecretUnreadable

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_LENGTH = 16


def bound_to(tenant_id: str, owner_id: str, kind: str) -> str:
    """Name what a sealed thing belongs to: it opens neither as another's nor as another kind."""
    return f"{tenant_id}/{owner_id}/{kind}"


class KeyRing:
    """The keys of ``TILLBELL_SECRET_KEYS``: the first seals, all open.

    To rotate, put a new key first and keep the old ones until nothing names their id any more.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take keys of 32 bytes, the newest first; raises InvalidInput for none or a wrong one."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise InvalidInput(
                f"secret keys are one or more keys of {KEY_BYTES} bytes", field="secret_keys"
            )
        self._ciphers = {key_id_of(key): AESGCM(key) for key in keys}
        self.sealing_key_id = key_id_of(keys[0])

    def __repr__(self) -> str:
        """Show key ids, never a key."""
        return f"KeyRing({', '.join(self._ciphers)})"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, the one that seals first."""
        return tuple(self._ciphers)

    def seal(self, plain: bytes, *, bound_to: str) -> tuple[str, bytes]:
        """Return the key id and the ciphertext, which opens only with the same ``bound_to``."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self.sealing_key_id]
        return self.sealing_key_id, nonce + cipher.encrypt(nonce, plain, bound_to.encode())

    def open(self, key_id: str, ciphertext: bytes, *, bound_to: str) -> bytes:
        """Return what was sealed, or raise SecretUnreadable naming the key and what to do."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretUnreadable(
                f"a secret is sealed with key {key_id}, which is not among the"
                f" {len(self._ciphers)} given; add that key to TILLBELL_SECRET_KEYS or, if it is an"
                " endpoint's, rotate the secret",
                key_id=key_id,
            )
        nonce, sealed = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, bound_to.encode())
        except (InvalidTag, ValueError):  # ValueError: the stored bytes are cut short
            raise SecretUnreadable(
                f"a secret sealed with key {key_id} was altered or belongs to another owner;"
                " if it is an endpoint's, rotate the secret",
                key_id=key_id,
            ) from None


def key_id_of(key: bytes) -> str:
    """Name a key by the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:KEY_ID_LENGTH]
