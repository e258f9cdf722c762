"""A process that is told to end finishes what it has begun and leaves with zero."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import pytest

from config.settings import load_settings
from tests.servers import free_port
from worker.initialise import initialise

MAIN = "from worker.cli import main; main()"


@pytest.mark.parametrize(
    ("verb", "number", "last"),
    [
        ("serve", SIGTERM, "worker.stopped"),
        ("serve", SIGINT, "worker.stopped"),
        ("worker", SIGTERM, "worker.stopped"),
        ("scheduler", SIGTERM, "scheduler.stopped"),
    ],
)
def test_a_process_ends_in_order(verb: str, number: Signals, last: str, tmp_path: Path) -> None:
    """A signal at any moment after the start settles what is in flight, then the process leaves."""
    initialise(load_settings(data_dir=tmp_path))
    settings = {"TILLBELL_DATA_DIR": str(tmp_path), "TILLBELL_API_PORT": str(free_port())}
    with subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, "-c", MAIN, verb],
        env=os.environ | settings,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if ".started" in line:
                process.send_signal(number)
        assert 0 == process.wait(30), lines
    assert last in lines[-1]
