"""The bare ceiling: the same signing, transport and receivers as a drain, and no database.

``python -m bench.ceiling --port 9000 --calls 50000`` calls ``--endpoints`` URLs with
``--in-flight`` workers, and prints how many calls a second that gives and what each costs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from dispatcher.drain import new_event_loop
from dispatcher.egress import EgressPolicy
from dispatcher.endpoint_secrets import Held
from dispatcher.outcome import Verdict, classify_answer
from dispatcher.signer import Signer
from dispatcher.transport import CallbackTransport, request_head
from engine.ids import new_id

DEADLINE_SECONDS = 15.0


async def call_all(port: int, calls: int, endpoints: int, in_flight: int, body: bytes) -> int:
    """Make the calls and return how many succeeded."""
    policy = EgressPolicy.from_settings(["127.0.0.0/8"], allow_http=True)
    transport = CallbackTransport(policy)
    loop = asyncio.get_running_loop()
    urls = [f"http://127.0.0.1:{port}/hook/{number}" for number in range(endpoints)]
    signers = [Signer("envelope", [Held(os.urandom(32))]) for _ in urls]
    turns: Iterator[int] = iter(range(calls))
    ids = [new_id() for _ in range(calls)]
    good = itertools.count()

    async def work() -> None:
        for turn in turns:
            number = turn % endpoints
            now = datetime.now(UTC)
            headers = signers[number].headers(
                message_id=ids[turn], event="webhook.test", body=body, now=now
            )
            target = transport.target_of(urls[number])
            head = request_head(target, headers, len(body))
            answer = await transport.send(target, head, body, loop.time() + DEADLINE_SECONDS)
            outcome = classify_answer(answer.status_code, answer.headers, answer.body, now=now)
            if outcome.verdict is Verdict.SUCCEEDED:
                next(good)

    await asyncio.gather(*(work() for _ in range(in_flight)))
    await transport.aclose()
    return next(good)


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.ceiling", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--endpoints", type=int, default=200)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--body-bytes", type=int, default=600)
    given = parser.parse_args()
    loop = new_event_loop()
    body = b"x" * given.body_bytes
    began, cpu = time.monotonic(), time.process_time()
    good = loop.run_until_complete(
        call_all(given.port, given.calls, given.endpoints, given.in_flight, body)
    )
    elapsed, cpu = time.monotonic() - began, time.process_time() - cpu
    print(
        json.dumps(
            {
                "calls": given.calls,
                "succeeded": good,
                "per_second": good / elapsed,
                "cpu_microseconds": cpu / given.calls * 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
