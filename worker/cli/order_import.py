"""Place every order of a file: many a transaction, each line standing or falling alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from rich.text import Text

from config.errors import TillbellError
from engine import orders, tenants
from engine.errors import InvalidInput
from engine.unit_of_work import UnitOfWork
from worker.bootstrap import Application
from worker.cli.entry import report
from worker.cli.opening import opened, operator
from worker.cli.output import emit, progress

ORDERS_PER_TRANSACTION = 100
PLACED, EXISTING, REFUSED = "placed", "existing", "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one line: an order placed, or there already, or the refusal's body."""

    line: int
    outcome: str
    id: str | None = None
    error: dict[str, Any] | None = None


def import_file(file: Path, tenant_id: str, *, as_json: bool) -> int:
    """Place the orders of a file, answer with a summary, and return how many were refused.

    Raises NotFound when there is no such tenant.
    """
    with file.open("rb") as counted:
        total = sum(1 for _ in counted)
    outcomes: list[Outcome] = []
    with opened() as application, progress() as bar, file.open("rb") as lines:
        task = bar.add_task("Placing orders", total=total)
        for made in place_lines(application, tenant_id, enumerate(lines, 1)):
            outcomes += made
            bar.update(task, completed=made[-1].line)
    for outcome in outcomes:
        if outcome.error is not None:
            sentence = f"line {outcome.line}: {outcome.error['error']}"
            report({**outcome.error, "error": sentence, "line": outcome.line}, as_json=as_json)
    counts = Counter(each.outcome for each in outcomes)
    summary = {name: counts[name] for name in (PLACED, EXISTING, REFUSED)}
    words = ", ".join(f"{number:,} {name}" for name, number in summary.items())
    document = {"data": outcomes, **summary}
    emit(document, Text(f"{len(outcomes):,} orders: {words}."), as_json=as_json)
    return counts[REFUSED]


def place_lines(
    application: Application, tenant_id: str, lines: Iterator[tuple[int, bytes]]
) -> Iterator[list[Outcome]]:
    """Place numbered lines, yielding the outcomes of each transaction after its commit."""
    with application.database.read() as connection:
        tenants.get(connection, tenant_id)
    filled = (numbered for numbered in lines if numbered[1].strip())
    while batch := list(islice(filled, ORDERS_PER_TRANSACTION)):
        placing = partial(_place_all, tenant_id=tenant_id, batch=batch)
        yield application.units.run(placing, actor=operator())


def _place_all(
    work: UnitOfWork, *, tenant_id: str, batch: Sequence[tuple[int, bytes]]
) -> list[Outcome]:
    return [_place(work, tenant_id, number, line) for number, line in batch]


def _place(work: UnitOfWork, tenant_id: str, number: int, line: bytes) -> Outcome:
    raised = len(work.drafts)
    try:
        with work.connection.begin_nested():
            row = orders.place(work, tenant_id, _parse(line))
    except TillbellError as error:
        del work.drafts[raised:]
        return Outcome(number, REFUSED, error=error.as_dict())
    made = row["created_at"] == work.now
    return Outcome(number, PLACED if made else EXISTING, id=row["id"])


def _parse(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error}", field="line") from None
