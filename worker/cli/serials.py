"""``tillbell serials``: what a product's stock is made of, sealed at rest."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import stock_items
from worker.cli.documents import read_line
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.output import details, emit

app = typer.Typer(rich_markup_mode=None)

Product = Annotated[
    str, typer.Argument(help="The product's id.", metavar="PRODUCT", show_default=False)
]


@app.command()
def add(
    product: Product,
    file: Annotated[
        str,
        typer.Argument(
            help="@FILE with one serial a line, or @- for standard input.", show_default=False
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Put serials into a product's stock; one that it ever had is passed over."""
    lines = [line for line in read_line(file, field="serials").splitlines() if line.strip()]
    with writing() as (application, work):
        done = stock_items.add(work, application.guard.keyring, product, lines)
    facts = {"added": f"{done['added']:,}", "known before": f"{done['known']:,}"}
    emit({"product_id": product, **done}, details(facts), as_json=as_json)


@app.command()
def show(product: Product, *, as_json: Json = False) -> None:
    """Show how many serials of a product are where; never one of them."""
    with reading() as connection:
        found = stock_items.counts(connection, product)
    facts = {name: f"{number:,}" for name, number in found.items()}
    emit({"product_id": product, **found}, details(facts), as_json=as_json)
