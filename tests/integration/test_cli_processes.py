"""Whole processes: serve delivers, listen verifies, tail and signals end in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.processes import ROOT, free_port, running, until


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the settings of an installation in a folder of its own that may call loopback."""
    return {
        "TILLBELL_DATA_DIR": str(tmp_path / "var"),
        "TILLBELL_EGRESS_ALLOW": "127.0.0.0/8",
        "TILLBELL_ALLOW_HTTP": "true",
        "COLUMNS": "100",
    }


def tillbell(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end in a process of its own."""
    return subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-m", "worker", *arguments],
        cwd=ROOT,
        env=dict(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def document(settings: Mapping[str, str], *arguments: str) -> Any:
    """Run one command that must succeed and return its JSON."""
    done = tillbell(settings, *arguments, "--json")
    assert 0 == done.returncode, done.stderr
    return orjson.loads(done.stdout)


def is_ready(port: int) -> bool:
    """Tell whether ``/readyz`` answers 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_serve_initialises_itself_delivers_and_stops_in_order(settings: dict[str, str]) -> None:
    """On a bare machine an event reaches a listener that verifies it; SIGTERM ends all."""
    port, hook = free_port(), free_port()
    with running(["serve", "--port", str(port)], settings) as serve:
        until(lambda: is_ready(port))
        tenant = document(settings, "tenants", "create", "--name", "Reseller")["id"]
        url = f"http://127.0.0.1:{hook}/"
        made = document(settings, "endpoints", "create", "--tenant", tenant, "--url", url)
        arguments = ["listen", "--port", str(hook), "--secret", made["secret"]]
        with running([*arguments, "--respond", "500,200", "--json"], settings) as listen:
            listen.said("Listening on")
            tested = tillbell(settings, "endpoints", "test", made["id"], "--wait", "20")
            assert (1, True) == (tested.returncode, "retrying" in tested.stdout)
            publish = ("events", "publish", "--tenant", tenant, "--type", "remittance.due")
            event = document(settings, *publish, "--data", '{"n": 1}')
            received = orjson.loads(listen.said(event["id"]))
            assert 0 == listen.stop(signal.SIGINT)
        assert 0 == serve.stop(signal.SIGTERM)
    assert (True, 200, False, "remittance.due") == (
        received["verified"],
        received["status"],
        received["duplicate"],
        received["event"],
    )
    assert event["body"] == orjson.loads(received["body"])
    assert "Traceback" not in "".join(serve.err)


def test_tail_follows_and_control_c_ends_it(settings: dict[str, str]) -> None:
    """What is published while it runs is printed, and SIGINT is exit code 130 without a trace."""
    document(settings, "init")
    tenant = document(settings, "tenants", "create", "--name", "Reseller")["id"]
    publish = ("events", "publish", "--tenant", tenant, "--type", "webhook.test")
    before = document(settings, *publish)["id"]
    with running(["events", "tail", "--last", "1", "--json"], settings) as tail:
        tail.said(before)
        after = document(settings, *publish)["id"]
        assert after == orjson.loads(tail.said(after))["id"]
        assert 130 == tail.stop(signal.SIGINT)
    assert [] == tail.err


def test_people_see_each_callback_on_one_line(settings: dict[str, str]) -> None:
    """Time, mark, event, id and status; who is not verified is marked, and all are counted."""
    with running(["listen", "--port", "0"], settings) as listen:
        url = listen.said("Listening on").split("http://")[1].split("/")[0]
        for _ in range(2):
            call = urllib.request.Request(
                f"http://{url}/", b'{"event":"webhook.test"}', {"webhook-id": "0191-x"}
            )
            urllib.request.urlopen(call, timeout=5).close()  # noqa: S310  # loopback
        line = listen.said("duplicate")
        assert 0 == listen.stop(signal.SIGINT)
    assert all(word in line for word in ("? webhook.test", "0191-x", "200"))
    assert "2 received, 0 verified, 1 duplicates\n" == listen.err[-1]


def test_a_port_in_use_is_one_line(settings: dict[str, str]) -> None:
    """A second listener on the same port says so."""
    with running(["listen", "--port", "0"], settings) as listen:
        port = listen.said("Listening on").split("127.0.0.1:")[1].split("/")[0]
        done = tillbell(settings, "listen", "--port", port)
    assert (1, "") == (done.returncode, done.stdout)
    assert 1 == len(done.stderr.splitlines())


def test_a_reader_that_leaves_early_is_no_accident(settings: dict[str, str]) -> None:
    """``tillbell events list | head -1`` ends without a trace."""
    document(settings, "init")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "worker", "events", "types"],
        cwd=ROOT,
        env=settings,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert (1, b"") == (done.returncode, done.stderr)
