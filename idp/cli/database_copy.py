"""A consistent copy of a database that is in use, and its way back: by SQLite itself, or by PostgreSQL's own tools."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import inspect, make_url, text

from idp import migrations
from idp.cli import damage, output, progress, sqlite_work
from idp.cli.instance import SIDE_NAMES
from idp.cli.private_files import sync, sync_folder
from idp.errors import NotReadyError
from idp.files import PRIVATE_FILE
from idp.settings import Settings
from idp.storage.database import engine_of

LARGE = 100 << 20  # bytes that take some seconds to check
WAIT = 15  # seconds for SQLite's lock
_MOST_OF_A_CODE = 0xFF  # without what SQLite's extended codes add
_STOP_FIRST = "stop `idp serve` and `idp worker` first"
# Who else is connected. What kind a session of another user is, the server tells its superusers only; but its own
# processes have no user.
_OTHERS = text("""
    SELECT usename, count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND usename IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
    GROUP BY usename ORDER BY usename
""")
_LOOKS, _LOOK_EVERY = 20, 0.1  # seconds; a server takes a moment to see that a session has ended, ours among them


def copy_sqlite(file: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, while others read and write.

    `VACUUM INTO` reads in one transaction and writes what is there: what was deleted does not travel along.

    Args:
        file: the database.
        target: a file that must not exist yet.

    Raises:
        NotReadyError: the database is damaged, or there is no room for the copy.
    """
    source = _connect(file)
    try:
        with progress.of_file(target, file.stat().st_size):
            sqlite_work.ended_by_signals(source, lambda: source.execute("VACUUM INTO ?", (str(target),)))
    except sqlite3.Error as fault:
        raise NotReadyError(f"The database could not be copied: {fault}.") from None
    finally:
        source.close()
    target.chmod(PRIVATE_FILE)
    if target.stat().st_size > LARGE:
        output.note("Checking the copy ...")
    check_sqlite(target)


