"""What Alembic runs around the steps; the connection comes from `runner`, which owns the transaction."""

from alembic import context

from idp.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it; elsewhere this is an ordinary ALTER
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
