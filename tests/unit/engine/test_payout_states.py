"""The table of what may become of a payout."""

from __future__ import annotations

import pytest

from engine.payout_states import STATUSES, TRANSITIONS, allowed


@pytest.mark.parametrize(
    ("status", "actions"),
    [
        ("requested", ["approve", "reject", "cancel"]),
        ("approved", ["complete", "cancel"]),
        ("rejected", []),
        ("completed", []),
        ("cancelled", []),
    ],
)
def test_what_is_allowed_in_each_status(status: str, actions: list[str]) -> None:
    """Three ways out of requested, two out of approved, none out of the others."""
    assert actions == allowed(status)


def test_only_cancelling_is_the_tenants_own() -> None:
    """The platform decides about its bank; each status is reached by one action at most."""
    assert ["cancel"] == [name for name, row in TRANSITIONS.items() if not row.platform_only]
    assert set(STATUSES) - {"requested"} == {row.target for row in TRANSITIONS.values()}