def check_sqlite(file: Path) -> None:
    """Check every page, index and reference of a SQLite database.

    Raises:
        NotReadyError: says what is damaged.
    """
    connection = _connect(file)
    try:
        faults = damage.find_damage_of_sqlite(connection)
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
        NotReadyError: somebody has it open, or it cannot be written.
    """
    connection = sqlite3.connect(file, timeout=0.5)
    try:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as fault:
        code = fault.sqlite_errorcode & _MOST_OF_A_CODE
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise NotReadyError(f"{file} is in use: {_STOP_FIRST}.") from None
        if code != sqlite3.SQLITE_ERROR:  # which says that it is no database
            raise NotReadyError(f"{file} cannot be replaced: {fault}.") from None
    except sqlite3.DatabaseError:
        pass
    finally:
        connection.close()


def replace_sqlite(file: Path, copy: Path, kept: Path) -> None:
    """Put a copy in the place of a database, and keep that under another name, log and all.

    Whenever this is interrupted, there is a database under its name: the old one, or the new one.

    Args:
        file: the database; may be missing.
        copy: what takes its place; on the same file system.
        kept: where the old one goes.

    Raises:
        NotReadyError: somebody has the old one open.
    """
    if file.exists():
        check_unused(file)  # once more: taking the copy out took its time
        _keep(file, kept)
    # SQLite would take a log that it finds beside the new file for its own. The old file has none, see `check_unused`,
    # unless it was broken or is gone. And what a system that crashes keeps of this must be the beginning of it.
    for suffix in SIDE_NAMES:
        old = file.with_name(file.name + suffix)
        if old.exists():
            old.replace(kept.with_name(kept.name + suffix))
    sync_folder(file.parent)
    copy.replace(file)
    sync_folder(file.parent)


def _keep(file: Path, kept: Path) -> None:
    """Give a database a second name; where the file system knows no such thing, copy it."""
    try:
        os.link(file, kept)
    except OSError:
        kept.touch(PRIVATE_FILE, exist_ok=False)
        try:
            shutil.copyfile(file, kept)
            sync(kept)
        except BaseException:
            kept.unlink()
            raise


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=WAIT, isolation_level=None, check_same_thread=False)


# -- PostgreSQL -----------------------------------------------------------------


def copy_postgresql(loaded: Settings, target: Path) -> None:
    """Copy a PostgreSQL database as it is at one moment.

    Raises:
        NotReadyError: `pg_dump` is missing, or says what is wrong; or the copy cannot be read.
    """
    _run("pg_dump", ("--format=custom", f"--file={target}"), loaded)
    _run("pg_restore", (f"--file={os.devnull}", str(target)))  # it reads all of the copy, and asks no server


def restore_postgresql(loaded: Settings, copy: Path) -> None:
    """Put a copy in the place of what a PostgreSQL database holds, all of it or nothing.

    Raises:
        NotReadyError: somebody else is connected; or `pg_restore` is missing, or says what is wrong.
    """
    check_unused_server(loaded)  # once more: taking the copy out took its time
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")
    _run("pg_restore", (*options, str(copy)), loaded)


def check_unused_server(loaded: Settings) -> None:
    """Check that nobody else is connected to a server's database: it is not replaced under a running provider.

    One without tables is used by no provider.

    Raises:
        NotReadyError: somebody is connected.
    """
    with engine_of(loaded) as engine, engine.connect() as connection:
        if not inspect(connection).get_table_names():
            return
        for _ in range(_LOOKS):
            others = [f"{user}: {count}" for user, count in connection.execute(_OTHERS)]
            connection.rollback()  # within a transaction the server shows the same again
            if not others:
                return
            time.sleep(_LOOK_EVERY)
    raise NotReadyError(
        f"The database is in use (sessions of {', '.join(others)}): {_STOP_FIRST}, and whatever else is connected."
    )


def is_empty(loaded: Settings) -> bool:
    """Tell whether a server's database has no tables yet."""
    with engine_of(loaded) as engine:
        return not inspect(engine).get_table_names()


def revision_of(loaded: Settings) -> str | None:
    """Return the schema's revision, or None when there is none."""
    with engine_of(loaded) as engine:
        return migrations.current_revision(engine)


def _run(tool: str, options: Sequence[str], database: Settings | None = None) -> None:
    """Run one of PostgreSQL's tools, on a database or on a file only."""
    path = shutil.which(tool)
    if path is None:
        raise NotReadyError(
            f"{tool} is not installed: install PostgreSQL's client programs (Debian: postgresql-client), at least as "
            "new as the server; or use the backups of whoever runs the server for you."
        )
    address, environ = ((), {}) if database is None else _way_to(database)
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own tool
        (path, *address, *options),
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotReadyError(f"{tool} did not do its work: {' '.join(done.stderr.split())[:500]}")


def _way_to(loaded: Settings) -> tuple[Sequence[str], dict[str, str]]:
    """Return what tells a tool how to connect: options, and the environment. Everybody may read a command line.

    Raises:
        NotReadyError: the URL holds a secret that there is no other way for.
    """
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - only where the database is PostgreSQL
    from psycopg.pq import Conninfo  # noqa: PLC0415 - the same

    url = make_url(loaded.sqlalchemy_url)
    _, connecting = url.get_dialect()().create_connect_args(url)  # as the provider itself connects
    password = connecting.pop("password", None)
    secrets = {each.keyword.decode() for each in Conninfo.get_defaults() if each.dispchar == b"*"}
    if shown := sorted(secrets & connecting.keys()):
        raise NotReadyError(
            f"The database's URL holds {', '.join(shown)}, which PostgreSQL's programs would show to everybody on this "
            "machine: put it into a connection service file that only you can read (~/.pg_service.conf), and name the "
            "service in the URL instead (`?service=NAME`)."
        )
    return (f"--dbname={make_conninfo(**connecting)}",), {"PGPASSWORD": str(password)} if password else {}
