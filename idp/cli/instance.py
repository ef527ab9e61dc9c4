"""The instance that a command works on: its settings, whether it is ready, and its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from idp import migrations, settings
from idp.database import open_engine, open_session
from idp.errors import NotReadyError, SettingsError
from idp.settings import Settings


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
    if not loaded.secret_key:
        raise NotReadyError(f"The instance {str(loaded.instance)!r} is not initialised yet: run `idp init`.")
    file = database_file(loaded)
    if file is not None and not file.exists():
        raise NotReadyError(f"There is no database at {str(file)!r} yet: run `idp init`.")
    engine = open_engine(loaded)
    try:
        migrations.check_ready(engine)
    finally:
        engine.dispose()


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
