"""The keys that seal endpoint secrets at rest: from the settings, else from the data folder."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from sqlalchemy import make_url

from config.errors import TillbellError
from config.settings import Settings, decode_key
from engine.errors import InvalidInput
from engine.sealing import KeyRing

FILE_NAME = "secret.keys"


class KeysMissing(TillbellError):
    """There is no key to seal or open secrets with."""

    code = "KEYS_MISSING"


class KeysUnreadable(TillbellError):
    """The key file cannot be read, or holds something that is not a key."""

    code = "KEYS_UNREADABLE"


def load_keyring(settings: Settings) -> KeyRing:
    """Return the keys of ``TILLBELL_SECRET_KEYS``, else of the data folder."""
    if settings.secret_keys:
        return KeyRing([decode_key(key) for key in settings.secret_keys])
    path = settings.data_dir / FILE_NAME
    try:
        lines = path.read_text().split()
        return KeyRing([decode_key(line, number) for number, line in enumerate(lines, 1)])
    except FileNotFoundError:
        raise KeysMissing(
            "no secret keys: set TILLBELL_SECRET_KEYS to the base64 of 32 random bytes"
            f" or, with SQLite, run 'tillbell init', which writes {path}"
        ) from None
    except OSError as error:
        raise KeysUnreadable(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeysUnreadable(f"{path} is not a text file of keys") from None
    except (InvalidInput, ValueError) as error:
        raise KeysUnreadable(f"{path}: {error}") from None


def ensure_keys(settings: Settings) -> Path | None:
    """Write a fresh key into the data folder unless there is one; return the file it made.

    Raises KeysMissing for a database on a server: processes on other machines use it too, and each
    would seal with a key of its own that no other can open.
    """
    path = settings.data_dir / FILE_NAME
    if settings.secret_keys:
        return None
    if make_url(settings.database).get_backend_name() != "sqlite" and not path.exists():
        raise KeysMissing(
            "no secret keys: a database on a server is shared, and every process must have the same"
            " keys. Set TILLBELL_SECRET_KEYS to the base64 of 32 random bytes ('tillbell keys new'"
            " prints one), the same everywhere"
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        # Unreadable for others from the start; of two that start at once one makes the key.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w") as file:
        file.write(base64.b64encode(os.urandom(32)).decode() + "\n")
    return path
