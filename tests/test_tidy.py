"""The repository keeps its house rules, and the rules themselves catch what they should."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest

from tests.tidy import python_findings, text_findings

ROOT = Path(__file__).parents[1]
NOT_OURS = ("worker/migrations/versions/",)  # written by Alembic
MADE = re.compile(r"\.venv|var|build|dist|__pycache__|\..*_cache|\.hypothesis|\.env|.*\.egg-info")

DOCUMENTED = '"""Say something."""\n'


def tracked_names() -> list[str]:
    """Return the path of every file that git tracks; in an unpacked archive, of every file."""
    if (ROOT / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # fixed
        return listed.stdout.strip("\0").split("\0")
    names = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    return [str(name) for name in names if not any(MADE.fullmatch(part) for part in name.parts)]


def tracked_files() -> Iterator[tuple[PurePath, str]]:
    """Yield every text file of the repository, with its content."""
    for name in tracked_names():
        file = ROOT / name
        if file.is_file() and not name.startswith(NOT_OURS):
            content = file.read_bytes()
            if b"\0" not in content:
                yield PurePath(name), content.decode()


def test_every_tracked_file_speaks_of_the_project_alone() -> None:
    """No tracked file names a machine's path or a registry, or leaves a question open."""
    findings = [found for path, text in tracked_files() for found in text_findings(path, text)]
    assert "" == "\n".join(findings)


def test_every_module_keeps_the_house_rules() -> None:
    """Every module is short, documented, named for its purpose, and no test evades."""
    modules = [(path, text) for path, text in tracked_files() if path.suffix == ".py"]
    findings = [found for path, text in modules for found in python_findings(path, text)]
    assert "" == "\n".join(findings)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# TO" + "DO: later", "leaves a question open"),
        ("FIX" + "ME", "leaves a question open"),
        ("see /" + "root/notes", "names a path of one machine"),
        ('path = "/' + 'tmp/x/y"', "names a path of one machine"),
        ("https://pypi" + ".org/simple", "names a package registry"),
        ("--index" + "-url https://mirror.example", "names a package registry"),
        ("--find" + "-links wheels", "names a package registry"),
    ],
)
def test_forbidden_text_is_found(text: str, sentence: str) -> None:
    """Text that no file may hold is found with its line."""
    assert [f"notes.md:2: {sentence}"] == list(text_findings(PurePath("notes.md"), f"\n{text}\n"))


@pytest.mark.parametrize("text", ["GET /api/v1/work/x", "/worker", "host=/tmp", "a TODOS list"])
def test_innocent_text_passes(text: str) -> None:
    """Routes and words that only resemble something forbidden are left alone."""
    assert [] == list(text_findings(PurePath("notes.md"), text))


@pytest.mark.parametrize(
    ("path", "source", "finding"),
    [
        ("engine/long.py", DOCUMENTED + "\n" * 300, "1: 301 lines, 300 at most"),
        ("engine/http_utils.py", DOCUMENTED, "1: the file's name says 'utils'"),
        ("engine/a.py", "X = 1\n", "1: the module has no docstring"),
        (
            "engine/a.py",
            DOCUMENTED + "class _BaseThing: ...\n",
            "2: the name _BaseThing says 'base'",
        ),
        (
            "engine/a.py",
            DOCUMENTED + "def _x_helper(): ...\n",
            "2: the name _x_helper says 'helper'",
        ),
        (
            "engine/a.py",
            DOCUMENTED + "def _long():\n" + "    x = 1\n" * 50,
            "2: _long has 51 lines, 50 at most",
        ),
        ("engine/a.py", DOCUMENTED + "def give(): ...\n", "2: give has no docstring"),
        (
            "engine/a.py",
            DOCUMENTED + "class A:\n    'A.'\n    def give(self): ...\n",
            "4: give has no docstring",
        ),
        ("tests/test_a.py", DOCUMENTED + "def test_a(): ...\n", "2: test_a has no docstring"),
        (
            "tests/test_a.py",
            DOCUMENTED + "import pytest\npytest.skip('no')\n",
            "3: skip: a test runs or fails",
        ),
        (
            "tests/unit/test_a.py",
            DOCUMENTED + "import time\ntime.sleep(1)\n",
            "3: a unit test does not sleep",
        ),
        (
            "tests/unit/test_a.py",
            DOCUMENTED + "from time import sleep\n",
            "2: a unit test does not sleep",
        ),
    ],
)
def test_broken_rules_are_found(path: str, source: str, finding: str) -> None:
    """Each rule finds the violation planted for it, and only that."""
    assert [f"{path}:{finding}"] == list(python_findings(PurePath(path), source))


@pytest.mark.parametrize(
    "source",
    [
        DOCUMENTED + "def set_base_price():\n    'Set it.'\n",
        DOCUMENTED + "def decode_base64():\n    'Give it.'\n",
        DOCUMENTED + "def database():\n    'Give it.'\n",
        DOCUMENTED + "class A:\n    'A.'\n    def __len__(self): return 0\n",
        "",
    ],
)
def test_kept_rules_pass(source: str) -> None:
    """Terms of the trade, special methods and empty modules break no rule."""
    assert [] == list(python_findings(PurePath("engine/a.py"), source))
