"""The usual way, to compare: a Dramatiq message a delivery, ``httpx.Client``, a commit each.

Nothing here is ours but the signature. ``python -m bench.usual --url U --deliveries 500`` makes the
rows and messages first, then times eight threads that carry them out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import UTC, datetime

import dramatiq
import httpx
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from sqlalchemy import DateTime, ForeignKey, LargeBinary, String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from dispatcher.signing import signature_header
from engine.ids import new_id

SECRET = os.urandom(32)
THREADS = 8


class Model(DeclarativeBase):
    """Tables of the usual way."""


class UsualDelivery(Model):
    """A callback to make."""

    __tablename__ = "usual_deliveries"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    url: Mapped[str] = mapped_column(String(300))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(12), default="pending")


class UsualAttempt(Model):
    """A callback made."""

    __tablename__ = "usual_attempts"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    delivery_id: Mapped[str] = mapped_column(ForeignKey("usual_deliveries.id"))
    status_code: Mapped[int]
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def deliver(sessions: sessionmaker[Session], client: httpx.Client, delivery_id: str) -> None:
    """Load, sign, send, record, commit."""
    with sessions() as session:
        delivery = session.get_one(UsualDelivery, delivery_id)
        now = datetime.now(UTC)
        timestamp = int(now.timestamp())
        headers = {
            "webhook-id": delivery_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature_header([SECRET], delivery_id, timestamp, delivery.body),
            "content-type": "application/json",
        }
        answer = client.post(delivery.url, content=delivery.body, headers=headers)
        session.add(
            UsualAttempt(delivery_id=delivery_id, status_code=answer.status_code, made_at=now)
        )
        delivery.state = "succeeded" if answer.is_success else "failed"
        session.commit()


def run(database_url: str, broker_url: str, url: str, count: int) -> dict[str, float]:
    """Carry out ``count`` deliveries the usual way and return how many a second that were."""
    engine = create_engine(database_url, pool_size=THREADS)
    Model.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    memory = broker_url == "memory://"
    broker = StubBroker() if memory else RedisBroker(url=broker_url, namespace="usual")  # type: ignore[no-untyped-call]  # as it comes
    client = httpx.Client(trust_env=False)

    def carry_out(delivery_id: str) -> None:
        deliver(sessions, client, delivery_id)

    actor = dramatiq.actor(actor_name="deliver", queue_name="usual", broker=broker)(carry_out)
    ids = [new_id() for _ in range(count)]
    with sessions.begin() as session:
        session.add_all(UsualDelivery(id=each, url=url, body=b"x" * 600) for each in ids)
    for each in ids:
        actor.send(each)
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    began = time.monotonic()
    worker.start()
    done = select(func.count()).select_from(UsualAttempt)
    while engine_count(sessions, done) < count:
        time.sleep(0.05)
    seconds = time.monotonic() - began
    worker.stop()
    client.close()
    engine.dispose()
    return {"deliveries": count, "seconds": seconds, "per_second": count / seconds}


def engine_count(sessions: sessionmaker[Session], statement: object) -> int:
    """Return how many attempts there are."""
    with sessions() as session:
        return int(session.scalar(statement) or 0)  # type: ignore[call-overload]  # a count


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.usual", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--deliveries", type=int, default=500)
    given = parser.parse_args()
    environment = os.environ
    found = run(
        environment["TILLBELL_DATABASE_URL"],
        environment.get("TILLBELL_BROKER_URL", "memory://"),
        given.url,
        given.deliveries,
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
