"""Alembic's entry: runs the migrations on the connection that `migrate` hands over, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="nightcast_version")
with context.begin_transaction():
    context.run_migrations()
