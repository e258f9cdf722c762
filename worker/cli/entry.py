"""The table of verbs, and the one place where a refusal becomes a line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Never

import orjson
import typer
from typer.core import TyperGroup
from typer.main import get_command

from config.errors import TillbellError

RUN = "Run"
EVENTS = "Events and deliveries"
TRADE = "Orders and money"
SUMMARY = (
    "Orders and money of a reseller platform, and the signed callbacks that tell resellers about"
    " them. Every verb explains itself with --help; with --json it answers one JSON document."
)


@dataclass(frozen=True, slots=True)
class Verb:
    """One word after ``tillbell``: where its code is, and the sentence ``--help`` shows.

    ``target`` is ``module:name`` of a command, or of a Typer application of commands.
    """

    name: str
    target: str
    panel: str
    sentence: str


VERBS = (
    Verb("init", "worker.cli.init:init", RUN, "Make the data folder, the keys and the schema."),
    Verb("serve", "worker.cli.serving:serve", RUN, "Run everything in one process."),
    Verb("worker", "worker.cli.running:worker", RUN, "Deliver callbacks."),
    Verb("scheduler", "worker.cli.running:scheduler", RUN, "Sweep and reconcile on schedule."),
    Verb("api", "worker.cli.serving:api", RUN, "Serve HTTP."),
    Verb("demo", "worker.cli.demo:demo", RUN, "Run the main job on the examples."),
    Verb("bench", "worker.cli.bench:bench", RUN, "Throughput and cost beside the bare ceiling."),
    Verb("doctor", "worker.cli.doctor:doctor", RUN, "Say what is wrong and how to mend it."),
    Verb("keys", "worker.cli.keys:app", RUN, "What seals secrets at rest; renew it."),
    Verb("listen", "worker.cli.listen:listen", EVENTS, "Receive, verify and print callbacks."),
    Verb("endpoints", "worker.cli.endpoints:app", EVENTS, "Callback URLs of tenants."),
    Verb("events", "worker.cli.events:app", EVENTS, "What happened: publish it, look at it."),
    Verb("deliveries", "worker.cli.deliveries:app", EVENTS, "Callbacks: look, send again."),
    Verb("replays", "worker.cli.replays:app", EVENTS, "What was sent again, by whom and why."),
    Verb("manifest", "worker.cli.manifest:app", EVENTS, "What was sent each day, and its proof."),
    Verb("tokens", "worker.cli.tokens:app", EVENTS, "Keys of the HTTP interface."),
    Verb("tenants", "worker.cli.tenants:app", TRADE, "The platform and its resellers."),
    Verb("products", "worker.cli.products:app", TRADE, "What is sold, and what each level pays."),
    Verb("customers", "worker.cli.customers:app", TRADE, "Whom resellers order for."),
    Verb("drafts", "worker.cli.drafts:app", TRADE, "Orders being collected, for 168 hours."),
    Verb("orders", "worker.cli.orders:app", TRADE, "Chain orders: place, move on, look."),
    Verb("wallets", "worker.cli.wallets:app", TRADE, "Balances, statements, limits and holds."),
    Verb("payouts", "worker.cli.payouts:app", TRADE, "Money from a wallet to its owner's bank."),
    Verb("settlements", "worker.cli.settlements:app", TRADE, "Cash on delivery, in the books."),
    Verb("remittances", "worker.cli.remittances:app", TRADE, "What one tenant owes another."),
    Verb("ledger", "worker.cli.ledger:app", TRADE, "The books: look, verify, correct, freeze."),
    Verb("programs", "worker.cli.programs:app", TRADE, "Whether a merchant has resellers."),
    Verb("resellers", "worker.cli.resellers:app", TRADE, "Invited, bound to a merchant, paid."),
    Verb("campaigns", "worker.cli.campaigns:app", TRADE, "What a reseller offers, and where."),
    Verb("sales", "worker.cli.sales:app", TRADE, "Sales resellers brought, and commissions."),
    Verb("serials", "worker.cli.serials:app", TRADE, "What stock is made of, sealed."),
    Verb("stock-purchases", "worker.cli.stock_purchases:app", TRADE, "Stock resellers buy."),
    Verb("fulfillments", "worker.cli.fulfillments:app", TRADE, "What resellers' shops sold."),
    Verb("retention", "worker.cli.retention:app", RUN, "How long what is kept; remove the rest."),
    Verb("upstreams", "worker.cli.upstreams:app", TRADE, "Platforms that fulfil our orders."),
    Verb("reconcile", "worker.cli.reconcile:app", RUN, "Find what does not agree, and heal it."),
    Verb("discrepancies", "worker.cli.discrepancies:app", RUN, "What did not agree; judge it."),
)


class Panels(TyperGroup):
    """The group of all verbs; its ``--help`` lists them under their headings."""

    def format_commands(self, _context: Any, formatter: Any) -> None:
        """Write one section per heading, in the order of the table."""
        for panel in dict.fromkeys(verb.panel for verb in VERBS):
            with formatter.section(panel):
                formatter.write_dl(
                    [(verb.name, verb.sentence) for verb in VERBS if verb.panel == panel]
                )


def main() -> None:
    """Run ``tillbell`` with this process's arguments and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code: 1 for a refusal, 2 for wrong usage.

    A refusal is one line on standard error, or, with ``--json``, one JSON object there.
    """
    as_json = "--json" in arguments
    app, is_noun = assemble(arguments)
    asked = (
        [*arguments, "--help"] if not arguments or (is_noun and len(arguments) == 1) else arguments
    )
    try:
        code = get_command(app).main(list(asked), prog_name="tillbell", standalone_mode=False)
    except TillbellError as error:
        report(error.as_dict(), as_json=as_json)
        return 1
    except typer.TyperException as error:
        report(_usage(error), as_json=as_json)
        return error.exit_code
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def assemble(arguments: Sequence[str]) -> tuple[typer.Typer, bool]:
    """Return the application and whether the verb asked for has verbs of its own.

    Only the verb that is asked for is imported; the others are named.
    """
    app = typer.Typer(
        cls=Panels,
        help=SUMMARY,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    is_noun = False
    for verb in VERBS:
        target = _load(verb) if verb.name in arguments[:1] else _not_imported
        if isinstance(target, typer.Typer):
            is_noun = True
            app.add_typer(target, name=verb.name, help=verb.sentence)
        else:
            app.command(verb.name)(target)
    return app, is_noun


def report(error: dict[str, Any], *, as_json: bool) -> None:
    """Write an error body of document 001 to standard error."""
    if as_json:
        typer.echo(orjson.dumps(error, default=str), err=True)
        return
    sentence = " ".join(str(error["error"]).split()) + _facts(error["details"])
    typer.echo(
        f"{typer.style('error:', fg='red', bold=True)} {sentence} [{error['code']}]", err=True
    )


def _facts(details: Mapping[str, Any]) -> str:
    """Return in words those details that help a person on and are not in the sentence."""
    words = [
        f"{name} {orjson.dumps(details[name]).decode()}"
        for name in ("required", "available")
        if name in details
    ]
    if details.get("allowed"):
        words.append(f"allowed now: {', '.join(details['allowed'])}")
    return f" ({', '.join(words)})" if words else ""


def _load(verb: Verb) -> Any:
    module, _, name = verb.target.partition(":")
    return getattr(import_module(module), name)


def _not_imported() -> Never:
    raise AssertionError("a verb that was not asked for is never run")


def _usage(error: typer.TyperException) -> dict[str, Any]:
    """Return what was wrong with the command line, and which ``--help`` to read."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tillbell"
    sentence = error.format_message().removeprefix("Invalid value: ").rstrip(".")
    return {"error": f"{sentence}; see '{path} --help'", "code": "USAGE", "details": {}}


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            found = version("tillbell")
        except PackageNotFoundError:
            found = "(not installed)"
        typer.echo(f"tillbell {found}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before the verb."""
    assert not show_version
