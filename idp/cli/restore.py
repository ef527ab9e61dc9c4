"""`idp restore`: a backup takes the place of what there is; everything is checked before anything is touched."""

import tempfile
from pathlib import Path

import click

from idp import clock, crypto, migrations, settings
from idp.accounts.audit import Event
from idp.cli import backup_file, database_copy, output
from idp.cli.backup_file import Manifest
from idp.cli.init import make_folder, write_new
from idp.cli.instance import database_file, record_done
from idp.errors import NotReadyError
from idp.files import locked
from idp.settings import SECRET_KEY_NAME, Settings


@click.command(
    epilog="\b\nExamples:\n  idp restore /backups/idp-2026-11-24.tar\n  idp restore --with-secret-key /safe/idp.tar",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--with-secret-key", is_flag=True, help="Take the secret key from FILE, not this instance's own.")
@click.option("--force", is_flag=True, help="Replace a database, or a secret key, that exists.")
def command(file: Path, with_secret_key: bool, force: bool) -> None:
    """Put the database of a backup in place. Stop `idp serve` and `idp worker` first.

    The backup is checked first, and that the secret key belongs to it: only then can the provider sign as before. A
    SQLite database or secret key that was there is kept beside, under another name. What was in PostgreSQL is gone:
    back it up before.

    A backup of SQLite may be restored into PostgreSQL, which is how a provider moves there; the other way accounts
    alone move, by `idp export`.

    What happened since the backup is undone, for better or worse: passwords changed since are the old ones again, and
    sessions and tokens that were ended since are alive again.
    """
    loaded = settings.load()
    manifest, key_inside = backup_file.read(file)
    new_key = _check_key(loaded, manifest, key_inside, with_secret_key=with_secret_key, force=force)
    _check_target(loaded, manifest, force=force)
    make_folder(loaded.instance)
    kept_suffix = f".before-restore-{clock.now()}-{crypto.new_id()[:6]}"
    with locked(loaded.instance):
        told = _replace_database(loaded, file, manifest, kept_suffix)
        if new_key:
            path = loaded.instance / SECRET_KEY_NAME
            if path.exists():
                path.replace(path.with_name(path.name + kept_suffix))
            write_new(path, new_key)
            told.append(f"Took the secret key from the backup to {path}.")
    if (database_copy.revision_of(loaded) or "") >= migrations.newest_revision():
        record_done(loaded, Event.RESTORED, "the database is in place", made_at=manifest.created_at)
    else:
        told.append("Its schema is older than this program: run `idp init` to upgrade it.")
    if manifest.issuer != loaded.issuer:
        told.append(
            f"It was made for {manifest.issuer}, this is {loaded.issuer}: apps compare the issuer to the letter."
        )
    for line in (f"Restored the database as it was at {output.instant(manifest.created_at)}.", *told):
        output.note(line)


def _check_key(loaded: Settings, manifest: Manifest, inside: str, *, with_secret_key: bool, force: bool) -> str:
    """Check that the secret key to be used belongs to the backup; return it if it has to be put in place."""
    origin = loaded.origins.get("secret_key", "")
    path = loaded.instance / SECRET_KEY_NAME
    if with_secret_key and not inside:
        raise NotReadyError("The backup holds no secret key: it was made without --with-secret-key.")
    if not with_secret_key and not loaded.secret_key:
        way = "use --with-secret-key" if inside else "restore it from where you keep it"
        raise NotReadyError(f"This instance has no secret key yet: {way}, to {path}, or set IDP_SECRET_KEY.")
    candidate = inside if with_secret_key else loaded.secret_key
    try:
        fits = crypto.unseal(candidate, backup_file.SEAL_PURPOSE, manifest.seal) == manifest.database_digest
    except NotReadyError:
        fits = False
    if not fits:
        hint = " The backup holds the right one: use --with-secret-key." if inside and not with_secret_key else ""
        raise NotReadyError(
            f"The secret key (from {origin or 'the backup'}) does not belong to this backup: without the right one the "
            f"provider could sign nothing. Restore that one first.{hint}"
        )
    if crypto.are_equal(candidate, loaded.secret_key):
        return ""
    if loaded.secret_key and origin != str(path):
        raise NotReadyError(f"{origin} gives another secret key than the backup's: unset it, or change it, first.")
    if loaded.secret_key and not force:
        raise click.UsageError(f"{click.format_filename(path)} holds another secret key: use --force to replace it.")
    return candidate


def _check_target(loaded: Settings, manifest: Manifest, *, force: bool) -> None:
    target = database_file(loaded)
    if target is not None and manifest.engine != "sqlite":
        raise NotReadyError(
            "The backup is of PostgreSQL, this instance works on SQLite. Accounts alone move that way, by `idp export` "
            "and `idp import accounts`."
        )
    if not migrations.is_known(manifest.schema):
        raise NotReadyError(
            f"The backup has a newer schema ({manifest.schema}) than this program knows "
            f"({migrations.newest_revision()}): install the release that made it, {manifest.program}."
        )
    if target is None:
        if database_copy.is_empty(loaded):
            return
        if not force:
            raise click.UsageError("The database has tables already: use --force to replace them.")
        # What SQLite's rows are put into is upgraded first, like them.
        if manifest.engine == "postgresql" and database_copy.revision_of(loaded) != manifest.schema:
            raise NotReadyError("The database has another schema than the backup: restore into an empty database.")
        database_copy.check_unused_server(loaded)
    elif target.exists():
        if not force:
            raise click.UsageError(f"{click.format_filename(target)} exists: use --force to replace it.")
        database_copy.check_unused(target)


def _replace_database(loaded: Settings, file: Path, manifest: Manifest, kept_suffix: str) -> list[str]:
    """Check the copy, put it in place, and return what else there is to say."""
    target = database_file(loaded)
    folder = loaded.instance if target is None else target.parent
    folder.mkdir(0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as draft:
        copy = Path(draft) / backup_file.DATABASE_NAME
        backup_file.take_out(file, manifest, copy)
        if manifest.engine == "postgresql":
            database_copy.restore_postgresql(loaded, copy)
            return []
        database_copy.check_sqlite(copy)
        if target is None:
            _move(loaded, copy)
            return ["It was SQLite's, and is PostgreSQL's now."]
        kept = target.with_name(target.name + kept_suffix)
        database_copy.replace_sqlite(target, copy, kept)
        return [f"The database that was there is kept as {kept}."] if kept.exists() else []


def _move(loaded: Settings, copy: Path) -> None:
    from idp.cli import database_move  # noqa: PLC0415 - loads Alembic and PostgreSQL's driver, which are seldom needed

    database_move.move_to_postgresql(loaded, copy)
