"""``tillbell bench``: throughput, latency and cost beside the bare ceiling, in one run."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Group

from bench.lines import FULL, QUICK
from bench.run import run
from bench.table import rendered
from worker.cli.options import Json
from worker.cli.output import console, emit


def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything: a minute.")] = False,
    as_json: Json = False,
) -> None:
    """Measure this machine: every line beside the bare ceiling of the same run.

    On the servers of TILLBELL_DATABASE_URL (a database of its own, dropped again) and
    TILLBELL_BROKER_URL (an empty one); without them on SQLite. All of it takes some forty minutes,
    a third of it to fill tables with millions of rows.
    """
    began = time.monotonic()
    errors = console(error=True)

    def told(sentence: str) -> None:
        errors.print(f"{time.monotonic() - began:6.0f} s  measuring {sentence} …", style="dim")

    found = run(QUICK if quick else FULL, told)
    machine = found["machine"]
    where = (
        f"{machine['cores']} cores of {machine['processor']}, load {machine['load_before']:.1f}"
        f" before, Python {machine['python']}; {time.monotonic() - began:.0f} s"
    )
    emit(found, Group(rendered(found), where), as_json=as_json)
