"""``tillbell init`` and ``doctor``: making an installation, and saying what is wrong with it."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update

from dispatcher.tables import endpoints, mailboxes
from engine.database import Database
from engine.ids import new_id
from engine.tables import outbox
from tests.command_line import CommandLine
from worker.doctor import Diagnosis, examine
from worker.schema import newest_revision

LOOKS = ["settings", "broker", "database", "clock", "schema", "ledger", "keys", "leases", "outbox"]


def diagnoses() -> dict[str, Diagnosis]:
    """Examine the installation the environment names."""
    return {each.check: each for each in examine()}


def installed(folder: Path) -> Database:
    """Return the embedded database below a data folder."""
    return Database(f"sqlite:///{folder / 'var' / 'tillbell.db'}")


def test_init_makes_what_is_missing_and_says_so(bare_cli: CommandLine, tmp_path: Path) -> None:
    """On a bare machine there are afterwards a private key, a database, and the newest schema."""
    made = bare_cli.json("init")
    key_file = tmp_path / "var" / "secret.keys"
    assert {
        "data_dir": str(tmp_path / "var"),
        "database": f"sqlite:///{tmp_path / 'var' / 'tillbell.db'}",
        "revision": newest_revision(),
        "revisions_applied": ["0001", "0002"],
        "key_file": str(key_file),
    } == made
    assert 0o600 == stat.S_IMODE(key_file.stat().st_mode)


def test_init_again_changes_nothing(bare_cli: CommandLine, tmp_path: Path) -> None:
    """A second init keeps the key and applies no revision."""
    bare_cli.json("init")
    key = (tmp_path / "var" / "secret.keys").read_bytes()
    made = bare_cli.json("init")
    assert (None, []) == (made["key_file"], made["revisions_applied"])
    assert key == (tmp_path / "var" / "secret.keys").read_bytes()


def test_init_for_people_names_the_next_step(bare_cli: CommandLine) -> None:
    """What was made and what to do next fit on one screen."""
    answer = bare_cli("init")
    assert 0 == answer.code
    assert "back it up" in answer.out
    assert "tillbell serve" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100


def test_before_init_a_command_says_what_to_run_and_makes_nothing(
    bare_cli: CommandLine, tmp_path: Path
) -> None:
    """A list on a bare machine is one line and exit code 1; no folder appears."""
    answer = bare_cli("tenants", "list")
    assert (1, "") == (answer.code, answer.out)
    assert "run 'tillbell init' [DATABASE_UNAVAILABLE]\n" in answer.err
    assert not (tmp_path / "var").exists()


def test_a_folder_that_cannot_be_written_is_one_line(bare_cli: CommandLine, tmp_path: Path) -> None:
    """Init in a place that is a file is refused with what to set."""
    (tmp_path / "var").write_text("in the way")
    answer = bare_cli("init")
    assert 1 == answer.code
    assert 1 == len(answer.err.splitlines())
    assert "set TILLBELL_DATA_DIR" in answer.err


def test_doctor_finds_nothing_wrong_after_init(bare_cli: CommandLine) -> None:
    """A fresh installation is well: every look is ok, exit code 0."""
    bare_cli.json("init")
    found = bare_cli.json("doctor")
    assert found["ok"]
    assert dict.fromkeys(LOOKS, "ok") == {each["check"]: each["status"] for each in found["data"]}
    assert "✓" in bare_cli("doctor").out


def test_doctor_before_init_says_how_to_mend_it(bare_cli: CommandLine, tmp_path: Path) -> None:
    """Without a database the exit code is 1, the advice is init, and nothing is made."""
    answer = bare_cli("doctor", "--json")
    assert 1 == answer.code
    assert not answer.document["ok"]
    assert "run 'tillbell init'" == answer.document["data"][-1]["mend"]
    assert not (tmp_path / "var").exists()


def test_doctor_names_every_wrong_setting(
    bare_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two wrong settings are both named in one look."""
    monkeypatch.setenv("TILLBELL_API_PORT", "99999")
    monkeypatch.setenv("TILLBELL_BROKER_URL", "amqp://x")
    answer = bare_cli("doctor", "--json")
    assert 1 == answer.code
    message = answer.document["data"][0]["message"]
    assert "TILLBELL_API_PORT" in message
    assert "TILLBELL_BROKER_URL" in message


def test_doctor_finds_secrets_that_no_key_opens(
    bare_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the key was lost the look at the keys fails and says what to do."""
    monkeypatch.setenv("TILLBELL_EGRESS_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("TILLBELL_ALLOW_HTTP", "true")
    bare_cli.json("init")
    tenant = bare_cli.json("tenants", "create", "--name", "A")["id"]
    bare_cli.json("endpoints", "create", "--tenant", tenant, "--url", "http://127.0.0.1:9/x")
    assert "ok" == diagnoses()["keys"].status
    monkeypatch.setenv("TILLBELL_SECRET_KEYS", "A" * 43 + "=")
    found = diagnoses()["keys"]
    assert "fail" == found.status
    assert "1 of 1 sealed things cannot be opened" in found.message
    assert found.mend is not None


@pytest.mark.parametrize(("age_seconds", "status"), [(1, "ok"), (30, "warn"), (3600, "fail")])
def test_doctor_judges_the_age_of_the_outbox(
    bare_cli: CommandLine, tmp_path: Path, age_seconds: int, status: str
) -> None:
    """Events that nobody fans out are a warning soon and a failure later."""
    bare_cli.json("init")
    database = installed(tmp_path)
    with database.write() as connection:
        connection.execute(
            insert(outbox).values(
                event_id=new_id(),
                tenant_id=new_id(),
                event_type="webhook.test",
                created_at=datetime.now(UTC) - timedelta(seconds=age_seconds),
            )
        )
    database.dispose()
    assert status == diagnoses()["outbox"].status


def test_doctor_warns_of_mailboxes_held_by_the_dead(
    bare_cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that ran out and was not taken back is reported."""
    monkeypatch.setenv("TILLBELL_EGRESS_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("TILLBELL_ALLOW_HTTP", "true")
    bare_cli.json("init")
    tenant = bare_cli.json("tenants", "create", "--name", "A")["id"]
    made = bare_cli.json("endpoints", "create", "--tenant", tenant, "--url", "http://127.0.0.1:9/")
    database = installed(tmp_path)
    with database.write() as connection:
        connection.execute(
            update(mailboxes)
            .where(mailboxes.c.endpoint_id == endpoints.c.id, endpoints.c.id == made["id"])
            .values(lease_until=datetime.now(UTC) - timedelta(seconds=1))
        )
    database.dispose()
    assert "warn" == diagnoses()["leases"].status
    assert 0 == bare_cli("doctor").code


def test_doctor_reports_a_broker_that_is_away(
    bare_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker nobody listens for is a failure beside the rest, not instead of it."""
    bare_cli.json("init")
    monkeypatch.setenv("TILLBELL_BROKER_URL", "redis://127.0.0.1:1")
    found = diagnoses()
    assert ("fail", "ok") == (found["broker"].status, found["outbox"].status)


def test_doctor_misses_a_trigger_and_init_puts_it_back(
    bare_cli: CommandLine, tmp_path: Path
) -> None:
    """A ledger that could be changed is a failure, named, until the next init."""
    bare_cli.json("init")
    with installed(tmp_path).write() as connection:
        connection.execute(text("DROP TRIGGER ledger_entries_no_update"))
    found = diagnoses()["ledger"]
    assert ("fail", "triggers are missing on ledger_entries") == (found.status, found.message)
    bare_cli.json("init")
    assert "ok" == diagnoses()["ledger"].status
