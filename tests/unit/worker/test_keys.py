"""Keys that seal secrets: from the settings, else from a file only its owner may read."""

from __future__ import annotations

import base64
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.settings import Settings
from worker.keys import FILE_NAME, KeysMissing, KeysUnreadable, ensure_keys, load_keyring

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def opens(settings: Settings, sealed_by: Settings) -> bool:
    """Tell whether one installation opens what another sealed."""
    key_id, sealed = load_keyring(sealed_by).seal(b"secret", bound_to="t/e")
    return load_keyring(settings).open(key_id, sealed, bound_to="t/e") == b"secret"


def test_without_any_key_it_says_what_to_do(tmp_path: Path) -> None:
    """Neither a setting nor a file: the refusal names both ways to mend it."""
    with pytest.raises(KeysMissing) as refusal:
        load_keyring(Settings(data_dir=tmp_path))
    assert "TILLBELL_SECRET_KEYS" in refusal.value.message
    assert "tillbell init" in refusal.value.message


def test_a_made_key_is_its_owners_alone(tmp_path: Path) -> None:
    """The file is readable by nobody else, holds one key, and opens what it seals."""
    settings = Settings(data_dir=tmp_path / "var")
    path = ensure_keys(settings)
    assert tmp_path / "var" / FILE_NAME == path
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 32 == len(base64.b64decode(path.read_text()))
    assert opens(settings, settings)


def test_a_database_on_a_server_is_given_its_keys(tmp_path: Path) -> None:
    """None is made for it, and the refusal says what to do; a file that was put there is used."""
    settings = Settings(data_dir=tmp_path, database_url="postgresql+psycopg://db/tillbell")
    with pytest.raises(KeysMissing) as refusal:
        ensure_keys(settings)
    assert "tillbell keys new" in refusal.value.message
    assert [] == list(tmp_path.iterdir())
    (tmp_path / FILE_NAME).write_text(KEY)
    assert ensure_keys(settings) is None


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Asking again makes nothing: what was sealed stays readable."""
    settings = Settings(data_dir=tmp_path)
    path = ensure_keys(settings)
    assert path is not None
    before = path.read_bytes()
    assert ensure_keys(settings) is None
    assert before == path.read_bytes()


def test_of_many_that_start_at_once_one_makes_the_key(tmp_path: Path) -> None:
    """The others use it: none overwrites it, none fails."""
    settings = Settings(data_dir=tmp_path)
    together = threading.Barrier(8)

    def make(_: int) -> Path | None:
        together.wait()
        return ensure_keys(settings)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert [tmp_path / FILE_NAME] == [path for path in made if path is not None]
    assert opens(settings, settings)


def test_keys_of_the_settings_need_no_file(tmp_path: Path) -> None:
    """With TILLBELL_SECRET_KEYS nothing is written and the file is not looked at."""
    settings = Settings(data_dir=tmp_path, secret_keys=[KEY])
    assert ensure_keys(settings) is None
    assert [] == list(tmp_path.iterdir())
    (tmp_path / FILE_NAME).write_text("nonsense")
    assert opens(settings, settings)


def test_old_keys_open_and_the_first_seals(tmp_path: Path) -> None:
    """A key file may hold several, the newest first: what the old one sealed is still read."""
    (tmp_path / FILE_NAME).write_text(f"{KEY}\n\n{OTHER}\n")
    settings = Settings(data_dir=tmp_path)
    assert opens(settings, Settings(secret_keys=[OTHER]))
    assert opens(Settings(secret_keys=[KEY]), settings)


@pytest.mark.parametrize("content", [b"", b"\n", b"nonsense\n", b"\xff\xfe\x00", b"c2hvcnQ=\n"])
def test_a_file_that_holds_no_key_is_named(tmp_path: Path, content: bytes) -> None:
    """Empty, cut short or not even text: the refusal names the file and shows nothing of it."""
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(KeysUnreadable) as refusal:
        load_keyring(Settings(data_dir=tmp_path))
    assert str(path) in refusal.value.message
    assert "nonsense" not in refusal.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """What the system refuses is a refusal of ours, not a traceback."""
    path = tmp_path / FILE_NAME
    path.mkdir()
    with pytest.raises(KeysUnreadable, match="directory"):
        load_keyring(Settings(data_dir=tmp_path))
