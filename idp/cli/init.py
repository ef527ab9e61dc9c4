"""`idp init`: makes an instance ready, step by step; each step leaves alone what is there."""

import glob
import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import click

from idp import crypto, settings
from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.instance import SIDE_NAMES, database_file
from idp.cli.private_files import created, sync_folder
from idp.errors import NotReadyError
from idp.files import locked
from idp.migrations import runner
from idp.oidc import keys
from idp.settings import SECRET_KEY_NAME, Settings
from idp.storage.database import open_session

PRIVATE_FOLDER = 0o700


@click.command
def command() -> None:
    """Make the instance ready: folder, secret key, database, signing keys.

    Safe to repeat, also after an upgrade of this program: what exists is kept, and the database is brought to the
    newest schema.

    \b
    Examples:
      idp init
      IDP_INSTANCE=/var/lib/idp IDP_ISSUER=https://login.example.org idp init
    """
    loaded = settings.load()
    done = initialise(loaded)
    for step in done:
        output.note(step)
    output.note(
        f"Ready: {loaded.issuer} from {loaded.instance.absolute()}" + ("" if done else " (nothing was left to do)")
    )


def initialise(loaded: Settings) -> list[str]:
    """Make an instance ready.

    Args:
        loaded: its settings; the secret key may be missing still.

    Returns:
        What was done, as sentences.

    Raises:
        NotReadyError: the database is gone, or newer, or its keys were sealed with another secret key.
    """
    mask = os.umask(0o077)  # whatever is made here, the database among it, is for the provider's own account only
    try:
        done = make_folder(loaded.instance)
        with locked(loaded.instance):
            _check_not_lost(loaded)
            done += _upgrade(loaded)
            loaded, more = _with_secret_key(loaded)
            return [*done, *more, *_make_keys(loaded)]
    finally:
        os.umask(mask)


def make_folder(folder: Path) -> list[str]:
    """Make the instance folder, and close it to other accounts; return what was done."""
    done = []
    if not folder.is_dir():
        folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        done.append(f"Made the instance folder {folder}.")
    status = folder.stat()
    is_shared = status.st_mode & stat.S_ISVTX  # such as /tmp: not ours to close
    is_ours = sys.platform != "win32" and status.st_uid == os.geteuid()  # Windows has no such modes
    if status.st_mode & 0o077 and is_ours and not is_shared:
        folder.chmod(PRIVATE_FOLDER)
        done.append(f"Closed the instance folder {folder} to other accounts (mode 0700).")
    return done


def _check_not_lost(loaded: Settings) -> None:
    """Check that a database that is missing, or empty, was never there: a new one would look like a fresh start.

    The database is made before the secret key, so there is no key of our own without one, however an `idp init` ended.
    """
    file, key = database_file(loaded), loaded.instance / SECRET_KEY_NAME
    if file is None or (file.exists() and _has_tables(file)):
        return
    beside = sorted(file.parent.glob(f"{glob.escape(file.name)}.before-restore-*"))
    kept = [each for each in beside if not each.name.endswith(SIDE_NAMES)]
    left = [key, *kept] if loaded.origins.get("secret_key") == str(key) else kept
    if left:
        raise NotReadyError(
            f"There is no database at {file}, but this instance had one: {', '.join(map(str, left))} is there still. "
            f"Restore a backup (`idp restore`){f', or give {kept[-1].name} its name back' if kept else ''}; if the "
            "database is elsewhere, set IDP_DATABASE_URL. To begin anew, without anybody who was in it, move "
            f"{'all of these' if len(left) > 1 else 'that'} away first."
        )


def _has_tables(file: Path) -> bool:
    """Tell whether there is anything in SQLite's file; one that cannot be read is no empty one."""
    if not file.stat().st_size:
        return False  # unopened: SQLite would take away a log that it finds beside it
    try:
        # It makes none, and writes nothing. Whoever may only read (`ro`) leaves SQLite's files beside it behind.
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.Error:
        return True


def _upgrade(loaded: Settings) -> list[str]:
    file = database_file(loaded)
    if file is not None:
        file.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    before, after = runner.upgrade(loaded)
    if before == after:
        return []
    return [f"Made the database (schema {after})." if before is None else f"Upgraded the database to schema {after}."]


def _with_secret_key(loaded: Settings) -> tuple[Settings, list[str]]:
    """Return the settings with a secret key, and what was done for it."""
    path = loaded.instance / SECRET_KEY_NAME
    if loaded.secret_key:
        return loaded, []
    done = []
    if not path.exists():
        if _has_signing_keys(loaded):
            raise NotReadyError(
                f"The database has signing keys, but the secret key that they were sealed with is missing: restore "
                f"{path} from your backup, or set IDP_SECRET_KEY."
            )
        write_new(path, crypto.new_token())
        done.append(f"Made the secret key {path}: back it up, apart from the database.")
    secret_key = path.read_text("utf-8").strip()
    if not secret_key:
        raise NotReadyError(f"{path} is empty: restore it from your backup; for a new instance, remove it.")
    values = {each.name: getattr(loaded, each.name) for each in settings.declared()}
    values["secret_key"] = secret_key
    return Settings(**values, origins={**loaded.origins, "secret_key": str(path)}), done


def write_new(path: Path, text: str) -> None:
    """Write a private file that must not exist yet; a half-written one is taken away again."""
    with created(path) as file:
        file.write(f"{text}\n".encode("ascii"))
    sync_folder(path.parent)


def _has_signing_keys(loaded: Settings) -> bool:
    with open_session(loaded) as db:
        return bool(keys.list_keys(db))


def _make_keys(loaded: Settings) -> list[str]:
    with open_session(loaded) as db:
        made = keys.ensure_keys(db, loaded, OPERATOR)
        keys.load_keys(db, loaded)  # they open with this secret key, or nobody could sign in
    return [f"Made {len(made)} signing keys ({', '.join(keys.ALGORITHMS)})."] if made else []
