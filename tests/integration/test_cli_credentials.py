"""``tillbell endpoints`` with secrets, key pairs, API keys and headers; ``tillbell keys``."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.signing import new_secret
from tests.command_line import CommandLine
from tests.integration.conftest import KEY

URL = "http://127.0.0.1:9/hook"
CANARY = "canary-of-a-credential"
NEW_KEY = base64.b64encode(b"n" * 32).decode()


@pytest.fixture
def tenant(cli: CommandLine) -> str:
    """Return the id of a tenant."""
    return str(cli.json("tenants", "create", "--name", "Reseller")["id"])


def create(cli: CommandLine, tenant: str, *options: str) -> dict[str, Any]:
    """Create an endpoint and return its document."""
    made: dict[str, Any] = cli.json(
        "endpoints", "create", "--tenant", tenant, "--url", URL, *options
    )
    return made


def test_credentials_are_shown_once_and_their_names_always(cli: CommandLine, tenant: str) -> None:
    """Secret and API key are in the answer to create alone; public key and names everywhere."""
    made = create(
        cli,
        tenant,
        *("--profile", "flat", "--signatures", "v1,v1a", "--new-apikey"),
        *("--header", f"Authorization: Bearer {CANARY}", "--header", "X-Shop: 1"),
    )
    shown = cli.json("endpoints", "show", made["id"])
    assert {**shown, "secret": made["secret"], "apikey": made["apikey"]} == made
    assert {"secret", "apikey"} == set(made) - set(shown)
    assert [shown] == cli.json("endpoints", "list")["data"]
    assert ["v1", "v1a"] == shown["signatures"]
    assert shown["public_key"].startswith("whpk_")
    assert ["Authorization", "X-Shop"] == shown["header_names"]
    assert {"signing", "ed25519", "apikey"} == {each["kind"] for each in shown["credentials"]}
    page = cli("endpoints", "show", made["id"]).out
    assert shown["public_key"] in page
    assert "Authorization, X-Shop" in page
    assert CANARY not in page
    assert max(map(len, page.splitlines())) <= 100


def test_people_are_told_to_keep_what_is_shown_once(cli: CommandLine, tenant: str) -> None:
    """Both secrets stand under a heading that says so."""
    command = ("endpoints", "create", "--tenant", tenant, "--url", URL)
    said = cli(*command, "--profile", "flat", "--apikey", "mine-mine").out
    assert "Signing secret: keep it now" in said
    assert "API key: keep it now" in said
    assert "mine-mine" in said


def test_what_is_secret_may_come_from_a_file(cli: CommandLine, tenant: str, tmp_path: Path) -> None:
    """A list of processes need not show it; blanks and line ends around it go."""
    secret = new_secret()
    for name, text in (("secret", secret), ("key", CANARY), ("header", "X-Token: of-a-file")):
        (tmp_path / name).write_text(f"{text}\n")
    made = create(
        cli,
        tenant,
        *("--profile", "flat", "--secret", f"@{tmp_path / 'secret'}"),
        *("--apikey", f"@{tmp_path / 'key'}", "--header", f"@{tmp_path / 'header'}"),
    )
    assert (secret, CANARY, ["X-Token"]) == (made["secret"], made["apikey"], made["header_names"])
    missing = cli("endpoints", "rotate-secret", made["id"], "--secret", "@/nowhere", "--json")
    assert "secret" == missing.refusal["details"]["field"]
    (tmp_path / "secret").write_bytes(b"\xff")
    binary = cli("endpoints", "update", made["id"], "--apikey", f"@{tmp_path / 'secret'}", "--json")
    assert "apikey" == binary.refusal["details"]["field"]


def test_an_update_changes_the_credentials_it_names(cli: CommandLine, tenant: str) -> None:
    """Headers are replaced or cleared, the API key renewed or taken back, v1a begun and ended."""
    made = create(cli, tenant, "--profile", "flat", "--header", "X-A: 1")
    update = ("endpoints", "update", made["id"])
    assert ["X-B"] == cli.json(*update, "--header", "X-B: 2")["header_names"]
    assert ["X-B"] == cli.json(*update, "--max-in-flight", "3")["header_names"]
    assert [] == cli.json(*update, "--no-headers")["header_names"]
    renewed = cli.json(*update, "--new-apikey")
    assert len(renewed["apikey"]) >= 32
    assert 2 == len(renewed["credentials"])
    assert 1 == len(cli.json(*update, "--no-apikey")["credentials"])
    assert cli.json(*update, "--signatures", "v1", "--signatures", "v1a")["public_key"]
    assert cli.json(*update, "--signatures", "v1")["public_key"] is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--header", f"Host: {CANARY}"], "headers"),
        (["--header", CANARY], "headers"),
        (["--header", f"X-A: {CANARY}", "--header", "x-a: 2"], "headers"),
        (["--header", f"X-A: {CANARY}\r\nX-B: 1"], "headers"),
        (["--secret", CANARY], "secret"),
        (["--signatures", "v1a"], "signatures"),
        (["--signatures", "v1,v3"], "signatures"),
        (["--apikey", CANARY], "apikey"),
        (["--profile", "flat", "--apikey", "whsec_" + CANARY], "apikey"),
        (["--profile", "flat", "--apikey", CANARY, "--new-apikey"], "apikey"),
    ],
)
def test_each_malformed_credential_is_one_error_that_names_its_field(
    cli: CommandLine, tenant: str, options: list[str], field: str
) -> None:
    """One line, a code, the field, nothing of what was given; and no endpoint is there."""
    command = ("endpoints", "create", "--tenant", tenant, "--url", URL, *options)
    answer = cli(*command, "--json")
    assert (1, "VALIDATION_ERROR") == (answer.code, answer.refusal["code"])
    assert field == answer.refusal["details"]["field"]
    assert CANARY not in answer.err
    plain = cli(*command)
    assert (1, "") == (plain.code, plain.out)
    assert 1 == len(plain.err.splitlines())
    assert [] == cli.json("endpoints", "list")["data"]


def test_headers_are_given_or_cleared_not_both(cli: CommandLine, tenant: str) -> None:
    """A contradiction changes nothing."""
    made = create(cli, tenant, "--header", "X-A: 1")
    answer = cli("endpoints", "update", made["id"], "--header", "X-B: 1", "--no-headers", "--json")
    assert "headers" == answer.refusal["details"]["field"]
    assert ["X-A"] == cli.json("endpoints", "show", made["id"])["header_names"]


def test_a_rotation_is_scheduled_and_seen(cli: CommandLine, tenant: str) -> None:
    """The instants of the switch and of the old one's end are in the document and on the page."""
    made = create(cli, tenant)
    mine = new_secret()
    rotate = ("endpoints", "rotate-secret", made["id"])
    options = ("--at", "2h", "--overlap-hours", "1.5", "--secret", mine)
    rotated = cli.json(*rotate, *options)
    assert mine == rotated["secret"]
    new, old = rotated["credentials"]
    ends_at, starts_at = (
        datetime.fromisoformat(each) for each in (old["expires_at"], new["starts_at"])
    )
    assert timedelta(minutes=90) == ends_at - starts_at
    assert timedelta(minutes=119) < starts_at - datetime.now(UTC) <= timedelta(hours=2)
    page = cli("endpoints", "show", made["id"]).out
    assert "new secret from" in page
    assert "old secret until" in page


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--overlap-hours", "169"], "overlap"),
        (["--overlap-hours", "-1"], "overlap"),
        (["--overlap-hours", "1e300"], "overlap"),
        (["--overlap-hours", "nan"], "overlap"),
        (["--at", "2026-01-01T00:00:00Z"], "starts_at"),
        (["--at", "90d"], "starts_at"),
        (["--secret", CANARY], "secret"),
        (["--key-pair"], "key_pair"),
    ],
)
def test_a_wrong_rotation_names_its_field(
    cli: CommandLine, tenant: str, options: list[str], field: str
) -> None:
    """The secrets stay as they were."""
    made = create(cli, tenant)
    answer = cli("endpoints", "rotate-secret", made["id"], *options, "--json")
    assert field == answer.refusal["details"]["field"]
    shown = cli.json("endpoints", "show", made["id"])
    assert made["credentials"] == shown["credentials"]


