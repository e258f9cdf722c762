"""The root of every refusal Tillbell makes.

TillbellError
├── SettingsInvalid            config.settings
├── engine.errors.*            refusals of the order and finance engine
└── dispatcher.errors.*        refusals of the webhook management calls
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TillbellError(Exception):
    """Something was refused; the class names what, ``code`` is stable, ``details`` are data."""

    code = "INTERNAL_ERROR"

    def __init__(self, message: str, **details: Any) -> None:
        """Keep the sentence for a person and the facts for a program."""
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = details

    def as_dict(self) -> dict[str, Any]:
        """Return the error body of document 001: ``error``, ``code``, ``details``."""
        return {"error": self.message, "code": self.code, "details": dict(self.details)}
