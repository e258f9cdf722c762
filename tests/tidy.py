"""The house rules that no linter knows, as functions from text to findings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50

#: Words that name no purpose; ``base_price`` and ``base_cost`` are terms of the trade.
EMPTY_WORDS = {"manager", "helper", "util", "common", "base"}
TERMS = re.compile(r"base_?(?:price|cost)", re.IGNORECASE)
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")

SKIPS = {"skip", "skipif", "xfail", "importorskip", "skipTest"}

#: What no tracked file may say; written so that no pattern matches itself.
FORBIDDEN_TEXT = {
    "leaves a question open": re.compile(r"\b(?:FIX{1}ME|TO{1}DO|X{3})\b"),
    "names a path of one machine": re.compile(
        r"(?<![\w./~$}-])/(?:root|home|Users|work|workspace|tmp)/\w"
    ),
    "names a package registry": re.compile(
        r"pypi\.(?:org|python\.org)|pythonhosted\.org|npmjs\.(?:org|com)|(?:deb|security)\.debian\.org"
        r"|^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links)\b",
        re.MULTILINE,
    ),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Named = Function | ast.ClassDef


def text_findings(path: PurePath, text: str) -> Iterator[str]:
    """Yield what a tracked file says that it must not say."""
    for number, line in enumerate(text.splitlines(), 1):
        for sentence, pattern in FORBIDDEN_TEXT.items():
            if pattern.search(line):
                yield f"{path}:{number}: {sentence}"


def python_findings(path: PurePath, source: str) -> Iterator[str]:
    """Yield where a module breaks the rules of length, naming, docstrings and tests."""
    lines = source.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{path}:1: {lines} lines, {FILE_LINES_MAX} at most"
    if word := _empty_word(path.stem):
        yield f"{path}:1: the file's name says '{word}'"
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield f"{path}:1: the module has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, Named):
            yield from (f"{path}:{node.lineno}: {finding}" for finding in _about(node))
    yield from (f"{path}:{line}: {finding}" for line, finding in _undocumented(tree))
    if "tests" in path.parts:
        yield from (f"{path}:{line}: {finding}" for line, finding in _evasions(path, tree))


def _about(node: Named) -> Iterator[str]:
    if word := _empty_word(node.name):
        yield f"the name {node.name} says '{word}'"
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if isinstance(node, Function) and length > FUNCTION_LINES_MAX:
        yield f"{node.name} has {length} lines, {FUNCTION_LINES_MAX} at most"


def _undocumented(scope: ast.Module | ast.ClassDef) -> Iterator[tuple[int, str]]:
    """Yield the public functions and classes of a scope without a docstring; tests are public."""
    for node in scope.body:
        if not isinstance(node, Named) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _is_restated(node):
            yield node.lineno, f"{node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node)


def _is_restated(node: Named) -> bool:
    """Whether the docstring stands elsewhere: on the property, the implementation, the parent."""
    names = {ast.unparse(decorator).rsplit(".", 1)[-1] for decorator in node.decorator_list}
    return bool(names & {"overload", "override", "setter"})


def _evasions(path: PurePath, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield where a test would not run, or would wait for the clock on the wall."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.ImportFrom):
            continue
        reached = _reached(node)
        if skips := SKIPS & {name.rsplit(".", 1)[-1] for name in reached}:
            yield node.lineno, f"{skips.pop()}: a test runs or fails"
        if "unit" in path.parts and "time.sleep" in reached:
            yield node.lineno, "a unit test does not sleep"


def _reached(node: ast.Attribute | ast.ImportFrom) -> set[str]:
    """Return the dotted names that an expression or an import reaches."""
    if isinstance(node, ast.Attribute):
        return {ast.unparse(node)}
    return {f"{node.module}.{alias.name}" for alias in node.names}


def _empty_word(name: str) -> str | None:
    words = (word.lower() for word in WORDS.findall(TERMS.sub("", name)))
    return next((word for word in words if {word, word.removesuffix("s")} & EMPTY_WORDS), None)
