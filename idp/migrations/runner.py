"""Applies the steps, and says how far a database has come. No `alembic.ini`: everything is configured here."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from idp.database import open_engine
from idp.errors import NotReadyError
from idp.settings import Settings

FOLDER = Path(__file__).parent
_ADVISORY_LOCK = 0x1D9_0001  # any number, as long as every release of this project takes the same


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Bring the database to the newest schema; creates it when there is none.

    All missing steps are one transaction, and only one process takes them: others wait, and find nothing left to do.

    Args:
        settings: says which database.

    Returns:
        The revision before (None: an empty database) and after.

    Raises:
        NotReadyError: the database is newer than this program.
    """
    engine = open_engine(settings)
    try:
        with engine.connect() as connection:
            _lock(connection)
            before = _revision_of(connection)
            if before != newest_revision():
                _refuse_newer(before)
                command.upgrade(configuration(connection), "head")
                _check_foreign_keys(connection)
            connection.commit()
    finally:
        engine.dispose()
    return before, newest_revision()


def current_revision(engine: Engine) -> str | None:
    """Return the revision that a database is at, or None when it has no schema yet."""
    with engine.connect() as connection:
        return _revision_of(connection)


@cache
def newest_revision() -> str:
    """Return the revision that this program was written for."""
    newest = ScriptDirectory(str(FOLDER)).get_current_head()
    assert newest is not None, "the package was built without its migrations"
    return newest


def is_known(revision: str) -> bool:
    """Tell whether this program has a step of that name, so that it can bring such a database up to date."""
    return revision in _known_revisions()


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
    _refuse_newer(current)
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
    if current is None or current in _known_revisions():
        check_ready(engine)


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for work on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@cache
def _known_revisions() -> frozenset[str]:
    return frozenset(step.revision for step in ScriptDirectory(str(FOLDER)).walk_revisions())


def _refuse_newer(current: str | None) -> None:
    if current is not None and current not in _known_revisions():
        raise NotReadyError(
            f"The database has a newer schema ({current}) than this program knows ({newest_revision()}): "
            "install the release of streamlit-idp that it was upgraded with."
        )


def _lock(connection: Connection) -> None:
    """Let one process at a time change the schema."""
    if connection.dialect.name == "sqlite":
        # A table that is copied to be changed is dropped afterwards, and dropping it must not cascade. The pragma is
        # ignored inside a transaction, so it comes before.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        raise NotReadyError(f"The upgrade would leave rows without their parents in {tables}: nothing was changed.")
