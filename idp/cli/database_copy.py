"""A consistent copy of a database that is in use, and its way back: by SQLite itself, or by PostgreSQL's own tools."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import inspect, make_url

from idp import migrations
from idp.cli import output, progress
from idp.database import open_engine
from idp.errors import NotReadyError
from idp.settings import Settings

LARGE = 100 << 20  # bytes that take some seconds to check
WAIT = 15  # seconds for SQLite's lock
WAL_NAMES = ("-wal", "-shm")


def copy_sqlite(file: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, while others read and write.

    `VACUUM INTO` reads in one transaction and writes what is there: what was deleted does not travel along.

    Args:
        file: the database.
        target: a file that must not exist yet.

    Raises:
        NotReadyError: the database is damaged.
    """
    source = sqlite3.connect(file, timeout=WAIT, isolation_level=None)
    try:
        with progress.of_file(target, file.stat().st_size):
            source.execute("VACUUM INTO ?", [str(target)])
    finally:
        source.close()
    target.chmod(0o600)
    if target.stat().st_size > LARGE:
        output.note("Checking the copy ...")
    check_sqlite(target)


def check_sqlite(file: Path) -> None:
    """Check every page, index and reference of a SQLite database.

    Raises:
        NotReadyError: says what is damaged.
    """
    connection = sqlite3.connect(file, timeout=WAIT)
    try:
        faults = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
        if faults == ["ok"]:
            orphaned = {str(row[0]) for row in connection.execute("PRAGMA foreign_key_check")}
            faults = [f"{table} has rows without parents" for table in sorted(orphaned)]
    except sqlite3.DatabaseError as fault:
        faults = [str(fault)]
    finally:
        connection.close()
    if faults:
        raise NotReadyError(f"The database is damaged: {'; '.join(faults)}.")


def check_unused(file: Path) -> None:
    """Check that nothing has a SQLite database open: it cannot be replaced under a running provider.

    Leaving the WAL takes the only connection there is. A file that is no database is used by nobody.

    Raises:
        NotReadyError: somebody has it open.
    """
    connection = sqlite3.connect(file, timeout=0.5)
    try:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError:
        raise NotReadyError(f"{file} is in use: stop `idp serve` and `idp worker` first.") from None
    except sqlite3.DatabaseError:
        pass
    finally:
        connection.close()


def replace_sqlite(file: Path, copy: Path, kept: Path) -> None:
    """Put a copy in the place of a database, and keep that under another name, log and all.

    Args:
        file: the database; may be missing.
        copy: what takes its place.
        kept: where the old one goes.
    """
    for suffix in ("", *WAL_NAMES):
        old = file.with_name(file.name + suffix)
        if old.exists():
            old.replace(kept.with_name(kept.name + suffix))
    copy.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# -- PostgreSQL -----------------------------------------------------------------


def copy_postgresql(loaded: Settings, target: Path) -> None:
    """Copy a PostgreSQL database as it is at one moment.

    Raises:
        NotReadyError: `pg_dump` is missing, or says what is wrong.
    """
    _run(loaded, "pg_dump", ("--format=custom", "--no-owner", "--no-privileges", f"--file={target}"))


def restore_postgresql(loaded: Settings, copy: Path) -> None:
    """Put a copy in the place of what a PostgreSQL database holds, all of it or nothing.

    Raises:
        NotReadyError: `pg_restore` is missing, or says what is wrong.
    """
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
    _run(loaded, "pg_restore", (*options, str(copy)))


def is_empty(loaded: Settings) -> bool:
    """Tell whether a server's database has no tables yet."""
    engine = open_engine(loaded)
    try:
        return not inspect(engine).get_table_names()
    finally:
        engine.dispose()


def revision_of(loaded: Settings) -> str | None:
    """Return the schema's revision, or None when there is none."""
    engine = open_engine(loaded)
    try:
        return migrations.current_revision(engine)
    finally:
        engine.dispose()


def _run(loaded: Settings, tool: str, options: Sequence[str]) -> None:
    """Run one of PostgreSQL's tools. The password travels in its environment: the command line is everybody's."""
    path = shutil.which(tool)
    if path is None:
        raise NotReadyError(
            f"{tool} is not installed: install PostgreSQL's client programs (Debian: postgresql-client), at least as "
            "new as the server; or use the backups of whoever runs the server for you."
        )
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - only where the database is PostgreSQL

    url = make_url(loaded.sqlalchemy_url)
    _, connecting = url.get_dialect()().create_connect_args(url)  # as the provider itself connects
    password = connecting.pop("password", None)
    environ = {"PGPASSWORD": str(password)} if password else {}
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own tool
        (path, f"--dbname={make_conninfo(**connecting)}", *options),
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotReadyError(f"{tool} did not do its work: {' '.join(done.stderr.split())[:500]}")
