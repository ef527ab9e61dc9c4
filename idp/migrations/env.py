"""What Alembic runs around the steps; the connection comes from `runner`, which owns the transaction."""

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

from idp.migrations import revisions
from idp.models import Base


def note(ctx: MigrationContext, step: MigrationInfo, *_: object, **__: object) -> None:
    """Note for programs that do not know a step whether they work with what it leaves."""
    if not step.is_upgrade or ctx.connection is None:
        return
    revision = str(step.up_revision_id)
    said = (getattr(each.module, "oldest_program", "") for each in context.script.iterate_revisions(revision, "base"))
    revisions.note_step(ctx.connection, revision, next(filter(None, said), revisions.FIRST))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it; elsewhere this is an ordinary ALTER
    transactional_ddl=True,
    include_name=lambda name, _kind, _parents: name != revisions.STEPS.name,
    on_version_apply=note,
)
with context.begin_transaction():
    context.run_migrations()
