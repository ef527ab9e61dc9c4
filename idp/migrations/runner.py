"""Applies the steps. No `alembic.ini`: everything is configured here.

Alembic is loaded here only: a running server and its worker know from `idp.migrations` what they need.
"""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from idp.errors import NotReadyError
from idp.migrations import revisions
from idp.migrations.revisions import FOLDER
from idp.settings import Settings
from idp.storage.database import engine_of
from idp.storage.postgresql import LOCK_WITHIN, lift_time_limit

_ADVISORY_LOCK = 0x1D9_0001  # any number, as long as every release of this project takes the same


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Bring the database to the newest schema; creates it when there is none.

    All missing steps are one transaction, and only one process takes them: others wait, and find nothing left to do.

    Args:
        settings: says which database.

    Returns:
        The revision before (None: an empty database) and after. A newer schema that serves this program too is left
        as it is.

    Raises:
        NotReadyError: the database is too new for this program.
    """
    with engine_of(settings) as engine, engine.connect() as connection:
        _lock(connection)
        before = revisions.revision_of(connection)
        if before is not None:
            revisions.check_not_too_new(connection, before)
        if before is None or before < revisions.newest_revision():
            command.upgrade(configuration(connection), "head")
            _check_foreign_keys(connection)
        connection.commit()
    return before, max(before or "", revisions.newest_revision())


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for work on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _lock(connection: Connection) -> None:
    """Let one process at a time change the schema."""
    if connection.dialect.name == "sqlite":
        # A table that is copied to be changed is dropped afterwards, and dropping it must not cascade. The pragma is
        # ignored inside a transaction, so it comes before.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # Whoever is at it takes as long as it takes. For a table nobody waits long: all requests would queue behind.
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        lift_time_limit(connection)
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}s'")


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        raise NotReadyError(f"The upgrade would leave rows without their parents in {tables}: nothing was changed.")
