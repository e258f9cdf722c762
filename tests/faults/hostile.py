"""``python -m tests.faults.hostile``: every misdeed on a port of its own, in a process of its own.

A process of its own, so that what it holds is not counted as the sender's memory.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager

from tests.faults.misdeeds import MISDEEDS
from tests.processes import running
from tests.wire import receiving_raw

STARTED = "hostile.started "
#: It ends by itself, should nobody end it.
LASTS_SECONDS = 3600.0


@contextmanager
def hostile() -> Iterator[Mapping[str, int]]:
    """Run the process while the block runs, and return the port of each misdeed."""
    with running([], {}, module="tests.faults.hostile") as process:
        ports: Mapping[str, int] = json.loads(process.said(STARTED).removeprefix(STARTED))
        yield ports


async def serve() -> None:
    """Serve every misdeed and say where."""
    async with AsyncExitStack() as stack:
        ports = {
            name: (await stack.enter_async_context(receiving_raw(misdeed.does))).port
            for misdeeds in MISDEEDS.values()
            for name, misdeed in misdeeds.items()
        }
        sys.stdout.write(f"{STARTED}{json.dumps(ports)}\n")
        sys.stdout.flush()
        await asyncio.sleep(LASTS_SECONDS)


if __name__ == "__main__":
    asyncio.run(serve())
