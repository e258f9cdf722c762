"""The refusals of the dispatcher; codes are stable, the docstring says when each is raised.

TillbellError (config.errors)
├── engine.errors.InvalidInput
│   └── EndpointUrlRefused
├── TooManySecrets
└── SignatureRefused

CallbackFailed stands apart: a call that brought no answer is an outcome, not a refusal.
"""

from __future__ import annotations

from typing import Literal

from config.errors import TillbellError
from engine.errors import InvalidInput

#: Why a call brought no answer. Coarse on purpose: finer classes would make us a port scanner.
FailureKind = Literal["blocked_address", "dns", "connect", "tls", "timeout", "protocol", "reset"]


class EndpointUrlRefused(InvalidInput):
    """A callback URL may not be called; ``details`` hold ``field`` and a stable ``reason``."""

    code = "URL_REFUSED"


class TooManySecrets(TillbellError):
    """An endpoint has as many secrets alive as it may; ``details`` say when the next one ends."""

    code = "TOO_MANY_SECRETS"


class SignatureRefused(TillbellError):
    """A message is not signed by a known secret, or not lately; ``details['reason']`` says so."""

    code = "SIGNATURE_REFUSED"


class CallbackFailed(Exception):
    """A call ended without an answer; ``kind`` is its class, the cause is chained for operators."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        """Keep the class for a decision and the sentence for the endpoint's owner."""
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message
