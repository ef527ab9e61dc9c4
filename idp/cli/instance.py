"""The instance that a command works on: its settings, whether it is ready, and its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from idp import migrations, settings
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.faults import explain
from idp.errors import NotReadyError, SettingsError
from idp.settings import SECRET_KEY_NAME, TOML_NAME, Settings
from idp.storage.database import engine_of, open_session

WITHOUT_DATABASE = "run `idp init` if this instance is new, and `idp restore` if it had one"
WITHOUT_KEY = (
    "Run `idp init` if this instance is new; otherwise bring it back, or set IDP_SECRET_KEY. Where it is lost for "
    "good, put another one there, and run `idp keys rotate --now --new-secret-key`."
)
SIDE_NAMES = ("-wal", "-shm", "-journal")  # of files that belong to SQLite's file beside them, and to no other


def load_ready() -> Settings:
    """Read the settings of an instance that is ready for work.

    Raises:
        SettingsError: the configuration has faults.
        NotReadyError: says what to do first.
    """
    loaded = settings.load()
    check_ready(loaded)
    return loaded


@contextmanager
def open_ready() -> Iterator[tuple[Settings, Session]]:
    """Open a ready instance; what the block writes is committed when it ends well.

    Raises:
        SettingsError: the configuration has faults.
        NotReadyError: says what to do first.
    """
    loaded = load_ready()
    wire()
    with open_session(loaded) as db:
        yield loaded, db


def wire() -> None:
    """Let sessions that a command ends take their tokens along: the one upward need of `idp.accounts`."""
    from idp.oidc import session_ends  # noqa: PLC0415 - loads the protocol, which most commands do without

    session_ends.listen()


def check_ready(loaded: Settings) -> None:
    """Check that an instance was initialised and has the schema of this program.

    Raises:
        NotReadyError: says what to do first.
    """
    file = database_file(loaded)
    if not loaded.secret_key and file is not None and file.exists():
        raise NotReadyError(f"The secret key {loaded.instance / SECRET_KEY_NAME} is missing. {WITHOUT_KEY}")
    if not loaded.secret_key:
        elsewhere = "" if "instance" in loaded.origins else ", or set IDP_INSTANCE where it is another folder"
        raise NotReadyError(
            f"The instance {str(loaded.instance.absolute())!r} is not initialised yet: run `idp init`{elsewhere}."
        )
    if file is not None and not file.exists():
        raise NotReadyError(f"There is no database at {str(file)!r}: {WITHOUT_DATABASE}.")
    with engine_of(loaded) as engine:
        migrations.check_ready(engine)


def database_file(loaded: Settings) -> Path | None:
    """Return SQLite's file itself, where links lead to it; None for a server's database.

    Raises:
        SettingsError: the database's URL is none.
    """
    try:
        url = make_url(loaded.sqlalchemy_url)
    except (ArgumentError, ValueError):
        raise SettingsError(
            ["database_url is no URL of a database, such as postgresql://USER:PASSWORD@HOST:PORT/NAME"]
        ) from None
    if not url.drivername.startswith("sqlite") or not url.database or url.database == ":memory:":
        return None
    return Path(url.database).resolve()


def check_target(loaded: Settings, file: Path) -> None:
    """Check that a command that writes a file may put it there: over nothing that is no file, or that we live by.

    A link or a device, such as /dev/stdout, would be replaced like a file, for every program of the machine.

    Raises:
        click.UsageError: it may not.
    """
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise click.UsageError(f"{click.format_filename(file)} is no plain file: choose another name.")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(f"There is no folder {click.format_filename(file.absolute().parent)}: make it first.")
    own = [loaded.instance / SECRET_KEY_NAME, loaded.instance / TOML_NAME]
    database = database_file(loaded)
    if database is not None:
        own += [database.with_name(database.name + suffix) for suffix in ("", *SIDE_NAMES)]
    if file.resolve() in [each.resolve() for each in own]:
        raise click.UsageError(f"{click.format_filename(file)} is the instance's own: choose another name.")


def record_done(loaded: Settings, event: Event, what: str, **details: Any) -> None:
    """Note in the audit what a command has done. Where that cannot be written, say so: it is done all the same.

    Args:
        loaded: the settings.
        event: what it was.
        what: the same, as the end of a sentence.
        details: of the event.
    """
    try:
        with open_session(loaded) as db:
            audit.record(db, event, OPERATOR, **details)
    except Exception as fault:  # such as a full disk
        if explain(fault) is None:
            raise
        output.note(f"The audit could not be written; {what}.")
