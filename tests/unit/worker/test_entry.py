"""The table of verbs, ``--help``, and how wrong usage ends."""

from __future__ import annotations

from importlib import import_module

import orjson
import pytest
import typer

from worker.cli.entry import VERBS, run

NOUNS = {
    "deliveries": {"list", "show", "explain", "replay"},
    "endpoints": {
        "create",
        "list",
        "show",
        "update",
        "pause",
        "resume",
        "enable",
        "disable",
        "rotate-secret",
        "test",
        "delete",
    },
    "events": {"publish", "list", "show", "types", "tail"},
    "keys": {"list", "new", "re-encrypt"},
    "orders": {
        "create",
        "import",
        "list",
        "show",
        "forward",
        "accept",
        "process",
        "ship",
        "deliver",
        "cancel",
    },
    "products": {"create", "update", "list", "show", "price", "breakdown"},
    "reconcile": {"run", "list", "show", "checks"},
    "remittances": {"list", "show", "process"},
    "replays": {"create", "list", "show", "pause", "resume", "cancel"},
    "tenants": {"create", "list", "show"},
    "wallets": {"show", "top-up", "threshold"},
}
PROCESSES = {"init", "serve", "worker", "scheduler", "api", "doctor", "listen", "demo"}

Capture = pytest.CaptureFixture[str]


def application(noun: str) -> typer.Typer:
    """Return the Typer application behind a noun."""
    verb = next(verb for verb in VERBS if verb.name == noun)
    module, _, name = verb.target.partition(":")
    found = getattr(import_module(module), name)
    assert isinstance(found, typer.Typer)
    return found


def test_every_verb_of_the_design_is_there() -> None:
    """No verb that scripts may rely on is missing."""
    assert {*NOUNS, *PROCESSES} <= {verb.name for verb in VERBS}


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_its_verbs_and_each_its_sentence(noun: str) -> None:
    """No verb of the design is missing, and each says in one sentence what it does."""
    commands = application(noun).registered_commands
    names = {each.name or each.callback.__name__ for each in commands if each.callback}
    sentences = [each.callback.__doc__ or "" for each in commands if each.callback]
    assert NOUNS[noun] <= names
    assert all(sentence.split("\n")[0].endswith(".") for sentence in sentences)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_every_verb_under_a_heading(arguments: tuple[str, ...], capsys: Capture) -> None:
    """The first page names every verb with its sentence; asking for it is no error."""
    assert 0 == run(arguments)
    said = capsys.readouterr().out
    assert all(f"{verb.name} " in said and verb.sentence in said for verb in VERBS)
    assert {f"{verb.panel}:" for verb in VERBS} <= set(said.splitlines())


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_alone_shows_its_help(noun: str, capsys: Capture) -> None:
    """``tillbell tenants`` explains itself."""
    assert 0 == run([noun])
    assert f"Usage: tillbell {noun} " in capsys.readouterr().out


@pytest.mark.parametrize("verb", sorted(PROCESSES))
def test_a_process_explains_itself(verb: str, capsys: Capture) -> None:
    """``--help`` of a process starts nothing."""
    assert 0 == run([verb, "--help"])
    assert f"Usage: tillbell {verb} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tenant"], "No such command 'tenant'. Did you mean 'tenants'?; see 'tillbell --help'"),
        (
            ["tenants", "create"],
            "Missing option '--name'; see 'tillbell tenants create --help'",
        ),
        (
            ["deliveries", "replay"],
            "say which: ids, or --state and other filters; see 'tillbell deliveries replay --help'",
        ),
        (
            ["listen", "--respond", "200,abc"],
            "'200,abc' is not a list of statuses such as 500,500,200; see 'tillbell listen --help'",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: Capture
) -> None:
    """What is wrong stands on standard error with the help to read; nothing on standard output."""
    assert 2 == run(arguments)
    assert ("", f"error: {sentence} [USAGE]\n") == capsys.readouterr()


def test_wrong_usage_with_json_is_an_object(capsys: Capture) -> None:
    """A program reads the code of its mistake from standard error."""
    assert 2 == run(["tenants", "create", "--json"])
    out, err = capsys.readouterr()
    assert ("", "USAGE") == (out, orjson.loads(err)["code"])


def test_wrong_settings_are_named_all_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Two wrong settings make one line that names both."""
    monkeypatch.setenv("TILLBELL_API_PORT", "99999")
    monkeypatch.setenv("TILLBELL_BROKER_URL", "amqp://x")
    assert 1 == run(["tenants", "list"])
    line = capsys.readouterr().err
    assert 1 == line.count("\n")
    assert all(name in line for name in ("API_PORT", "BROKER_URL", "[SETTINGS_INVALID]"))
