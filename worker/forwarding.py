"""The local tunnel: hand each callback on to an application of this machine, and its answer back.

The way out is the dispatcher's own transport, so one URL rule and one deadline hold here too; its
policy opens this machine and nothing else, unless the operator names networks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from dispatcher.addresses import parse_address
from dispatcher.egress import LOOPBACK, LOOPBACK_NAME, EgressPolicy, Reach, Target, check_url
from dispatcher.errors import CallbackFailed, EndpointUrlRefused
from dispatcher.transport import CallbackTransport, request_head
from engine.errors import InvalidInput
from worker.receiver_connection import Forwarded, Header, Incoming, Reply

DEADLINE_SECONDS = 30.0
BAD_GATEWAY = 502
#: Headers of one connection, not of the message (RFC 9110, 7.6.1): they are not handed on.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


class Forwarder:
    """Hands callbacks on to one URL."""

    def __init__(
        self, url: str, networks: Sequence[str] = (), *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Prepare; raises InvalidInput for a URL outside this machine and ``networks`` (CIDRs)."""
        opened = [*map(str, LOOPBACK), *networks]
        self._policy = EgressPolicy.from_settings(opened, allow_http=True)
        self._target = _local_target(url, self._policy, named=bool(networks))
        self._deadline_seconds = deadline_seconds
        self._transport: CallbackTransport | None = None

    async def forward(self, incoming: Incoming) -> Forwarded:
        """Send the same method, headers and bytes, and return what came back."""
        if self._transport is None:
            self._transport = CallbackTransport(self._policy)
        headers = _end_to_end(incoming.headers)
        error: str | None = None
        began = time.perf_counter()
        deadline_at = asyncio.get_running_loop().time() + self._deadline_seconds
        try:
            head = request_head(self._target, headers, len(incoming.body), incoming.method)
            answer = await self._transport.send(self._target, head, incoming.body, deadline_at)
        except CallbackFailed as failure:
            error = f"{failure.kind}: {failure.message}"
            reply = Reply(BAD_GATEWAY, (), f"tillbell listen: {error}\n".encode())
        else:
            reply = Reply(answer.status_code, tuple(_end_to_end(answer.headers)), answer.body)
        return Forwarded(reply, error, round((time.perf_counter() - began) * 1000))

    async def aclose(self) -> None:
        """Drop every connection; calls in flight end as unreachable."""
        if self._transport is not None:
            await self._transport.aclose()


def _local_target(url: str, policy: EgressPolicy, *, named: bool) -> Target:
    """Vet the URL, and bind every call to it to the networks that are open."""
    try:
        target = check_url(url, policy)
    except EndpointUrlRefused as error:
        raise InvalidInput(
            f"callbacks cannot be forwarded there: {error.message}",
            field="forward",
            reason=error.details["reason"],
        ) from None
    if target.literal is not None:
        local = policy.reach(parse_address(target.literal)) is Reach.HOLE
    else:
        local = named or LOOPBACK_NAME.fullmatch(target.host) is not None
    if not local:
        raise InvalidInput(
            f"callbacks are forwarded to this machine only, such as http://localhost:3000/hook;"
            f" --forward-allow opens the network of {target.host}",
            field="forward",
            reason="not_local",
        )
    return replace(target, holes_only=True)


def _end_to_end(headers: Sequence[Header]) -> list[Header]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
