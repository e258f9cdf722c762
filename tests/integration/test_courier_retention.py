"""Couriers' files go when nobody needs them any more, whole, and never before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from config.clock import FixedClock
from dispatcher.retention import due, run_once
from engine.database import Database
from reconciler import courier_files, discrepancy_views, judgements
from reconciler.courier_files import CourierFile
from reconciler.retention import courier_steps
from reconciler.tables import courier_lines
from tests.reconciling import Reconciling, reconciling

DAY = timedelta(days=1)
STEPS = courier_steps(400 * DAY)
NOTHING = {"courier_lines": 0, "courier_differences": 0, "courier_files": 0}


def take(scene: Reconciling, *lines: str) -> None:
    """Take a file in which every line is of no order of ours, and note what differs."""
    content = ("reference,amount,batch\n" + "\n".join(lines) + "\n").encode()
    with scene.dispatch.units.begin(actor="test") as work:
        assert courier_files.take(work, CourierFile("bluedart", content, "INR"))
    scene.run("K18.courier")


def prune(scene: Reconciling) -> dict[str, int]:
    """Remove what is 402 days old; what is announced is what goes."""
    now = scene.clock.now() + 402 * DAY
    with scene.database.read() as connection:
        announced = due(connection, STEPS, now)
    assert announced == run_once(scene.database, STEPS, now)
    return announced


def accept(scene: Reconciling) -> None:
    """Accept everything that is open."""
    with scene.database.read() as connection:
        rows = discrepancy_views.listing(connection, limit=100)
    with scene.dispatch.units.begin(actor="test") as work:
        for row in rows:
            if row["status"] == "open":
                judgements.accept(work, row["id"], reason="the courier explained it")


def test_a_file_stays_while_anything_in_it_is_open(database: Database) -> None:
    """Its lines, too; accepted, all of it goes, and the check finds nothing any more."""
    # Identifiers carry the real time, so the clock begins there.
    with reconciling(database, FixedClock(datetime.now(UTC))) as scene:
        take(scene, "P1,155.00,B1", "P2,155.00,B1")
        assert NOTHING == prune(scene)
        accept(scene)
        take(scene, "P3,155.00,B1")
        gone = {"courier_lines": 2, "courier_differences": 2, "courier_files": 1}
        assert gone == prune(scene)
        with database.read() as connection:
            left = select(courier_lines.c.reference)
            assert ["P3"] == list(connection.execute(left).scalars())
        [run] = scene.run("K18.courier")
        assert (1, 1) == (run["found"], run["left_open"])


def test_what_no_check_has_looked_at_yet_stays(database: Database) -> None:
    """A difference nobody was told of is kept, however old its file."""
    with reconciling(database, FixedClock(datetime.now(UTC))) as scene:
        content = b"reference,amount,batch\nP1,155.00,B1\n"
        with scene.dispatch.units.begin(actor="test") as work:
            courier_files.take(work, CourierFile("bluedart", content, "INR"))
        assert NOTHING == prune(scene)


def test_nothing_young_goes(database: Database) -> None:
    """A file in which all is well is kept for as long as dedupe keys are."""
    with reconciling(database, FixedClock(datetime.now(UTC))) as scene:
        take(scene, "P1,155.00,B1")
        accept(scene)
        now = scene.clock.now()
        assert NOTHING == run_once(database, STEPS, now + 399 * DAY)
        run_once(database, STEPS, now + 402 * DAY)
        with database.read() as connection:
            count = select(func.count()).select_from(courier_lines)
            assert 0 == connection.execute(count).scalar_one()
