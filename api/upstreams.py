"""Where upstream platforms post their callbacks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from api.errors import ErrorAnswer
from engine.errors import InvalidInput
from reconciler.upstream_inbound import BODY_BYTES_MAX, InboundCallbacks

_REFUSALS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorAnswer, "description": "A refusal; `errorCode` is stable."}
}
router = APIRouter(prefix="/api/v1/upstreams", tags=["upstreams"], responses=_REFUSALS)


@router.post("/{upstream_id}/callbacks")
async def receive(
    request: Request, upstream_id: Annotated[str, Path(max_length=200)]
) -> dict[str, Any]:
    """Take a signed callback of an upstream platform; one that comes again changes nothing.

    The answer is document 000's, which its senders look for.
    """
    inbound: InboundCallbacks = request.app.state.inbound
    body = await _body(request)
    outcome = await run_in_threadpool(inbound.receive, upstream_id, dict(request.headers), body)
    return {"success": True, "message": "OK", "outcome": outcome}


async def _body(request: Request) -> bytes:
    """Read no more than a callback may have."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > BODY_BYTES_MAX:
            raise InvalidInput(f"a callback has at most {BODY_BYTES_MAX} bytes", field="body")
        parts.append(part)
    return b"".join(parts)
