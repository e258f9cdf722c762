"""``tillbell endpoints limits`` and ``tillbell events policy``."""

from __future__ import annotations

import pytest

from tests.command_line import CommandLine

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def endpoint_id(cli: CommandLine) -> str:
    """Return the id of an endpoint."""
    tenant = cli.json("tenants", "create", "--name", "Reseller")["id"]
    return str(cli.json("endpoints", "create", "--tenant", tenant, "--url", URL)["id"])


def test_limits_are_shown_changed_and_taken_back(cli: CommandLine, endpoint_id: str) -> None:
    """What is given changes, the rest stays; ``default`` takes an option back."""
    first = cli.json("endpoints", "limits", endpoint_id)
    assert (10, "none", None) == (
        first["max_in_flight"],
        first["ordering"],
        first["rate_per_second"],
    )
    given = ("--rate", "2.5", "--ordering", "subject", "--schedule", "0,10,60")
    changed = cli.json("endpoints", "limits", endpoint_id, *given, "--permanent", "400,422")
    assert (2.5, "subject", [0, 10, 60], [400, 422]) == (
        changed["rate_per_second"],
        changed["ordering"],
        changed["retry_schedule"],
        changed["permanent_statuses"],
    )
    back = cli.json("endpoints", "limits", endpoint_id, "--rate", "default", "--schedule=default")
    assert (None, None, "subject") == (
        back["rate_per_second"],
        back["retry_schedule"],
        back["ordering"],
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ("--rate", "quick"),
        ("--rate", "0"),
        ("--ordering", "sometimes"),
        ("--schedule", "0,-5"),
        ("--schedule", "soon"),
        ("--permanent", "200"),
        ("--within-seconds", "0"),
        ("--deadline-seconds", "61"),
        ("--head-of-line-seconds", "0"),
        ("--max-in-flight", "0"),
    ],
)
def test_a_wrong_limit_is_one_line_and_changes_nothing(
    cli: CommandLine, endpoint_id: str, wrong: tuple[str, str]
) -> None:
    """Each malformed option is refused by name."""
    before = cli.json("endpoints", "limits", endpoint_id)
    answer = cli("endpoints", "limits", endpoint_id, *wrong)
    assert (1, "", 1) == (answer.code, answer.out, answer.err.count("\n"))
    assert "[VALIDATION_ERROR]" in answer.err
    assert before == cli.json("endpoints", "limits", endpoint_id)


def test_a_type_has_a_policy_until_it_is_cleared(cli: CommandLine) -> None:
    """A balance alert may be worth half an hour; an unknown type has no policy."""
    name = "wallet.low_balance"
    [row] = cli.json("events", "policy", name, "--within-seconds", "1800")["data"]
    assert (name, 1800, None) == (
        row["event_type"],
        row["deliver_within_seconds"],
        row["retry_schedule"],
    )
    assert [] == cli.json("events", "policy", name, "--clear")["data"]
    answer = cli("events", "policy", "no.such", "--within-seconds", "60")
    assert "[UNKNOWN_EVENT_TYPE]" in answer.err
