"""Alembic's entry: runs on the connection it is handed."""

from alembic import context

import dispatcher.tables
import engine.schema
import reconciler.tables
from engine.database import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
