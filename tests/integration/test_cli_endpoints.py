"""``tillbell tenants`` and ``endpoints``: the tree, the URLs, and their secrets shown once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.database import Database
from engine.ids import new_id
from tests.command_line import CommandLine

URL = "http://127.0.0.1:9/hook"
#: The JSON names of an endpoint (design §6).
NAMES = {"id", "tenant_id", "url", "events", "profile", "state", "max_in_flight"}


@pytest.fixture
def tenant(cli: CommandLine) -> str:
    """Return the id of a tenant."""
    return str(cli.json("tenants", "create", "--name", "Reseller")["id"])


@pytest.fixture
def endpoint(cli: CommandLine, tenant: str) -> dict[str, Any]:
    """Return an endpoint as create answers it."""
    made: dict[str, Any] = cli.json("endpoints", "create", "--tenant", tenant, "--url", URL)
    return made


def test_a_tree_of_tenants_is_created_listed_and_shown(cli: CommandLine) -> None:
    """A child has its parent's currency, and the chain leads from the root to it."""
    root = cli.json("tenants", "create", "--name", "Root", "--currency", "KWD")
    child = cli.json("tenants", "create", "--name", "Child", "--parent", root["id"])
    assert (root["id"], "KWD", 1) == (child["parent_id"], child["currency"], child["depth"])
    assert [root["id"], child["id"]] == [each["id"] for each in cli.json("tenants", "list")["data"]]
    shown = cli.json("tenants", "show", child["id"])
    assert [root["id"], child["id"]] == shown["chain"]
    only = cli.json("tenants", "list", "--parent", root["id"])["data"]
    assert [child["id"]] == [each["id"] for each in only]


def test_names_of_others_are_never_markup(cli: CommandLine) -> None:
    """A name that looks like markup is shown as it is."""
    cli.json("tenants", "create", "--name", "[bold]x[/bold]")
    assert "[bold]x[/bold]" in cli("tenants", "list").out


def test_an_unknown_tenant_is_one_line_with_its_code(cli: CommandLine) -> None:
    """People get a sentence, programs the error object of document 001."""
    unknown = new_id()
    answer = cli("tenants", "show", unknown)
    assert (1, "", f"error: no tenant '{unknown}' [NOT_FOUND]\n") == (
        answer.code,
        answer.out,
        answer.err,
    )
    refusal = cli("tenants", "show", unknown, "--json").refusal
    assert {"error", "code", "details"} == set(refusal)
    assert {"field": "tenant_id", "value": unknown} == refusal["details"]


def test_an_endpoint_shows_its_secret_only_when_it_is_made(
    cli: CommandLine, endpoint: dict[str, Any]
) -> None:
    """The design's names are there; the secret is in the answers to create and rotate alone."""
    assert NAMES | {"secret"} <= set(endpoint)
    assert endpoint["secret"].startswith("whsec_")
    shown = cli.json("endpoints", "show", endpoint["id"])
    listed = cli.json("endpoints", "list")["data"]
    assert NAMES <= set(shown)
    assert "secret" not in shown
    assert [shown] == listed
    rotated = cli.json("endpoints", "rotate-secret", endpoint["id"])
    assert rotated["secret"] not in {endpoint["secret"], None}


def test_patterns_are_given_by_comma_or_by_repetition(cli: CommandLine, tenant: str) -> None:
    """Both ways of writing several patterns mean the same."""
    command = ("endpoints", "create", "--tenant", tenant, "--url", URL)
    by_comma = cli.json(*command, "--events", "chain_order.*, remittance.overdue")
    repeated = cli.json(*command, "--events", "chain_order.*", "--events", "remittance.overdue")
    assert ["chain_order.*", "remittance.overdue"] == by_comma["events"] == repeated["events"]


