"""Damage to SQLite's own file: `idp doctor --deep` finds it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from idp.cli import doctor
from idp.cli.damage import find_damage

pytestmark = pytest.mark.sqlite


def test_rows_without_parents_and_torn_pages_are_found(settings, db):
    db.execute(text("PRAGMA foreign_keys=OFF"))
    db.execute(text("INSERT INTO user_role VALUES ('nobody', 'admin')"))
    db.commit()
    assert find_damage(db) == ["user_role has rows without parents"]
    db.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    db.close()
    db.get_bind().dispose()
    path = Path(settings.instance / "idp.sqlite3")
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content)):
        content[at] ^= 0x5A
    path.write_bytes(content)
    done = CliRunner(env={"IDP_INSTANCE": str(settings.instance), "IDP_SECRET_KEY": settings.secret_key}).invoke(
        doctor.command, ["--deep", "--json"]
    )
    assert done.exit_code == 1
    (fault,) = (each for each in json.loads(done.stdout) if each["verdict"] == "fault")
    assert "malformed" in fault["told"], "whichever check meets it first says so, the others that they did not look"
