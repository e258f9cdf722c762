"""``tillbell events``: published once under a key, in batches, listed, shown and followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.database import Database
from engine.events import BATCH_ROWS_MAX, EventDraft, publish_many
from engine.ids import new_id
from engine.tables import events, outbox
from tests.command_line import CommandLine
from worker.cli.tail import OVERLAP, Tail, floor_id

TYPE = "webhook.test"


@pytest.fixture
def tenant(cli: CommandLine) -> str:
    """Return the id of a tenant."""
    return str(cli.json("tenants", "create", "--name", "Reseller")["id"])


def count_of(database: Database) -> int:
    """Return how many events there are."""
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(events)).scalar_one())


def test_an_event_is_published_with_its_data(cli: CommandLine, tenant: str) -> None:
    """The answer names the event, and the event has the body that receivers will get."""
    made = cli.json("events", "publish", "--tenant", tenant, "--type", TYPE, "--data", '{"n": 1}')
    assert (TYPE, tenant) == (made["type"], made["tenant_id"])
    shown = cli.json("events", "show", made["id"])
    assert {"n": 1} == shown["body"]["data"]
    assert made["id"] == shown["body"]["id"]
    assert [] == shown["deliveries"]
    assert shown["raised_by"].startswith("cli:")


def test_data_may_stand_in_a_file(cli: CommandLine, tenant: str, tmp_path: Path) -> None:
    """``--data @file`` publishes what the file holds."""
    file = tmp_path / "data.json"
    file.write_text('{"from": "file"}')
    made = cli.json("events", "publish", "--tenant", tenant, "--type", TYPE, "--data", f"@{file}")
    assert {"from": "file"} == made["body"]["data"]


def test_one_key_is_one_event(cli: CommandLine, tenant: str, database: Database) -> None:
    """Publishing twice under a dedupe key answers the same id and raises nothing new."""
    command = ("events", "publish", "--tenant", tenant, "--type", TYPE, "--dedupe-key", "k")
    assert cli.json(*command)["id"] == cli.json(*command)["id"]
    assert 1 == count_of(database)


def test_many_are_published_in_batches_under_numbered_keys(
    cli: CommandLine, tenant: str, database: Database
) -> None:
    """``--count`` beyond one transaction answers every id, and a second run raises nothing new."""
    count = BATCH_ROWS_MAX + 1
    command = ("events", "publish", "--tenant", tenant, "--type", TYPE, "--count", str(count))
    ids = cli.json(*command, "--dedupe-key", "k")["data"]
    assert count == len(set(ids))
    assert ids == cli.json(*command, "--dedupe-key", "k")["data"]
    assert count == count_of(database)
    with database.read() as connection:
        keys = connection.execute(
            select(events.c.dedupe_key).where(events.c.id.in_([ids[0], ids[-1]]))
        )
        assert {"k-1", f"k-{count}"} == set(keys.scalars())
        waiting = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
    assert count == waiting


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"--type": "order.unheard_of"}, "UNKNOWN_EVENT_TYPE"),
        ({"--tenant": new_id()}, "NOT_FOUND"),
        ({"--tenant": "nobody"}, "NOT_FOUND"),
        ({"--data": "{"}, "VALIDATION_ERROR"),
        ({"--data": "[]"}, "VALIDATION_ERROR"),
    ],
)
def test_a_refused_event_leaves_nothing(
    cli: CommandLine, tenant: str, database: Database, changes: dict[str, str], code: str
) -> None:
    """Each mistake has its code on standard error, an empty standard output, and no row."""
    options = {"--tenant": tenant, "--type": TYPE, **changes}
    answer = cli(
        "events", "publish", "--json", *(part for pair in options.items() for part in pair)
    )
    assert (1, "", code) == (answer.code, answer.out, answer.refusal["code"])
    assert 0 == count_of(database)


def test_a_registered_type_can_be_published_if_its_data_fit(
    cli: CommandLine, tenant: str, tmp_path: Path
) -> None:
    """Registering makes a type publishable, and its schema is kept."""
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "required": ["invoice_id"]}')
    made = cli.json("events", "types", "--register", "invoice.paid", "--schema", str(schema))
    assert "invoice.paid" == made["type"]
    assert "invoice.paid" in [each["type"] for each in cli.json("events", "types")["data"]]
    command = ("events", "publish", "--tenant", tenant, "--type", "invoice.paid", "--data")
    assert 1 == cli(*command, "{}").code
    assert 0 == cli(*command, '{"invoice_id": "1"}').code
    again = cli("events", "types", "--register", "invoice.paid")
    assert (1, True) == (again.code, "[ALREADY_EXISTS]" in again.err)


def test_a_schema_without_a_type_is_wrong_usage(cli: CommandLine, tmp_path: Path) -> None:
    """``--schema`` alone does nothing and says so."""
    schema = tmp_path / "schema.json"
    schema.write_text("{}")
    assert 2 == cli("events", "types", "--schema", str(schema)).code


def test_a_list_goes_on_after_its_cursor(cli: CommandLine, tenant: str) -> None:
    """Pages of two give five events, newest first, each once."""
    command = ("events", "publish", "--tenant", tenant, "--type", TYPE, "--count", "5")
    ids = sorted(cli.json(*command)["data"], reverse=True)
    found: list[str] = []
    cursor: list[str] = []
    for _ in range(3):
        listed = cli.json("events", "list", "--tenant", tenant, "--limit", "2", *cursor)
        found += [each["id"] for each in listed["data"]]
        cursor = ["--after", str(listed["next_cursor"])]
    assert ids == found
    assert listed["next_cursor"] is None
    people = cli("events", "list", "--limit", "2")
    assert "More: --after" in people.out
    assert max(map(len, people.out.splitlines())) <= 100


def test_a_tail_returns_what_is_committed_late(tenant: str, database: Database) -> None:
    """An event with an older id that appears after a newer one is seen, and each is seen once."""
    late, early = new_id(), new_id()
    now = datetime.now(UTC)
    tail = Tail(since=now)

    def publish(event_id: str) -> None:
        draft = EventDraft(tenant_id=tenant, type=TYPE, data={}, id=event_id)
        with database.write() as connection:
            publish_many(connection, [draft])

    def look(step: timedelta) -> list[str]:
        with database.read() as connection:
            return [row["id"] for row in tail.look(connection, now + step)]

    publish(early)
    assert [early] == look(timedelta(seconds=1))
    publish(late)
    assert [late] == look(timedelta(seconds=2))
    assert [] == look(timedelta(seconds=3))
    assert [] == look(3 * OVERLAP)


def test_a_tail_begins_with_the_last(cli: CommandLine, tenant: str, database: Database) -> None:
    """The newest are shown in order, and neither they nor older ones come again."""
    ids = sorted(
        cli.json("events", "publish", "--tenant", tenant, "--type", TYPE, "--count", "3")["data"]
    )
    tail = Tail(since=datetime.now(UTC), tenant_id=tenant, type_name=TYPE)
    with database.read() as connection:
        assert ids[-2:] == [row["id"] for row in tail.last(connection, 2)]
        assert [] == tail.look(connection, datetime.now(UTC))


def test_the_lowest_id_of_an_instant_is_below_every_id_made_then() -> None:
    """The tail's starting point cuts off nothing."""
    assert floor_id(datetime.now(UTC)) <= new_id()


def test_the_table_of_a_show_is_readable(cli: CommandLine, tenant: str, database: Database) -> None:
    """People see the body indented and the time in UTC."""
    made = cli.json("events", "publish", "--tenant", tenant, "--type", TYPE, "--data", '{"n": 1}')
    with database.write() as connection:
        at = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
        connection.execute(update(events).values(created_at=at))
    shown = cli("events", "show", made["id"]).out
    assert '"n": 1' in shown
    assert "2026-03-02 09:30:00Z" in shown
