"""What an endpoint's owner may choose besides where and what is sent: defaults and checks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dispatcher.call_options import CALL_CHECKS, IN_FLIGHT_DEFAULT, CallOptions
from dispatcher.order import Ordering
from dispatcher.profiles import PROFILES
from dispatcher.signing import V1, V1A
from engine.errors import InvalidInput

SIGNATURES = (V1, V1A)


class Options(CallOptions, total=False):
    """Choices by the name of their column; what is left out stays, or is the default."""

    profile: str
    signatures: Sequence[str]


DEFAULTS: Options = {
    "profile": PROFILES[0],
    "max_in_flight": IN_FLIGHT_DEFAULT,
    "ordering": Ordering.NONE,
    "signatures": [V1],
}


def checked(options: Options) -> dict[str, Any]:
    """Return the columns to write, or raise InvalidInput naming the field."""
    return {name: _CHECKS[name](value) for name, value in options.items()}


def _check_profile(profile: str) -> str:
    if profile not in PROFILES:
        raise InvalidInput(
            f"profile {profile!r} is none of {', '.join(PROFILES)}", field="profile", value=profile
        )
    return profile


def _check_signatures(asked: Sequence[str]) -> list[str]:
    if not {V1} <= set(asked) <= set(SIGNATURES):
        raise InvalidInput(
            f"signatures are {V1}, which is always made, and {V1A} beside it if asked for",
            field="signatures",
            value=list(asked),
        )
    return [each for each in SIGNATURES if each in asked]


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "profile": _check_profile,
    **CALL_CHECKS,
    "signatures": _check_signatures,
}
