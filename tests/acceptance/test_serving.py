"""One process serves everything: health, readiness, and what another process publishes."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from typing import Any

import orjson
import pytest
from redis import Redis
from standardwebhooks.webhooks import Webhook

from dispatcher import endpoints
from engine import tenants
from tests.installations import publish, states, subscribe
from tests.processes import ROOT, running, until
from tests.receivers import receiving
from tests.server_kinds import RedisServer
from tests.servers import free_port, server
from worker.bootstrap import Application


def ask(port: int, path: str) -> tuple[int, Any]:
    """Return status and JSON of one path, or 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, orjson.loads(error.read())
    except OSError:
        return 0, None


def tillbell(environment: dict[str, str], *arguments: str) -> Any:
    """Run one command of the command line in a process of its own and return its document."""
    done = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-m", "worker", *arguments, "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr.decode()
    return orjson.loads(done.stdout)


def test_what_another_process_publishes_is_delivered_and_verified(embedded: Application) -> None:
    """Serve is alive and ready; an event of the command line arrives signed for its receiver."""
    environment, port = embedded.settings.as_environment(), free_port()
    with receiving() as receiver:
        with embedded.units.begin(actor="test") as work:
            tenant_id = tenants.create(work, name="Reseller")["id"]
            endpoint = endpoints.create(work, embedded.guard, tenant_id=tenant_id, url=receiver.url)
        with running(["serve", "--port", str(port)], environment) as serve:
            until(lambda: ask(port, "/readyz") == (200, {"status": "ready", "problems": {}}))
            assert (200, {"status": "ok"}) == ask(port, "/healthz")
            event = tillbell(
                environment,
                *("events", "publish", "--tenant", tenant_id, "--type", "remittance.due"),
                *("--data", '{"amount": 138.00}'),
            )
            until(lambda: states(embedded) == {"succeeded": 1})
            assert 0 == serve.stop()
    [callback] = receiver.callbacks
    verified = Webhook(endpoint["secret"]).verify(callback.body.decode(), dict(callback.headers))
    assert (event["id"], "remittance.due", {"amount": 138.0}) == (
        verified["id"],
        verified["event"],
        verified["data"],
    )


def test_a_worker_that_no_hint_reaches_looks_for_itself(embedded: Application) -> None:
    """On memory:// hints stay in their process: a worker alone delivers what others publish."""
    with receiving() as receiver:
        tenant_id = subscribe(embedded, receiver.url)
        with running(["worker"], embedded.settings.as_environment()) as worker:
            worker.said("worker.started")
            publish(embedded, tenant_id, 2)
            until(lambda: states(embedded) == {"succeeded": 2}, lambda: repr(worker.err))
            assert 0 == worker.stop()
    assert 2 == len(receiver.callbacks)


def test_without_its_broker_a_process_lives_and_is_not_ready(
    embedded: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis goes away: /readyz answers 503 and says where it was sought; /healthz answers 200."""
    monkeypatch.setenv("TILLBELL_TEST_SERVERS", "installed,packaged")
    port, settings = free_port(), embedded.settings.as_environment()
    with server(RedisServer()) as url:
        secretly = url.replace("redis://", "redis://default:hush@")
        with closing(Redis.from_url(url)) as redis:
            redis.config_set("requirepass", "hush")
        with running(
            ["api", "--port", str(port)], settings | {"TILLBELL_BROKER_URL": secretly}
        ) as api:
            until(lambda: ask(port, "/readyz")[0] == 200, lambda: repr(api.err))
            with closing(Redis.from_url(secretly)) as redis:
                redis.shutdown(nosave=True)
            until(lambda: ask(port, "/readyz")[0] == 503, lambda: repr(api.err))
            problems = ask(port, "/readyz")[1]["problems"]
            assert ["broker"] == list(problems)
            assert url in problems["broker"]
            assert (200, {"status": "ok"}) == ask(port, "/healthz")
            assert 0 == api.stop()
    assert "hush" not in repr(problems) + "".join(api.err)


def test_a_process_that_could_not_work_does_not_start(embedded: Application) -> None:
    """A worker without its broker leaves at once with one line that names it."""
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    environment = embedded.settings.as_environment() | {"TILLBELL_BROKER_URL": nobody}
    with running(["worker"], environment) as worker:
        assert 1 == worker.process.wait(30)
        worker.close()
    assert any("BROKER_UNAVAILABLE" in line for line in worker.err)
    assert "Traceback" not in "".join(worker.err)
