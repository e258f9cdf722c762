"""Settings of one process from ``TILLBELL_…`` variables: the only reader of the environment."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config import crash_points
from config.errors import TillbellError

#: Seconds between attempts: 0, 5 s, 30 s, 5 min, 30 min, 2 h … 24 h, 75 h in all (design §3).
RETRY_SCHEDULE_SECONDS = (0, 5, 30, 300, 1800, 7200, 18000, 28800, 36000, 43200, 50400, 86400)

#: SQLite in memory is left out: each connection would have another database.
DATABASE_URL = re.compile(r"sqlite:///(?!:memory:)(?=.)|postgresql(\+psycopg)?://")


class SettingsInvalid(TillbellError):
    """One or more ``TILLBELL_…`` settings cannot be used; every one of them is named."""

    code = "SETTINGS_INVALID"


def _split(value: object) -> object:
    """Turn a comma-separated text into a list, leaving lists alone."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _with_port(url: str) -> str:
    """Return the address unless its port is no number; what is refused is not repeated."""
    host = re.split("[/?]", url.partition("://")[2].rpartition("@")[2])[0]
    if re.search(r":(?!\d*$)[^:\]]*$", host):
        msg = "has a port that is not a number"
        raise ValueError(msg)
    return url


class Settings(BaseSettings):
    """What an operator may set; every field is ``TILLBELL_`` + its upper-case name."""

    model_config = SettingsConfigDict(env_prefix="TILLBELL_", frozen=True, extra="ignore")

    data_dir: Path = Path("var")
    database_url: str = ""
    broker_url: str = "memory://"
    secret_keys: Annotated[list[str], NoDecode] = []
    egress_allow: Annotated[list[str], NoDecode] = []
    egress_proxy: str | None = None
    allow_http: bool = False
    delivery_deadline_seconds: float = Field(default=15.0, gt=0, le=60)
    retry_schedule: Annotated[list[int], NoDecode] = list(RETRY_SCHEDULE_SECONDS)
    circuit_failures: int = Field(default=10, ge=1, le=1_000_000)
    circuit_probe_seconds: float = Field(default=30.0, gt=0, le=900)
    tenant_in_flight_max: int = Field(default=500, ge=1, le=20000)
    host_in_flight_max: int = Field(default=500, ge=1, le=20000)
    retry_jitter: float = Field(default=0.2, ge=0, le=0.5)
    product_window_seconds: float = Field(default=5.0, ge=0, le=3600)
    sweep_interval_seconds: float | None = Field(default=None, gt=0, le=60)
    # Each wakes 60 times a second, whether there is work or not; a hint takes milliseconds.
    worker_threads: int = Field(default=2, ge=1, le=64)
    in_flight_max: int = Field(default=2000, ge=1, le=20000)
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8484, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    otel_endpoint: str | None = None
    deadman_url: str | None = None
    retain_bodies_days: int = Field(default=30, ge=1)
    retain_attempts_days: int = Field(default=90, ge=1)
    retain_runs_days: int = Field(default=90, ge=1)
    retain_dedupe_days: int = Field(default=400, ge=1)
    # For development: a process kills itself at a crash point, and only where crashes are allowed.
    allow_crashes: bool = False
    crash_at: str | None = None

    _split_lists = field_validator("secret_keys", "egress_allow", "retry_schedule", mode="before")(
        _split
    )

    @field_validator("secret_keys")
    @classmethod
    def _keys_are_32_bytes(cls, value: list[str]) -> list[str]:
        for position, key in enumerate(value, 1):
            decode_key(key, position)
        return value

    @field_validator("egress_allow")
    @classmethod
    def _networks_parse(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("retry_schedule")
    @classmethod
    def _schedule_is_usable(cls, value: list[int]) -> list[int]:
        if not 1 <= len(value) <= 50 or any(not 0 <= seconds <= 604_800 for seconds in value):
            msg = "needs 1 to 50 waits of 0 to 604800 seconds"
            raise ValueError(msg)
        return value

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str) -> str:
        if value and not DATABASE_URL.match(value):
            msg = "must begin with postgresql+psycopg:// or be sqlite:/// and a file"
            raise ValueError(msg)
        return _with_port(value)

    @field_validator("broker_url")
    @classmethod
    def _broker_is_known(cls, value: str) -> str:
        if value != "memory://" and not value.startswith(("redis://", "rediss://", "unix://")):
            msg = "must be memory:// or begin with redis://, rediss:// or unix://"
            raise ValueError(msg)
        return _with_port(value)

    @field_validator("retain_dedupe_days")
    @classmethod
    def _events_stay_longest(cls, value: int, found: ValidationInfo) -> int:
        names = ("retain_bodies_days", "retain_attempts_days")
        if value < max(found.data.get(name, 0) for name in names):
            msg = "must not be shorter than bodies and attempts are kept"
            raise ValueError(msg)
        return value

    @field_validator("crash_at")
    @classmethod
    def _crash_is_wanted(cls, value: str | None, found: ValidationInfo) -> str | None:
        if value is None:
            return None
        crash_points.parse(value)
        if not found.data.get("allow_crashes"):
            msg = "kills this process; it needs TILLBELL_ALLOW_CRASHES=true, for development only"
            raise ValueError(msg)
        return value

    @field_validator("otel_endpoint")
    @classmethod
    def _collector_is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return value and _with_port(value)

    @property
    def database(self) -> str:
        """The database to use: the one that is set, else SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'tillbell.db'}"

    def as_environment(self) -> dict[str, str]:
        """Return the environment in which a child process has these same settings."""
        mine = {
            f"TILLBELL_{name.upper()}": ",".join(map(str, value))
            if isinstance(value, list)
            else str(value)
            for name, value in self.model_dump(exclude_none=True).items()
        }
        return {**os.environ, **mine}

    @property
    def embedded(self) -> bool:
        """Whether hints stay inside this process (``memory://``)."""
        return self.broker_url == "memory://"

    @property
    def sweep_seconds(self) -> float:
        """How often the sweep looks: every 100 ms embedded, each second with a broker."""
        return self.sweep_interval_seconds or (0.1 if self.embedded else 1.0)


def decode_key(key: str, position: int = 1) -> bytes:
    """Return the 32 bytes of one base64 key, or raise ValueError naming its place in the list."""
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        msg = f"key {position} is not the base64 of 32 bytes"
        raise ValueError(msg)
    return raw


def load_settings(**overrides: object) -> Settings:
    """Read the environment, or raise SettingsInvalid naming every wrong variable at once."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic validates each value
    except ValidationError as error:
        problems = {
            f"TILLBELL_{item['loc'][0]}".upper(): item["msg"].removeprefix("Value error, ")
            for item in error.errors(include_input=False, include_url=False)
        }
        sentence = "; ".join(f"{name} {text}" for name, text in problems.items())
        raise SettingsInvalid(f"wrong settings: {sentence}", settings=problems) from None
