"""Options of an endpoint: profile and kinds of signature, in one order, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher.endpoint_options import DEFAULTS, checked
from engine.errors import InvalidInput


def test_the_defaults_pass_their_own_checks() -> None:
    """Who asks for nothing gets the envelope, signed with v1."""
    found = checked(DEFAULTS)
    assert dict(DEFAULTS) == found
    assert ("envelope", ["v1"]) == (found["profile"], found["signatures"])


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (["v1"], ["v1"]),
        (["v1a", "v1"], ["v1", "v1a"]),
        (("v1", "v1", "v1a"), ["v1", "v1a"]),
    ],
)
def test_signatures_are_kept_in_one_order(asked: list[str], kept: list[str]) -> None:
    """However they are written, once each, v1 first."""
    assert {"signatures": kept} == checked({"signatures": asked})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("signatures", []),
        ("signatures", ["v1a"]),
        ("signatures", ["v1", "v2"]),
        ("profile", "xml"),
        ("profile", ""),
    ],
)
def test_a_choice_that_is_none_is_named(option: str, value: Any) -> None:
    """v1 is always made; what is unknown is refused with its field."""
    with pytest.raises(InvalidInput) as refusal:
        checked({option: value})  # type: ignore[misc]  # one name of the options at a time
    assert option == refusal.value.details["field"]
