"""Run by Alembic: applies the steps of `versions/` on the connection it was handed."""

from alembic import context
from sqlalchemy import Connection

from app.storage.tables import Table


def _run(connection: Connection) -> None:
    # SQLite can change its schema inside a transaction: a step is done whole or not at all.
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_run(context.config.attributes["connection"])