def test_a_key_pair_is_renewed_without_showing_it(cli: CommandLine, tenant: str) -> None:
    """The answer holds the new public key and no secret; the old one signs on for the overlap."""
    made = create(cli, tenant, "--signatures", "v1,v1a")
    renewed = cli.json("endpoints", "rotate-secret", made["id"], "--key-pair")
    assert "secret" not in renewed
    keys = [each["public_key"] for each in renewed["credentials"] if each["public_key"]]
    assert [renewed["public_key"], made["public_key"]] == keys


def test_help_calls_the_api_key_weak(cli: CommandLine) -> None:
    """Who reads how to send one learns what it does not do."""
    assert "weak" in cli("endpoints", "create", "--help").out
    assert "weak" in cli("endpoints", "update", "--help").out


def test_a_key_is_retired_in_four_steps(
    cli: CommandLine, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New first, seal anew, nothing left under the old one, take it out: all still opens."""
    made = create(cli, tenant, "--signatures", "v1,v1a", "--header", "X-A: 1")
    [only] = cli.json("keys", "list")["data"]
    assert ("seals", 2, 1) == (only["state"], only["secrets"], only["headers"])

    fresh = cli.json("keys", "new")
    monkeypatch.setenv("TILLBELL_SECRET_KEYS", f"{fresh['key']},{KEY}")
    both = {each["key_id"]: each for each in cli.json("keys", "list")["data"]}
    assert ["seals", "opens"] == [each["state"] for each in both.values()]
    assert fresh["key_id"] == next(iter(both))

    sealed = cli.json("keys", "re-encrypt")
    assert (3, 0, fresh["key_id"]) == (sealed["resealed"], sealed["left"], sealed["key_id"])
    assert 0 == cli.json("keys", "re-encrypt")["resealed"]

    monkeypatch.setenv("TILLBELL_SECRET_KEYS", fresh["key"])
    [left] = cli.json("keys", "list")["data"]
    assert ("seals", 2, 1) == (left["state"], left["secrets"], left["headers"])
    assert cli.json("endpoints", "rotate-secret", made["id"])["secret"]


def test_a_key_taken_out_too_early_is_told(
    cli: CommandLine, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list shows it missing with all it seals; sealing anew says what stays and fails."""
    create(cli, tenant)
    monkeypatch.setenv("TILLBELL_SECRET_KEYS", NEW_KEY)
    states = [(each["state"], each["secrets"]) for each in cli.json("keys", "list")["data"]]
    assert [("seals", 0), ("missing", 1)] == states
    answer = cli("keys", "re-encrypt", "--json")
    assert (1, "SECRET_UNREADABLE", 1) == (
        answer.code,
        answer.refusal["code"],
        answer.document["left"],
    )


def test_a_new_key_says_where_it_goes(
    bare_cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no installation and changes nothing; two keys differ and neither is stored."""
    first, second = bare_cli.json("keys", "new"), bare_cli.json("keys", "new")
    assert 32 == len(base64.b64decode(first["key"]))
    assert first["key"] != second["key"]
    assert str(tmp_path / "var" / "secret.keys") in first["put_it_first_in"]
    assert [] == list(tmp_path.iterdir())
    monkeypatch.setenv("TILLBELL_SECRET_KEYS", KEY)
    assert "TILLBELL_SECRET_KEYS" in bare_cli.json("keys", "new")["put_it_first_in"]
    assert "tillbell keys re-encrypt" in bare_cli("keys", "new").out
