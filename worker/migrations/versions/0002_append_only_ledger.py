"""The ledger is append-only: triggers, and no right for any role but the owner to change it."""

from alembic import op
from sqlalchemy import text

from engine import ledger_guard

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for table in ledger_guard.TABLES:
        for statement in ledger_guard.statements(table, connection.dialect.name):
            connection.execute(text(statement))


def downgrade() -> None:
    connection = op.get_bind()
    for table in ledger_guard.TABLES:
        for statement in ledger_guard.removals(table, connection.dialect.name):
            connection.execute(text(statement))
    if connection.dialect.name != "sqlite":
        connection.execute(text("DROP FUNCTION IF EXISTS tillbell_refuse_change()"))
