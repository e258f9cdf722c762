"""The refusals of the reconciler; codes are stable, the docstring says when each is raised.

TillbellError (config.errors)
├── engine.errors.InvalidStatus
│   └── NotHealable
└── HealFailed
"""

from __future__ import annotations

from config.errors import TillbellError
from engine.errors import InvalidStatus


class NotHealable(InvalidStatus):
    """No heal may, or can, mend this; ``details``: the ``check``, its ``policy`` and ``remedy``."""

    code = "NOT_HEALABLE"


class HealFailed(TillbellError):
    """The heal ran and the check still finds it; ``details``: the ``check`` and its ``remedy``."""

    code = "HEAL_FAILED"
