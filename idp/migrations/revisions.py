"""How far a database has come, and whether this program works with it.

The library that takes the steps is not needed for that. A database that a newer program has upgraded says itself which
former programs it still serves: those go on, and may be started again, while servers are replaced one by one.
"""

from functools import cache
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, column, delete, inspect, select, table

from idp.errors import NotReadyError

FOLDER = Path(__file__).parent
FIRST = "0001"  # as long as no step says otherwise, every program since works with what it leaves
_MARK = table("alembic_version", column("version_num"))
# What is known of each step that was taken. No step makes it: it is about the steps, as Alembic's own table is.
STEPS = Table(
    "schema_step",
    MetaData(),
    Column("revision", String(32), primary_key=True),
    Column("oldest_program", String(32), nullable=False),
)


def current_revision(engine: Engine) -> str | None:
    """Return the revision that a database is at, or None when it has no schema yet."""
    with engine.connect() as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str | None:
    """Return the revision that a database is at, or None when it has no schema yet."""
    if not inspect(connection).has_table(_MARK.name):
        return None
    return connection.scalar(select(_MARK.c.version_num))


def newest_revision() -> str:
    """Return the revision that this program was written for."""
    return max(known_revisions())


@cache
def known_revisions() -> frozenset[str]:
    """Return the revisions that this program has a step for: each is a file, with its number in front."""
    return frozenset(file.name.partition("_")[0] for file in (FOLDER / "versions").glob("[0-9]*_*.py"))


def is_known(revision: str) -> bool:
    """Tell whether this program has a step of that name, so that it can bring such a database up to date."""
    return revision in known_revisions()


def is_current(engine: Engine) -> bool:
    """Tell whether a database has the schema that this program was written for."""
    return current_revision(engine) == newest_revision()


def check_ready(engine: Engine) -> str:
    """Check that this program works with the schema of a database; a newer one must say that it serves this program.

    Returns:
        The revision that the database is at.

    Raises:
        NotReadyError: it is empty, older, or too new; says what to do.
    """
    with engine.connect() as connection:
        current = revision_of(connection)
        if current is None:
            raise NotReadyError(
                "The database has no tables: run `idp init` if it is new, and `idp restore` if it had some."
            )
        check_not_too_new(connection, current)
    if current < newest_revision():
        raise NotReadyError(
            f"The database has an older schema ({current}; this program needs {newest_revision()}): "
            "run `idp init` to upgrade it."
        )
    return current


def check_not_too_new(connection: Connection, current: str) -> None:
    """Check that this program works with a revision, if a newer program has brought the database there.

    Raises:
        NotReadyError: it does not; says what to do.
    """
    if is_known(current):
        return
    oldest = None
    if inspect(connection).has_table(STEPS.name):
        oldest = connection.scalar(select(STEPS.c.oldest_program).where(STEPS.c.revision == current))
    if oldest is None or newest_revision() < oldest:
        raise NotReadyError(
            f"The database has a newer schema ({current}) than this program works with ({newest_revision()}): "
            "install the release of streamlit-idp that it was upgraded with."
        )


def note_step(connection: Connection, revision: str, oldest_program: str) -> None:
    """Note that a step was taken, for programs that do not know it.

    Args:
        connection: of the transaction that takes it.
        revision: of the step.
        oldest_program: the revision that the oldest program was written for that works with what the step leaves.
    """
    STEPS.create(connection, checkfirst=True)
    connection.execute(delete(STEPS).where(STEPS.c.revision == revision))
    connection.execute(STEPS.insert().values(revision=revision, oldest_program=oldest_program))
