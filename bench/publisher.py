"""A caller that publishes at a steady rate, as a process of its own.

``python -m bench.publisher --rate 500 --seconds 10 --tenants FILE`` publishes round-robin to the
tenants named in FILE, in transactions of what is due every 10 milliseconds. With ``--no-hints``
nobody is told: the sweep must find it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from bench.stand import BODY, EVENT
from config.settings import load_settings
from engine.events import EventDraft, publish_many
from worker.bootstrap import Application, build

TICK_SECONDS = 0.01
BATCH_MAX = 1000


def publish_steadily(
    application: Application, tenant_ids: list[str], rate: float, seconds: float, *, hints: bool
) -> dict[str, float]:
    """Publish ``rate`` events a second for ``seconds``; return how many, and how late it ran."""
    began = time.monotonic()
    published, late_max = 0, 0.0
    while (elapsed := time.monotonic() - began) < seconds:
        due = int(elapsed * rate) - published
        if due <= 0:
            time.sleep(TICK_SECONDS)
            continue
        late_max = max(late_max, due / rate)
        drafts = [
            EventDraft(tenant_id=tenant_ids[number % len(tenant_ids)], type=EVENT, data=BODY)
            for number in range(published, published + min(due, BATCH_MAX))
        ]
        with application.database.write() as connection:
            publish_many(connection, drafts)
        if hints:
            application.hints.relay()
        published += len(drafts)
        time.sleep(TICK_SECONDS)
    return {"published": published, "seconds": time.monotonic() - began, "late_max": late_max}


def main() -> None:
    """Publish and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.publisher", description=__doc__)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--tenants", type=Path, required=True)
    parser.add_argument("--no-hints", action="store_true")
    given = parser.parse_args()
    application = build(load_settings())
    try:
        tenant_ids = json.loads(given.tenants.read_text())
        told = publish_steadily(
            application, tenant_ids, given.rate, given.seconds, hints=not given.no_hints
        )
    finally:
        application.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
