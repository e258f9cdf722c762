"""The import contracts of pyproject.toml hold, and each one notices when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = [contract["name"] for contract in SETTINGS["contracts"]]

#: For each contract a line that breaks it, at the end of a file that must not hold it.
PLANTED = {
    "Floors: imports only point down": ("engine/money.py", "import dispatcher.tables"),
    "Only the composition roots read the settings": ("engine/ids.py", "import config.settings"),
    "Decisions are pure": ("dispatcher/retry.py", "import random"),
    "One file owns httpx": ("dispatcher/relay.py", "import httpx"),
    "One file owns APScheduler": ("worker/bootstrap.py", "import apscheduler"),
    "Only the worker knows Dramatiq": ("dispatcher/hints.py", "import dramatiq"),
    "Only the command line knows typer": ("api/app.py", "import typer"),
    "Only the API knows FastAPI": ("reconciler/runs.py", "import fastapi"),
    "Only the tracer knows OpenTelemetry": ("worker/telemetry.py", "import opentelemetry"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the packages below ``root``."""
    call = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(  # noqa: S603  # the linter of this environment
        [sys.executable, "-c", call, "--no-cache", "--no-logo"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_contract_holds() -> None:
    """Imports point down, decisions are pure, and each library has its owner."""
    checked = lint_imports(ROOT)
    assert 0 == checked.returncode, checked.stdout


def test_every_import_contract_notices_a_violation(tmp_path: Path) -> None:
    """One forbidden import planted for each contract breaks every one of them."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in SETTINGS["root_packages"]:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=lambda *_: ["__pycache__"])
    for path, line in PLANTED.values():
        with (tmp_path / path).open("a") as file:
            file.write(f"\n{line}\n")
    said = lint_imports(tmp_path).stdout.splitlines()
    assert sorted(CONTRACTS) == sorted(PLANTED)
    assert [f"{name} BROKEN" for name in CONTRACTS] == [
        line.split("(")[0].strip() for line in said if " BROKEN" in line
    ]
