"""Arguments that mean the same for orders and drafts."""

from __future__ import annotations

from typing import Annotated

import typer

Id = Annotated[str, typer.Argument(help="The order's id.", metavar="ID", show_default=False)]
Acting = Annotated[
    str | None,
    typer.Option("--tenant", help="Who acts; without it, whoever's turn it is.", metavar="ID"),
]
