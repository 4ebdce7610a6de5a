"""Alembic's environment: the connection comes from `backend.store.db.migrate`."""

from alembic import context

from backend.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes tables by copying them
    include_name=lambda name, kind, parents: kind != "table" or name in Base.metadata.tables,
)
with context.begin_transaction():
    context.run_migrations()
if connection.in_transaction():
    connection.commit()
