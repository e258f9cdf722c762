"""Settings: what stands when nothing is set, and every wrong variable named at once."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from config.settings import (
    RETRY_SCHEDULE_SECONDS,
    Settings,
    SettingsInvalid,
    decode_key,
    load_settings,
)

KEY = base64.b64encode(b"k" * 32).decode()
SET = {
    "DATA_DIR": "data",
    "DATABASE_URL": "postgresql+psycopg://u:p:w/@127.0.0.1:5432/tillbell",
    "BROKER_URL": "redis://:pw@127.0.0.1:6379/3",
    "SECRET_KEYS": f"{KEY}, {KEY}",
    "EGRESS_ALLOW": "127.0.0.0/8, ::1/128",
    "EGRESS_PROXY": "http://proxy:3128",
    "ALLOW_HTTP": "true",
    "DELIVERY_DEADLINE_SECONDS": "1.5",
    "RETRY_SCHEDULE": "0, 5,30",
    "RETRY_JITTER": "0",
    "SWEEP_INTERVAL_SECONDS": "0.5",
    "LOG_FORMAT": "json",
    "API_PORT": "0",
}
WRONG = {
    "DATABASE_URL": ["mysql://h/db", "sqlite", "sqlite://", "sqlite:///", "sqlite:///:memory:"],
    "BROKER_URL": ["amqp://h", "memory"],
    "SECRET_KEYS": ["x", base64.b64encode(b"k" * 31).decode(), f"{KEY},é"],
    "EGRESS_ALLOW": ["10.0.0.1/8", "localhost"],
    "ALLOW_HTTP": ["perhaps"],
    "DELIVERY_DEADLINE_SECONDS": ["0", "61", "nan"],
    "RETRY_SCHEDULE": ["", "1,a", "-1", "604801", ",".join("1" * 51)],
    "RETRY_JITTER": ["0.6", "-0.1"],
    "SWEEP_INTERVAL_SECONDS": ["0", ""],
    "PRODUCT_WINDOW_SECONDS": ["-1", "3601", "nan", "soon"],
    "WORKER_THREADS": ["0", "many"],
    "IN_FLIGHT_MAX": ["0"],
    "LOG_FORMAT": ["xml"],
    "LOG_LEVEL": ["loud"],
    "API_PORT": ["65536", "http"],
}
EACH_WRONG = [(name, value) for name, values in WRONG.items() for value in values]


def put(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Set variables of the environment."""
    for name, value in variables.items():
        monkeypatch.setenv(f"TILLBELL_{name}", value)


def refused() -> dict[str, str]:
    """Return what is wrong with the environment, by variable."""
    with pytest.raises(SettingsInvalid) as refusal:
        load_settings()
    problems: dict[str, str] = refusal.value.details["settings"]
    assert all(name in refusal.value.message for name in problems)
    return problems


def test_nothing_needs_to_be_set() -> None:
    """The embedded default: SQLite in ./var, hints inside the process, design §3's schedule."""
    settings = load_settings()
    assert f"sqlite:///{Path('var').resolve() / 'tillbell.db'}" == settings.database
    assert ("memory://", True, 0.1) == (
        settings.broker_url,
        settings.embedded,
        settings.sweep_seconds,
    )
    assert list(RETRY_SCHEDULE_SECONDS) == settings.retry_schedule
    assert (15.0, 0.2, 8484) == (
        settings.delivery_deadline_seconds,
        settings.retry_jitter,
        settings.api_port,
    )
    assert ([], [], None, False) == (
        settings.secret_keys,
        settings.egress_allow,
        settings.egress_proxy,
        settings.allow_http,
    )


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are separated by commas; what is set is what is used."""
    put(monkeypatch, SET)
    settings = load_settings()
    assert SET["DATABASE_URL"] == settings.database
    assert [0, 5, 30] == settings.retry_schedule
    assert ["127.0.0.0/8", "::1/128"] == settings.egress_allow
    assert [KEY, KEY] == settings.secret_keys
    assert (False, 0.5, True, 0) == (
        settings.embedded,
        settings.sweep_seconds,
        settings.allow_http,
        settings.api_port,
    )


def test_a_broker_between_processes_is_swept_each_second() -> None:
    """Embedded, the sweep looks ten times as often: no other process's hint can arrive."""
    assert 1.0 == Settings(broker_url="redis://127.0.0.1").sweep_seconds


@pytest.mark.parametrize(("name", "value"), EACH_WRONG)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The variable is named as the operator wrote it, and no other with it."""
    put(monkeypatch, {**SET, name: value})
    assert {f"TILLBELL_{name}"} == set(refused())


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look tells everything that must be mended."""
    put(monkeypatch, {name: values[0] for name, values in WRONG.items()})
    assert {f"TILLBELL_{name}" for name in WRONG} == set(refused())


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("BROKER_URL", "redis://:hush@127.0.0.1:port/0"),
        ("BROKER_URL", "redis://:hush#@127.0.0.1:6379x"),
        ("DATABASE_URL", "postgresql://u:hush@127.0.0.1:port/db"),
    ],
)
def test_a_port_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    """An address no driver could read is refused before one tries, without its password."""
    put(monkeypatch, {name: url})
    [(variable, problem)] = refused().items()
    assert f"TILLBELL_{name}" == variable
    assert "port" in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    "url", ["redis://[::1]:6379/0", "redis://h", "redis://h:", "unix:///run/redis.sock?db=1"]
)
def test_addresses_of_every_shape_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """IPv6, no port and sockets are addresses too."""
    put(monkeypatch, {"BROKER_URL": url})
    assert url == load_settings().broker_url


def test_secrets_stay_out_of_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with one wrong character is named by its place, never shown."""
    put(monkeypatch, {"SECRET_KEYS": f"{KEY},{KEY[:-1]}"})
    [problem] = refused().values()
    assert "key 2 is not the base64 of 32 bytes" == problem


def test_a_child_process_has_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one process was given it can pass on whole."""
    put(monkeypatch, SET)
    settings = load_settings()
    for name in SET:
        monkeypatch.delenv(f"TILLBELL_{name}")
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert settings == load_settings()


def test_given_values_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag of the command line stands above its variable, and is checked like it."""
    put(monkeypatch, {"API_PORT": "1"})
    assert 2 == load_settings(api_port=2).api_port
    with pytest.raises(SettingsInvalid, match="TILLBELL_API_PORT"):
        load_settings(api_port=-1)


def test_a_key_is_32_bytes() -> None:
    """The one place that decodes keys returns exactly what was encoded."""
    assert b"k" * 32 == decode_key(KEY)
    with pytest.raises(ValueError, match="key 7"):
        decode_key(KEY[1:], 7)
