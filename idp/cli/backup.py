"""`idp backup`: everything, while the provider runs."""

import tempfile
from pathlib import Path

import click

from idp import __version__, clock, crypto
from idp.accounts.audit import Event
from idp.cli import backup_file, database_copy, output
from idp.cli.backup_file import Manifest
from idp.cli.instance import check_target, database_file, load_ready, record_done
from idp.settings import Settings


@click.command(
    epilog="\b\nExamples:\n  idp backup /backups/idp-2026-11-24.tar\n  idp backup --with-secret-key /safe/idp.tar",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--with-secret-key", is_flag=True, help="Put the secret key into it as well.")
@click.option("--force", is_flag=True, help="Write over a FILE that exists.")
def command(file: Path, with_secret_key: bool, force: bool) -> None:
    """Write a consistent copy of the database to FILE, for `idp restore`. The provider goes on meanwhile.

    Without the secret key the copy opens no signing key: keep both, in different places. With --with-secret-key FILE
    is all that it takes to be this provider: keep it as you would keep the keys of the house.
    """
    if str(file) == "-":
        raise click.UsageError(
            "A backup goes to a file, which appears once it is checked, and not to stdout: name one."
        )
    loaded = load_ready()
    check_target(loaded, file)
    if file.exists() and not force:
        raise click.UsageError(f"{click.format_filename(file)} exists: choose another name, or use --force.")
    manifest = make_backup(loaded, file, with_secret_key=with_secret_key)
    record_done(loaded, Event.BACKED_UP, "the backup is complete", schema=manifest.schema)
    output.note(f"Backed up to {click.format_filename(file)} ({file.stat().st_size:,} bytes).")
    if with_secret_key:
        output.note("It holds the secret key: whoever has this file can be this provider.")
    else:
        origin = loaded.origins.get("secret_key", "the settings")
        output.note(f"It does not hold the secret key: keep a copy of that one, too (from {origin}), somewhere else.")


def make_backup(loaded: Settings, file: Path, *, with_secret_key: bool) -> Manifest:
    """Copy the database, check the copy, and write the backup.

    Args:
        loaded: the settings.
        file: where to; written over if it exists.
        with_secret_key: whether the secret key goes into it.

    Returns:
        What it says of itself.

    Raises:
        NotReadyError: the database is damaged, or cannot be copied.
    """
    source = database_file(loaded)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.absolute().parent) as folder:
        copy = Path(folder) / backup_file.DATABASE_NAME
        schema = database_copy.revision_of(loaded) or ""
        if source is None:
            database_copy.copy_postgresql(loaded, copy)
        else:
            database_copy.copy_sqlite(source, copy)
        digest = backup_file.digest_of(copy)
        manifest = Manifest(
            engine="postgresql" if source is None else "sqlite",
            schema=schema,
            program=__version__,
            issuer=loaded.issuer,
            created_at=clock.now(),
            database_digest=digest,
            seal=crypto.seal(loaded.secret_key, backup_file.SEAL_PURPOSE, digest),
        )
        backup_file.write(file, manifest, copy, loaded.secret_key if with_secret_key else "")
    return manifest