def test_an_endpoint_is_changed_in_what_is_given(
    cli: CommandLine, endpoint: dict[str, Any]
) -> None:
    """Update leaves alone what it is not told."""
    changed = cli.json("endpoints", "update", endpoint["id"], "--max-in-flight", "3")
    assert (3, URL, ["*"]) == (changed["max_in_flight"], changed["url"], changed["events"])
    changed = cli.json("endpoints", "update", endpoint["id"], "--profile", "flat")
    assert (3, "flat") == (changed["max_in_flight"], changed["profile"])


def test_an_endpoint_is_paused_resumed_disabled_and_enabled(
    cli: CommandLine, endpoint: dict[str, Any]
) -> None:
    """Each verb leads to its state and says why; the wrong one is refused with the state."""
    paused = cli.json("endpoints", "pause", endpoint["id"], "--until", "2h", "--reason", "calm")
    assert ("paused", "calm") == (paused["state"], paused["state_reason"])
    until = datetime.fromisoformat(paused["paused_until"])
    assert timedelta(minutes=119) < until - datetime.now(UTC) <= timedelta(hours=2)
    assert "active" == cli.json("endpoints", "resume", endpoint["id"])["state"]
    assert "disabled" == cli.json("endpoints", "disable", endpoint["id"])["state"]
    refused = cli("endpoints", "pause", endpoint["id"], "--json").refusal
    assert ("INVALID_STATUS", "disabled") == (refused["code"], refused["details"]["current_status"])
    assert "active" == cli.json("endpoints", "enable", endpoint["id"])["state"]


def test_a_deleted_endpoint_is_gone(cli: CommandLine, endpoint: dict[str, Any]) -> None:
    """It is in no list, and cannot be shown."""
    assert cli.json("endpoints", "delete", endpoint["id"])["deleted"]
    assert [] == cli.json("endpoints", "list")["data"]
    assert 1 == cli("endpoints", "show", endpoint["id"]).code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (["--url", "http://10.0.0.1/"], "URL_REFUSED"),
        (["--events", "nothing.*"], "VALIDATION_ERROR"),
        (["--profile", "xml"], "VALIDATION_ERROR"),
        (["--max-in-flight", "0"], "VALIDATION_ERROR"),
        (["--tenant", new_id()], "NOT_FOUND"),
    ],
)
def test_a_refused_endpoint_is_not_there(
    cli: CommandLine, tenant: str, changes: list[str], code: str
) -> None:
    """Every refusal has its code and leaves no endpoint."""
    answer = cli("endpoints", "create", "--tenant", tenant, "--url", URL, *changes, "--json")
    assert (1, code) == (answer.code, answer.refusal["code"])
    assert [] == cli.json("endpoints", "list")["data"]


def test_a_list_is_narrowed_by_tenant_and_state(
    cli: CommandLine, tenant: str, endpoint: dict[str, Any]
) -> None:
    """Only what fits both is listed."""
    other = cli.json("tenants", "create", "--name", "Other")["id"]
    for wanted, options in (
        ([endpoint["id"]], ["--tenant", tenant, "--state", "active"]),
        ([], ["--tenant", other]),
        ([], ["--state", "paused"]),
    ):
        listed = cli.json("endpoints", "list", *options)["data"]
        assert wanted == [each["id"] for each in listed]


def test_a_test_without_a_worker_says_that_none_came(
    cli: CommandLine, endpoint: dict[str, Any]
) -> None:
    """The delivery waits, nobody pretends it was made, and the doctor is recommended."""
    answer = cli("endpoints", "test", endpoint["id"], "--wait", "0")
    assert 1 == answer.code
    assert "No attempt within 0 s: no worker took it." in answer.err
    assert "tillbell doctor" in answer.err
    assert "pending" in answer.out


def test_a_page_fits_a_hundred_columns(
    cli: CommandLine, endpoint: dict[str, Any], database: Database
) -> None:
    """Tables and facts are readable at 100 columns, ids in full."""
    assert database
    for command in (("endpoints", "list"), ("endpoints", "show", endpoint["id"])):
        lines = cli(*command).out.splitlines()
        assert max(map(len, lines)) <= 100
        assert any(endpoint["id"] in line for line in lines)
