"""``tillbell demo``: the main job on the examples, proven by what the receivers logged."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from config.log import configure_logging
from engine import wallets
from worker.bootstrap import Application, build
from worker.demo.run import Demo
from worker.demo.stage import DemoFailed, Stage, demo_settings, running
from worker.demo.story import read_script
from worker.demo.summary import as_document, print_summary
from worker.initialise import initialise
from worker.processes import stop_signal

EXAMPLES = Path(__file__).parents[2] / "examples"


def demo(
    examples: Annotated[
        Path, typer.Option(help="Folder with orders.jsonl and chain.json.")
    ] = EXAMPLES,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running to be looked at.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Answer one JSON document on standard output.")
    ] = False,
) -> None:
    """Run the main job: orders in, verified callbacks out, replay, reconcile."""
    if not (examples / "orders.jsonl").exists():
        raise DemoFailed(f"no orders.jsonl in {examples}; name its folder with --examples")
    folder = Path(tempfile.mkdtemp(prefix="tillbell-demo-"))
    settings = demo_settings(folder)
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    initialise(settings)
    application = build(settings)
    console = Console(stderr=as_json, highlight=False)
    stage = Stage(folder)
    try:
        with stage.closing, running(application) as how:
            console.print(f"[bold]Tillbell demo[/] on {application.database.location}: {how}\n")
            demonstration = Demo(application, stage, read_script(examples), console)
            failed = _play(demonstration, application, console, as_json=as_json)
            if keep:
                _stay(console, stage)
    finally:
        application.close()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(1 if failed else 0)


def _play(
    demonstration: Demo, application: Application, console: Console, *, as_json: bool
) -> bool:
    """Play all scenes, show the proof, and tell whether anything is wrong."""
    demonstration.prepare()
    demonstration.tell()
    demonstration.let_time_pass()
    demonstration.replay()
    proof, runs = demonstration.prove()
    with application.database.read() as connection:
        chain = demonstration.wallets_of()
        shown = {name: wallets.show(connection, tenant_id) for name, tenant_id in chain}
    if as_json:
        document = as_document(proof, shown, runs)
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str))
    else:
        print_summary(console, proof, shown, runs)
    return bool(proof.problems)


def _stay(console: Console, stage: Stage) -> None:
    """Leave receivers and workers running until Ctrl-C."""
    console.print(f"\nStill running; data, receivers' logs and secrets are in {stage.folder}")
    for name, receiver in stage.receivers.items():
        console.print(f"  {name:<8} {receiver.url}")
    console.print(
        f"Look with: TILLBELL_DATA_DIR={stage.folder} tillbell deliveries list\nCtrl-C ends it."
    )
    stop_signal().wait()
