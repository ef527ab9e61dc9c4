"""How far a database has come, and how far this program is. The library that takes the steps is not needed for that."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table

from idp.errors import NotReadyError

FOLDER = Path(__file__).parent
_MARK = table("alembic_version", column("version_num"))


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


def check_ready(engine: Engine) -> None:
    """Check that a database has the schema that this program was written for.

    Raises:
        NotReadyError: it is empty, older or newer; says what to do.
    """
    current = current_revision(engine)
    if current == newest_revision():
        return
    if current is None:
        raise NotReadyError("The database has no tables yet: run `idp init`.")
    refuse_newer(current)
    raise NotReadyError(
        f"The database has an older schema ({current}; this program needs {newest_revision()}): "
        "run `idp init` to upgrade it."
    )


def check_not_older(engine: Engine) -> None:
    """Check that a database has at least the schema that this program was written for: steps only add.

    Raises:
        NotReadyError: it is empty or older; says what to do.
    """
    current = current_revision(engine)
    if current is None or is_known(current):
        check_ready(engine)


def refuse_newer(current: str | None) -> None:
    """Check that a database is not newer than this program.

    Raises:
        NotReadyError: it is; says what to do.
    """
    if current is not None and not is_known(current):
        raise NotReadyError(
            f"The database has a newer schema ({current}) than this program knows ({newest_revision()}): "
            "install the release of streamlit-idp that it was upgraded with."
        )
