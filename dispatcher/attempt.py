"""One attempt: the bytes of a delivery signed, sent, and what came back read."""

from __future__ import annotations

import asyncio
from datetime import datetime

from config.crash_points import C08_SIGNED, at
from config.log import get_logger
from dispatcher.due import Due
from dispatcher.errors import CallbackFailed, EndpointUrlRefused
from dispatcher.leased_mailbox import Mailbox
from dispatcher.outcome import Outcome, classify_answer, classify_failure, unprocessable
from dispatcher.profiles import render
from dispatcher.settle_batch import Kept
from dispatcher.settle_writer import SettleWriter
from dispatcher.transport import CallbackTransport, request_head

log = get_logger("attempt")


async def attempt(
    due: Due,
    mailbox: Mailbox,
    *,
    transport: CallbackTransport,
    writer: SettleWriter,
    now: datetime,
) -> Outcome:
    """Call the endpoint once and return what it meant; never raises for one delivery's fault.

    A row that cannot be processed is parked with its reason and stops nobody.
    """
    if not due.body:
        return unprocessable("body_pruned")
    try:
        body = await _body(due, mailbox.profile, writer)
        return await _send(due, body, mailbox, transport, now)
    except Exception as error:  # a boundary: one bad row must not end the drain of the others
        log.exception("attempt.unprocessable", delivery_id=due.delivery_id)
        return unprocessable(f"unprocessable: {type(error).__name__}")


async def _body(due: Due, profile: str, writer: SettleWriter) -> bytes:
    """Return the exact bytes to send; a profile's rendering is kept at the first attempt."""
    if profile == "envelope":
        return due.body
    if due.rendered is not None:
        return due.rendered
    body = render(profile, due.body)
    await writer.put(Kept({"event_id": due.event_id, "profile": profile, "body": body}))
    return body


async def _send(
    due: Due, body: bytes, mailbox: Mailbox, transport: CallbackTransport, now: datetime
) -> Outcome:
    headers = mailbox.signer.headers(message_id=due.event_id, event=due.event, body=body, now=now)
    deadline_at = asyncio.get_running_loop().time() + mailbox.deadline_seconds
    try:
        target = transport.target_of(mailbox.url)
        head = request_head(target, headers, len(body))
        at(C08_SIGNED)
        answer = await transport.send(target, head, body, deadline_at)
    except CallbackFailed as failure:
        return classify_failure(failure.kind)
    except EndpointUrlRefused:
        return classify_failure("blocked_address")
    return classify_answer(
        answer.status_code,
        answer.headers,
        mailbox.signer.masked(answer.body),
        now=now,
        permanent_statuses=mailbox.permanent_statuses,
    )
