"""Runs the revisions on the connection that `backend.store.database` hands in."""

from alembic import context

from backend.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
