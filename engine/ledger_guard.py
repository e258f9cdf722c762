"""What keeps the ledger and the moves of stock append-only in the database itself.

PostgreSQL refuses UPDATE, DELETE and TRUNCATE twice: no role but the tables' owner has the right,
and a trigger stops the owner too. SQLite, which knows no roles, has the triggers. An owner can drop
a trigger, and a superuser can pass it by: that is what ``tillbell ledger verify`` finds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, event, text

from engine.ledger_tables import ledger_entries, ledger_transactions
from engine.product_tables import stock_moves

TABLES = (ledger_transactions, ledger_entries, stock_moves)
_REFUSAL = "is append-only: correct it with a new transaction"

_FUNCTION = f"""
CREATE OR REPLACE FUNCTION tillbell_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% {_REFUSAL}', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$"""

#: Rights that default privileges gave away are taken back; the owner's own stay, because foreign
#: keys are checked in its name and lock the row they name.
_REVOKE = """
DO $$
DECLARE grantee oid;
BEGIN
    FOR grantee IN
        SELECT DISTINCT acl.grantee FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = '{name}'::regclass AND acl.grantee <> relowner
            AND acl.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE')
    LOOP
        EXECUTE 'REVOKE UPDATE, DELETE, TRUNCATE ON {name} FROM '
            || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END;
    END LOOP;
END $$"""


def statements(table: Table, dialect: str) -> list[str]:
    """Return the DDL that makes one table append-only."""
    name = table.name
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name}"
            f" BEGIN SELECT RAISE(ABORT, '{name} {_REFUSAL}'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    trigger = (
        f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}"
        " FOR EACH STATEMENT EXECUTE FUNCTION tillbell_refuse_change()"
    )
    return [_FUNCTION, trigger, _REVOKE.format(name=name)]


def removals(table: Table, dialect: str) -> list[str]:
    """Return the DDL that takes the triggers away again."""
    name = table.name
    if dialect == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}_no_{verb}" for verb in ("update", "delete")]
    return [f"DROP TRIGGER IF EXISTS {name}_append_only ON {name}"]


def missing_guards(connection: Connection) -> list[str]:
    """Return the names of the tables whose triggers are missing or disabled."""
    if connection.dialect.name == "sqlite":
        query = "SELECT tbl_name, count(*) FROM sqlite_master WHERE type = 'trigger' GROUP BY 1"
        needed = 2
    else:
        query = (
            "SELECT tgrelid::regclass::text, count(*) FROM pg_trigger"
            " WHERE tgname LIKE '%\\_append\\_only' AND tgenabled IN ('O', 'A') GROUP BY 1"
        )
        needed = 1
    guarded = {name for name, count in connection.execute(text(query)) if count >= needed}
    return [table.name for table in TABLES if table.name not in guarded]


def restore(connection: Connection) -> list[str]:
    """Put missing triggers back and return the names of the tables that lacked them."""
    dialect, missing = connection.dialect.name, missing_guards(connection)
    for table in TABLES:
        if table.name in missing:
            for statement in removals(table, dialect) + statements(table, dialect):
                connection.execute(text(statement))
    return missing


def _guard(table: Table, connection: Connection, **_options: Any) -> None:
    for statement in statements(table, connection.dialect.name):
        connection.execute(text(statement))


for _table in TABLES:
    event.listen(_table, "after_create", _guard)
