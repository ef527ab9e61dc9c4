"""Writes the next step: `python -m idp.migrations "what changed"`."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command

from idp.migrations.revisions import FOLDER, known_revisions
from idp.migrations.runner import configuration, upgrade
from idp.settings import Settings
from idp.storage.database import engine_of


def write_next_step(message: str) -> None:
    """Compare the models with a fresh database at the newest schema, and write the difference as a step.

    Args:
        message: what changed, in a few words.
    """
    steps = len(list((FOLDER / "versions").glob("[0-9]*.py")))
    with TemporaryDirectory() as folder:
        settings = Settings(instance=Path(folder))
        if steps:
            upgrade(settings)
        with engine_of(settings) as engine, engine.connect() as connection:
            command.revision(configuration(connection), message, autogenerate=True, rev_id=f"{steps + 1:04}")
    known_revisions.cache_clear()


if __name__ == "__main__":
    if not sys.argv[1:] or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    write_next_step(" ".join(sys.argv[1:]))
