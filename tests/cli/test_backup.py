"""`idp backup` and `idp restore`: of one moment, all checked before anything is touched, the same provider after."""

import hashlib
import io
import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from idp import crypto
from idp import settings as provider_settings
from idp.accounts import registration
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR
from idp.app import create_app
from idp.cli import backup, backup_file, database_copy, database_move, sqlite_work
from idp.cli.init import initialise
from idp.errors import NotReadyError
from idp.migrations import runner
from idp.models import AuditEvent, Base, ClientLogo, User, UserRole
from idp.settings import Settings
from idp.storage.database import open_engine, open_session
from idp.web import context
from tests import factories, postgresql
from tests.cli.conftest import PASSWORD, Run
from tests.relying_party import RelyingParty
from tests.waiting import until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the backup goes."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "idp.tar"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Go to an instance that does not exist yet; gives its folder."""

    def go(name: str = "elsewhere") -> Path:
        folder = tmp_path / name
        monkeypatch.setenv("IDP_INSTANCE", str(folder))
        return folder

    return go


def members(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return tar.getnames()


def rewrite(file: Path, **changes: bytes) -> None:
    """Put other contents into a backup."""
    with tarfile.open(file) as tar:
        content = {name: tar.extractfile(name).read() for name in tar.getnames()}
    content |= changes
    with tarfile.open(file, "w") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def change_manifest(file: Path, **changes: object) -> None:
    with tarfile.open(file) as tar:
        told = json.loads(tar.extractfile("manifest.json").read())
    rewrite(file, **{"manifest.json": json.dumps(told | changes).encode()})


def replace_database(file: Path, data: bytes) -> None:
    """Let something else have been copied into a backup, which is sound otherwise."""
    digest = hashlib.sha256(data).hexdigest()
    seal = crypto.seal(provider_settings.load().secret_key, backup_file.SEAL_PURPOSE, digest)
    change_manifest(file, database_digest=digest, seal=seal)
    rewrite(file, database=data)


def usernames() -> set[str]:
    with open_session(provider_settings.load()) as db:
        return set(db.scalars(select(User.username)))


# -- The same provider after -------------------------------------------------------------------


class Living:
    """A provider at work in this process."""

    def __init__(self) -> None:
        self.app = create_app(provider_settings.load())
        self.issuer = provider_settings.load().issuer

    def close(self) -> None:
        with self.app.app_context():
            context.extension.session.remove()
            context.extension.engine.dispose()


class Before:
    """A provider at which Ada is signed in to an app; `check` looks whether another one is the same."""

    def __init__(self) -> None:
        living = Living()
        with open_session(provider_settings.load()) as db:
            self.metadata, self.secret = factories.make_client(db, provider_settings.load())
        self.party = RelyingParty(living.app.test_client(), living.issuer, self.metadata, self.secret)
        self.tokens = self.party.log_in(scope="openid profile offline_access account")
        self.keys = living.app.test_client().get("/oauth/jwks").json
        self.living = living

    def check(self) -> None:
        """Go on where Ada was: with her cookie, her access token and her refresh token."""
        after = Living()
        try:
            assert after.app.test_client().get("/oauth/jwks").json == self.keys
            browser = after.app.test_client()
            for cookie in self.party.browser._cookies.values():
                browser.set_cookie(cookie.key, cookie.value)
            again = RelyingParty(browser, after.issuer, self.metadata, self.secret)
            assert again.userinfo(self.tokens)["preferred_username"] == "ada"
            assert again.refresh(self.tokens.refresh_token).id_token  # the relying party verifies it by the JWKS
            assert again.redeem(again.ask().code).access_token  # still signed in
            fresh = RelyingParty(after.app.test_client(), after.issuer, self.metadata, self.secret)
            assert fresh.log_in().id_token
        finally:
            after.close()


def test_a_restored_instance_signs_and_verifies_as_before(
    instance: Path, ada: str, succeed: Run, file: Path, elsewhere
) -> None:
    before = Before()
    succeed("backup", str(file), "--with-secret-key")
    before.living.close()
    folder = elsewhere()
    told = succeed("restore", str(file), "--with-secret-key").stderr
    assert f"Took the secret key from the backup to {folder / 'secret_key'}" in told
    before.check()
    assert (folder / "secret_key").stat().st_mode & 0o777 == 0o600
    assert (folder / "idp.sqlite3").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert succeed("doctor").exit_code == 0


def test_both_leave_a_row_in_the_audit(instance: Path, succeed: Run, file: Path, elsewhere) -> None:
    succeed("backup", str(file), "--with-secret-key")
    rows = json.loads(succeed("audit", "--event", "provider:database", "--json").stdout)
    assert [(row["event"], row["actor"]) for row in rows] == [("provider:database:backup", "operator")]
    elsewhere()
    succeed("restore", str(file), "--with-secret-key")
    [row] = json.loads(succeed("audit", "--event", "provider:database", "--json").stdout)
    assert row["event"] == "provider:database:restore"
    assert row["details"]["made_at"] == backup_file.read(file)[0].created_at


# -- Under load ---------------------------------------------------------------------------------


def test_a_backup_under_load_is_of_one_moment(instance: Path, succeed: Run, file: Path, elsewhere) -> None:
    check_under_load(succeed, file, lambda number: elsewhere(f"copy-{number}"))


def check_under_load(succeed: Run, file: Path, go: Callable[[int], object]) -> None:
    """Each registration writes account, role and audit row in one transaction: none is there without the others."""
    loaded = provider_settings.load()
    stop, written, errors = threading.Event(), [], []

    def register(name: str) -> None:
        engine = open_engine(loaded)
        number = 0
        try:
            while not stop.is_set():
                number += 1
                with Session(engine) as db, db.begin():
                    person = Person(f"{name}{number}", f"{name}{number}@example.org")
                    registration.add_user(db, loaded, OPERATOR, person, PASSWORD, role_names=("member",))
                written.append(person.username)
        except Exception as error:
            errors.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=register, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    files, acknowledged = [], []
    for number in range(3):
        goal = len(written) + 5
        until(lambda goal=goal: len(written) >= goal or errors)
        acknowledged.append(list(written))
        files.append(file.with_name(f"{number}.tar"))
        succeed("backup", str(files[-1]), "--with-secret-key")
    until(lambda: len(written) > len(acknowledged[-1]) or errors)
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(written) > len(acknowledged[-1]) > len(acknowledged[0]) > 0
    for number, each in enumerate(files):
        go(number)
        succeed("restore", str(each), "--with-secret-key")
        assert set(acknowledged[number]) <= usernames()
        with open_session(provider_settings.load()) as db:
            accounts = db.scalar(select(func.count()).select_from(User))
            roles = db.scalar(select(func.count()).select_from(UserRole))
            rows = db.scalar(select(func.count()).where(AuditEvent.event == "account:user:create"))
        assert accounts == roles == rows


# -- The secret key -----------------------------------------------------------------------------


def test_without_being_asked_the_secret_key_stays_out(instance: Path, succeed: Run, file: Path) -> None:
    told = succeed("backup", str(file)).stderr
    assert members(file) == ["manifest.json", "database"]
    assert "It does not hold the secret key" in told
    assert str(instance / "secret_key") in told
    assert (instance / "secret_key").read_text().strip().encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "whoever has this file" in succeed("backup", str(file), "--force", "--with-secret-key").stderr
    assert members(file) == ["manifest.json", "secret_key", "database"]


def test_without_a_secret_key_nothing_is_restored(
    instance: Path, succeed: Run, run: Run, file: Path, elsewhere
) -> None:
    succeed("backup", str(file))
    folder = elsewhere()
    result = run("restore", str(file))
    assert result.exit_code == 1
    assert "This instance has no secret key yet" in result.stderr
    assert not folder.exists()
    result = run("restore", str(file), "--with-secret-key")
    assert "The backup holds no secret key" in result.stderr
    folder.mkdir()
    shutil.copy(instance / "secret_key", folder)
    succeed("restore", str(file))
    assert succeed("keys", "list").exit_code == 0


def test_a_foreign_secret_key_is_noticed_first(instance: Path, succeed: Run, run: Run, file: Path, elsewhere) -> None:
    succeed("backup", str(file), "--with-secret-key")
    folder = elsewhere()
    initialise(Settings(instance=folder))
    own = (folder / "secret_key").read_text()
    result = run("restore", str(file), "--force")
    assert result.exit_code == 1
    assert "does not belong to this backup" in result.stderr
    assert "use --with-secret-key" in result.stderr
    result = run("restore", str(file), "--with-secret-key")
    assert result.exit_code == 2
    assert "holds another secret key" in result.stderr
    assert (folder / "secret_key").read_text() == own
    succeed("restore", str(file), "--with-secret-key", "--force")
    assert (folder / "secret_key").read_text() == (instance / "secret_key").read_text()
    (kept,) = folder.glob("secret_key.before-restore-*")
    assert kept.read_text() == own


def test_a_key_from_the_environment_is_not_replaced_behind_its_back(
    instance: Path, succeed: Run, run: Run, file: Path, elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed("backup", str(file), "--with-secret-key")
    elsewhere()
    monkeypatch.setenv("IDP_SECRET_KEY", "the key of quite another instance than this")
    result = run("restore", str(file), "--with-secret-key", "--force")
    assert result.exit_code == 1
    assert "IDP_SECRET_KEY gives another secret key" in result.stderr
    monkeypatch.setenv("IDP_SECRET_KEY", (instance / "secret_key").read_text().strip())
    succeed("restore", str(file))


def test_what_is_done_is_told_where_the_audit_cannot_be(
    instance: Path, ada: str, succeed: Run, file: Path, elsewhere
) -> None:
    with sqlite3.connect(instance / "idp.sqlite3") as raw:
        raw.execute("CREATE TRIGGER full BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no room'); END")
    raw.close()
    told = succeed("export", str(file.with_name("accounts.json"))).stderr
    assert "The audit could not be written; the export is complete." in told
    assert "Exported 1 account to" in told
    assert "the backup is complete" in succeed("backup", str(file), "--with-secret-key").stderr
    elsewhere()
    told = succeed("restore", str(file), "--with-secret-key").stderr
    assert "The audit could not be written; the database is in place." in told
    assert "Restored the database as it was at" in told
    assert usernames() == {"ada"}


# -- What is there already ------------------------------------------------------------------------


def test_nothing_is_written_over_without_being_asked(
    instance: Path, ada: str, succeed: Run, run: Run, file: Path
) -> None:
    succeed("backup", str(file))
    result = run("backup", str(file))
    assert (result.exit_code, "exists" in result.stderr) == (2, True)
    succeed("user", "add", "bob", "--email", "bob@example.org", "--password-stdin", stdin=PASSWORD)
    result = run("restore", str(file))
    assert (result.exit_code, "use --force" in result.stderr) == (2, True)
    assert usernames() == {"ada", "bob"}
    told = succeed("restore", str(file), "--force").stderr
    assert usernames() == {"ada"}
    (kept,) = [path for path in instance.glob("idp.sqlite3.before-restore-*") if path.suffix != ".x"]
    assert str(kept) in told
    old = sqlite3.connect(kept)
    assert {name for (name,) in old.execute('SELECT username FROM "user"')} == {"ada", "bob"}
    old.close()


@pytest.mark.parametrize("command", ["backup", "export"])
@pytest.mark.parametrize(
    "name", ["idp.sqlite3", "idp.sqlite3-wal", "idp.sqlite3-shm", "idp.sqlite3-journal", "secret_key", "idp.toml"]
)
def test_what_the_instance_lives_by_is_not_written_over(
    instance: Path, ada: str, succeed: Run, run: Run, monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    (instance / "idp.toml").write_text('brand_name = "Tea"\n')
    secret_key = (instance / "secret_key").read_bytes()
    monkeypatch.chdir(instance)
    for path in (name, str(instance / name)):
        result = run(command, "--force", path)
        assert result.exit_code == 2
        assert "is the instance's own" in result.stderr
    assert (instance / "secret_key").read_bytes() == secret_key
    assert (instance / "idp.toml").read_text() == 'brand_name = "Tea"\n'
    assert usernames() == {"ada"}


@pytest.mark.parametrize("command", ["backup", "export"])
def test_what_is_no_plain_file_is_not_replaced(instance: Path, run: Run, tmp_path: Path, command: str) -> None:
    pipe, link, dangling = tmp_path / "pipe", tmp_path / "link", tmp_path / "dangling"
    os.mkfifo(pipe)
    link.symlink_to(pipe)  # as /dev/stdout is one
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (pipe, link, dangling):
        result = run(command, "--force", str(path))
        assert (result.exit_code, "is no plain file" in result.stderr) == (2, True)
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert not (tmp_path / "nowhere").exists()


def test_no_backup_goes_to_a_file_named_hyphen(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(instance)
    result = run("backup", "-")  # as `idp backup - | gzip` is written
    assert (result.exit_code, "not to stdout" in result.stderr) == (2, True)
    assert not (instance / "-").exists()


def refused_under_a_provider(run: Run, file: Path) -> str:
    """Try to restore while a provider is at work, which goes on; returns what is said to that."""
    living = Living()
    try:
        assert living.app.test_client().get("/readyz").status_code == 200
        result = run("restore", str(file), "--force")
        assert result.exit_code == 1
        assert living.app.test_client().get("/readyz").status_code == 200
        return result.stderr
    finally:
        living.close()


def test_a_database_in_use_is_not_replaced(instance: Path, ada: str, succeed: Run, run: Run, file: Path) -> None:
    succeed("backup", str(file))
    assert "stop `idp serve` and `idp worker` first" in refused_under_a_provider(run, file)
    succeed("restore", str(file), "--force")


def test_a_database_that_cannot_be_written_is_not_replaced(
    instance: Path, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    with monkeypatch.context() as read_only:
        read_only.setattr(sqlite3, "connect", lambda file, **_: connect(f"{file.as_uri()}?mode=ro", uri=True))
        with pytest.raises(NotReadyError, match="cannot be replaced"):
            database_copy.check_unused(instance / "idp.sqlite3")
    assert usernames() == {"ada"}


def test_a_broken_database_is_replaced(instance: Path, ada: str, succeed: Run, file: Path) -> None:
    succeed("backup", str(file))
    (instance / "idp.sqlite3").write_bytes(b"no database" * 1000)
    (instance / "idp.sqlite3-wal").write_bytes(b"nor a log of one" * 1000)
    succeed("restore", str(file), "--force")
    assert usernames() == {"ada"}
    assert not (instance / "idp.sqlite3-wal").exists()


STOPPED = """
import os, sys
left = int(os.environ["STOP_AT"])
def count(event, arguments):
    global left
    if event in ("os.link", "os.rename", "os.remove") and "idp.sqlite3" in str(arguments):
        left -= 1
        if not left:
            os._exit(9)
sys.addaudithook(count)
"""
WITHOUT_LINKS = """
def refuse(*_):
    raise PermissionError(1, "Operation not permitted")
os.link = refuse
"""


def kill_at_each_step(file: Path, start, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore again and again, each time killed before the next of the steps that change names."""
    for step in range(1, 20):
        monkeypatch.setenv("STOP_AT", str(step))
        process = start("restore", str(file), "--force")
        _, stderr = process.communicate(timeout=60)
        if process.returncode == 0:
            assert step > 1, "nothing was stopped"
            return
        assert process.returncode == 9, stderr
        yield
    pytest.fail("it never came to an end")


@pytest.mark.parametrize("has_links", [True, False])
def test_whenever_it_is_killed_there_is_a_database(
    instance: Path, ada: str, succeed: Run, file: Path, start, adjust, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    adjust(STOPPED + ("" if has_links else WITHOUT_LINKS))
    succeed("backup", str(file))
    succeed("user", "add", "bob", "--email", "bob@example.org", "--password-stdin", stdin=PASSWORD)
    for _ in kill_at_each_step(file, start, monkeypatch):
        assert (instance / "idp.sqlite3").exists()
        assert usernames() == {"ada", "bob"}
    assert usernames() == {"ada"}
    assert {path.stat().st_mode & 0o777 for path in instance.glob("*.before-restore-*")} == {0o600}


def test_a_log_without_its_database_is_not_applied_to_another(
    instance: Path, ada: str, succeed: Run, file: Path, start, adjust, monkeypatch: pytest.MonkeyPatch
) -> None:
    adjust(STOPPED)
    succeed("backup", str(file))
    database, log = instance / "idp.sqlite3", instance / "idp.sqlite3-wal"
    writer = sqlite3.connect(database)
    writer.execute("UPDATE user SET username = 'eve'")
    writer.commit()
    content = log.read_bytes()
    writer.close()
    database.unlink()
    log.write_bytes(content)
    for _ in kill_at_each_step(file, start, monkeypatch):
        assert not database.exists()
    assert not log.exists()
    assert usernames() == {"ada"}
    (kept,) = instance.glob("idp.sqlite3.before-restore-*-wal")
    assert kept.read_bytes() == content


def test_no_room_to_keep_what_was_there(
    instance: Path, ada: str, succeed: Run, run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    succeed("backup", str(file))
    monkeypatch.setattr(database_copy.os, "link", fail)
    monkeypatch.setattr(database_copy.shutil, "copyfile", fail)
    result = run("restore", str(file), "--force")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert usernames() == {"ada"}
    assert not list(instance.glob("*before-restore*"))


def test_a_link_to_the_database_stays_one(instance: Path, ada: str, tmp_path: Path, succeed: Run, file: Path) -> None:
    (tmp_path / "large disk").mkdir()
    link, itself = instance / "idp.sqlite3", tmp_path / "large disk" / "data"
    shutil.move(link, itself)
    link.symlink_to(itself)
    succeed("backup", str(file))
    before = itself.stat().st_ino
    assert str(itself) in succeed("restore", str(file), "--force").stderr
    assert link.is_symlink()
    assert itself.stat().st_ino != before
    assert usernames() == {"ada"}


# -- Damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda file: file.write_bytes(b"no backup at all" * 100), "is no backup"),
        (lambda file: file.write_bytes(b""), "is no backup"),
        (lambda file: file.write_bytes(file.read_bytes()[:200_000]), "damaged"),
        (lambda file: rewrite(file, database=b"another database"), "damaged"),
        (lambda file: file.write_bytes(file.read_bytes().replace(b"ada@example", b"eve@example")), "not the one"),
        (lambda file: rewrite(file, **{"manifest.json": b"[]"}), "is no backup"),
        (lambda file: rewrite(file, **{"manifest.json": b"{"}), "is no backup"),
        (lambda file: rewrite(file, **{"manifest.json": b"[" * 90_000}), "is no backup"),
        (lambda file: replace_database(file, b"no database at all" * 100), "The database is damaged"),
        (lambda file: change_manifest(file, version=2), "a later release"),
        (lambda file: change_manifest(file, format="something else"), "is no backup"),
        (lambda file: change_manifest(file, schema="9999"), "newer schema"),
        (lambda file: change_manifest(file, engine="postgresql"), "works on SQLite"),
        (lambda file: change_manifest(file, created_at=None), "lacks something"),
        (lambda file: change_manifest(file, created_at=math.inf), "lacks something"),  # a digit became an e
        (lambda file: change_manifest(file, seal="x"), "does not belong"),
        (lambda file: change_manifest(file, seal="ü"), "does not belong"),
        (lambda file: change_manifest(file, database_digest="0" * 64), "does not belong"),
    ],
)
def test_a_damaged_backup_changes_nothing(
    instance: Path, ada: str, succeed: Run, run: Run, file: Path, damage, told: str
) -> None:
    succeed("backup", str(file))
    damage(file)
    result = run("restore", str(file), "--force")
    assert result.exit_code == 1
    assert told in result.stderr
    assert usernames() == {"ada"}
    assert sorted(path.name for path in instance.iterdir() if not path.name.startswith("idp.sqlite3")) == ["secret_key"]


def test_members_that_lead_to_each_other_are_not_followed(instance: Path, run: Run, file: Path) -> None:
    with tarfile.open(file, "w") as tar:
        for name, other in (("manifest.json", "database"), ("database", "manifest.json")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, other
            tar.addfile(link)
    result = run("restore", str(file), "--force")
    assert result.exit_code == 1
    assert "is no backup" in result.stderr


def test_a_member_that_leads_elsewhere_is_not_followed(instance: Path, succeed: Run, run: Run, file: Path) -> None:
    succeed("backup", str(file))
    with tarfile.open(file) as tar:
        manifest = tar.extractfile("manifest.json").read()
    with tarfile.open(file, "w") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
        link = tarfile.TarInfo("database")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    result = run("restore", str(file), "--force")
    assert result.exit_code == 1
    assert "damaged" in result.stderr


def test_a_damaged_database_makes_no_backup(instance: Path, ada: str, run: Run, file: Path) -> None:
    with sqlite3.connect(instance / "idp.sqlite3") as raw:
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("INSERT INTO user_role VALUES ('nobody', 'admin')")
    raw.close()
    result = run("backup", str(file))
    assert result.exit_code == 1
    assert "user_role has rows without parents" in result.stderr
    assert list(file.parent.iterdir()) == []


def make_older(loaded: Settings, revision: str) -> None:
    """Take a SQLite database back to an older schema."""
    engine = open_engine(loaded)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.downgrade(runner.configuration(connection), revision)
        connection.commit()
    engine.dispose()


def test_an_older_schema_is_upgraded_by_init(
    instance: Path, ada: str, succeed: Run, file: Path, monkeypatch: pytest.MonkeyPatch, elsewhere
) -> None:
    loaded = provider_settings.load()
    make_older(loaded, "0001")
    backup.make_backup(loaded, file, with_secret_key=True)
    elsewhere()
    told = succeed("restore", str(file), "--with-secret-key").stderr
    assert "run `idp init` to upgrade it" in told
    succeed("init")
    assert usernames() == {"ada"}


def test_another_issuer_is_told(instance: Path, succeed: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    succeed("backup", str(file))
    assert "It was made for" not in succeed("restore", str(file), "--force").stderr
    monkeypatch.setenv("IDP_ISSUER", "https://login.example.org")
    assert "It was made for http://localhost:8000" in succeed("restore", str(file), "--force").stderr


def test_a_full_disk_leaves_no_half_backup(
    instance: Path, run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")  # what is written to an open file names none

    monkeypatch.setattr("idp.cli.private_files.os.fsync", fail)
    result = run("backup", str(file))
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("command", ["backup", "restore", "export"])
def test_whoever_is_told_to_stop_leaves_nothing_half_written(
    instance: Path, ada: str, succeed: Run, file: Path, start, adjust, tmp_path: Path, command: str, number: int
) -> None:
    kept, written = tmp_path / "kept.tar", tmp_path / "written"
    succeed("backup", str(kept))
    adjust(f"import os, time; os.fsync = lambda _: (os.mkdir({str(written)!r}), time.sleep(60))")
    process = start("restore", str(kept), "--force") if command == "restore" else start(command, str(file))
    until(written.exists)
    assert [*file.parent.iterdir(), *instance.glob(".restore-*")]
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert stderr.strip().splitlines()[-1] == "Stopped."
    assert "Traceback" not in stderr
    assert list(file.parent.iterdir()) == []
    assert not list(instance.glob(".restore-*"))
    assert usernames() == {"ada"}


def test_the_first_process_of_a_container_ends_too(instance: Path, file: Path, start, adjust) -> None:
    """The system spares it by its own signals."""
    adjust("import os, time; os.fsync = lambda _: time.sleep(60); os.kill = lambda *_: None")
    process = start("backup", str(file))
    until(lambda: list(file.parent.iterdir()))
    process.terminate()
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.strip().splitlines()[-1]) == (128 + signal.SIGTERM, "Stopped.")


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def test_nobody_leaves_while_a_statement_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the signal comes while the thread starts: closing a connection that is at work ends the process."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    begun, ended, real = threading.Event(), threading.Event(), threading.Thread.start

    def work() -> None:
        begun.set()
        try:
            connection.execute(ENDLESS)
        finally:
            ended.set()

    def start(thread: threading.Thread) -> None:
        real(thread)
        assert begun.wait(60)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(KeyboardInterrupt):
            sqlite_work.ended_by_signals(connection, work)
    assert ended.is_set()
    connection.close()


@pytest.mark.parametrize("pause", [0, 0.6])  # the signal comes amid a statement, or between two
def test_a_long_statement_is_ended_by_a_signal(pause: float) -> None:
    connection = sqlite3.connect(":memory:", check_same_thread=False)

    def work() -> None:
        time.sleep(pause)
        connection.execute(ENDLESS)

    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sqlite_work.ended_by_signals(connection, work)
    connection.close()
    timer.join()


SMALL_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_no_room_for_the_copy(
    instance: Path, ada: str, succeed: Run, file: Path, start, adjust, tmp_path: Path, command: str
) -> None:
    kept = tmp_path / "kept.tar"
    succeed("backup", str(kept))
    adjust(SMALL_FILES)
    process = start("backup", str(file)) if command == "backup" else start("restore", str(kept), "--force")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert ("The database could not be copied: disk I/O error" if command == "backup" else "File too large") in stderr
    assert list(file.parent.iterdir()) == []
    assert not list(instance.glob(".restore-*"))
    assert usernames() == {"ada"}


@pytest.mark.parametrize("command", ["backup", "export"])
def test_damaged_pages_are_told(instance: Path, ada: str, run: Run, file: Path, command: str) -> None:
    with sqlite3.connect(instance / "idp.sqlite3") as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'user'").fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    raw.close()
    with (instance / "idp.sqlite3").open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(b"\xff" * size)
    result = run(command, str(file))
    assert result.exit_code == 1
    assert "malformed" in result.stderr
    assert list(file.parent.iterdir()) == []


# -- PostgreSQL ----------------------------------------------------------------------------------------


@pytest.fixture
def new_database(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Make an empty database on the server and work on it; gives its URL."""
    names = []
    with psycopg.connect(postgresql.SERVER, autocommit=True) as admin:

        def make() -> str:
            names.append(f"idp_test_{crypto.new_id()}")
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(names[-1])))
            url = urlunsplit(urlsplit(postgresql.SERVER)._replace(path=f"/{names[-1]}"))
            monkeypatch.setenv("IDP_DATABASE_URL", url)
            return url

        yield make
        for name in names:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def with_user(url: str, user: str) -> str:
    """Return a server's URL with somebody else who connects."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.hostname}:{parts.port}"))


class TestOnPostgresql:
    """The same by `pg_dump` and `pg_restore`."""

    pytestmark = postgresql.MARKS

    def test_there_and_back(self, new_database, succeed: Run, run: Run, file: Path) -> None:
        first = new_database()
        succeed("init")
        succeed("user", "add", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
        keys = succeed("keys", "list", "--json").stdout
        succeed("backup", str(file))
        new_database()
        succeed("restore", str(file))
        assert usernames() == {"ada"}
        assert succeed("keys", "list", "--json").stdout == keys
        succeed("user", "add", "bob", "--email", "bob@example.org", "--password-stdin", stdin=PASSWORD)
        assert run("restore", str(file)).exit_code == 2
        assert usernames() == {"ada", "bob"}
        succeed("restore", str(file), "--force")
        assert usernames() == {"ada"}
        assert succeed("doctor").exit_code == 0
        assert first

    def test_a_database_in_use_is_not_replaced(self, new_database, succeed: Run, run: Run, file: Path) -> None:
        new_database()
        succeed("init")
        succeed("backup", str(file))
        succeed("user", "add", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
        told = refused_under_a_provider(run, file)
        assert "The database is in use (sessions of postgres: 1): stop `idp serve` and" in told
        assert usernames() == {"ada"}
        succeed("restore", str(file), "--force")
        assert usernames() == set()

    @pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
    def test_who_connects_while_the_copy_is_taken_out_is_noticed(
        self, instance: Path, new_database, succeed: Run, run: Run, file: Path, monkeypatch, engine: str
    ) -> None:
        url = new_database()
        succeed("init")
        if engine == "sqlite":
            monkeypatch.delenv("IDP_DATABASE_URL")
        succeed("backup", str(file))
        monkeypatch.setenv("IDP_DATABASE_URL", url)
        succeed("user", "add", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
        take_out, connections = backup_file.take_out, []

        def take_out_slowly(*arguments) -> None:
            connections.append(psycopg.connect(url))
            take_out(*arguments)

        monkeypatch.setattr(backup_file, "take_out", take_out_slowly)
        result = run("restore", str(file), "--force")
        for each in connections:
            each.close()
        assert result.exit_code == 1
        assert "The database is in use" in result.stderr
        assert len(connections) == 1
        assert usernames() == {"ada"}

    def test_sessions_of_which_the_server_tells_no_more_count_too(self, new_database, succeed: Run) -> None:
        url = new_database()
        succeed("init")
        loaded = provider_settings.load()
        humble = replace(loaded, database_url=f"{url}?options=-crole%3Dpg_signal_backend")
        database_copy.check_unused_server(humble)
        with psycopg.connect(url), pytest.raises(NotReadyError, match="in use"):
            database_copy.check_unused_server(humble)

    def test_a_restored_database_signs_and_verifies_as_before(self, new_database, succeed: Run, file: Path) -> None:
        new_database()
        succeed("init")
        succeed("user", "add", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
        before = Before()
        succeed("backup", str(file))
        before.living.close()
        new_database()
        succeed("restore", str(file))
        before.check()
        assert succeed("doctor").exit_code == 0

    def test_a_backup_under_load_is_of_one_moment(self, new_database, succeed: Run, file: Path) -> None:
        new_database()
        succeed("init")
        check_under_load(succeed, file, lambda _number: new_database())

    def test_what_cannot_be_replaced_as_a_whole_stays_as_it_is(
        self, new_database, succeed: Run, run: Run, file: Path
    ) -> None:
        url = new_database()
        succeed("init")
        succeed("backup", str(file))
        succeed("user", "add", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
        with psycopg.connect(url) as operator:
            operator.execute('CREATE VIEW newest AS SELECT * FROM "user"')
        before = all_rows()
        result = run("restore", str(file), "--force")
        assert result.exit_code == 1
        assert "other objects depend on it" in result.stderr
        assert all_rows() == before

    def test_whose_the_tables_were_does_not_matter(self, new_database, succeed: Run, file: Path) -> None:
        url, owner = new_database(), sql.Identifier(f"idp_test_{crypto.new_id()}")
        succeed("init")
        with psycopg.connect(url) as operator:
            operator.execute(sql.SQL("CREATE ROLE {}").format(owner))
            operator.execute(sql.SQL("GRANT SELECT ON client TO {}").format(owner))
            operator.execute(sql.SQL('ALTER TABLE "user" OWNER TO {}').format(owner))
        succeed("backup", str(file))
        with psycopg.connect(url) as operator:
            operator.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(owner))
            operator.execute(sql.SQL("DROP ROLE {}").format(owner))
        new_database()
        succeed("restore", str(file))
        assert usernames() == set()

    def test_a_backup_of_it_is_not_for_sqlite(
        self, new_database, succeed: Run, run: Run, file: Path, monkeypatch
    ) -> None:
        new_database()
        succeed("init")
        succeed("backup", str(file))
        monkeypatch.delenv("IDP_DATABASE_URL")
        result = run("restore", str(file))
        assert result.exit_code == 1
        assert "The backup is of PostgreSQL, this instance works on SQLite" in result.stderr

    def test_one_of_another_schema_is_not_put_over_tables(
        self, new_database, succeed: Run, run: Run, file: Path
    ) -> None:
        new_database()
        succeed("init")
        succeed("backup", str(file))
        change_manifest(file, schema="0001")
        result = run("restore", str(file), "--force")
        assert result.exit_code == 1
        assert "The database has another schema than the backup: restore into an empty database." in result.stderr

    def test_without_the_tools(self, new_database, succeed: Run, run: Run, file: Path, monkeypatch) -> None:
        new_database()
        succeed("init")
        monkeypatch.setattr(database_copy.shutil, "which", lambda _: None)
        result = run("backup", str(file))
        assert result.exit_code == 1
        assert "pg_dump is not installed" in result.stderr
        assert list(file.parent.iterdir()) == []

    def test_the_password_is_in_no_command_line(self, new_database, succeed: Run, file: Path, monkeypatch) -> None:
        url = new_database()
        succeed("init")
        calls = []

        def note(command, **more):
            calls.append((command, more["env"]))
            return subprocess.CompletedProcess(command, 1, "", "password authentication failed")

        monkeypatch.setattr(database_copy.subprocess, "run", note)
        loaded = provider_settings.load()
        secret = replace(loaded, database_url=with_user(url, "postgres:hush-hush"))
        with pytest.raises(NotReadyError, match="pg_dump did not do its work: password authentication failed"):
            database_copy.copy_postgresql(secret, file)
        ((command, environ),) = calls
        assert "hush" not in " ".join(command)
        assert "***" not in " ".join(command)  # or the tool takes that for the password
        assert environ["PGPASSWORD"] == "hush-hush"

    @pytest.mark.parametrize("copy", [database_copy.copy_postgresql, database_copy.restore_postgresql])
    def test_a_secret_that_would_be_in_a_command_line_is_refused(self, new_database, file: Path, copy) -> None:
        loaded = replace(provider_settings.load(), database_url=f"{new_database()}?sslpassword=hush-hush")
        with pytest.raises(NotReadyError, match=r"The database's URL holds sslpassword, .*\?service=NAME") as refused:
            copy(loaded, file)
        assert "hush" not in str(refused.value)

    def test_a_service_may_hold_it(self, new_database, succeed: Run, tmp_path: Path, file: Path, monkeypatch) -> None:
        parts, services = urlsplit(new_database()), tmp_path / "services"
        told = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        told["sslpassword"] = "hush-hush"
        services.write_text("[idp]\n" + "".join(f"{name}={value}\n" for name, value in told.items() if value))
        monkeypatch.setenv("PGSERVICEFILE", str(services))
        monkeypatch.setenv("IDP_DATABASE_URL", f"postgresql://{parts.path}?service=idp")
        succeed("init")
        succeed("backup", str(file))
        succeed("restore", str(file), "--force")

    def test_a_copy_that_cannot_be_read_is_none(
        self, new_database, succeed: Run, run: Run, file: Path, monkeypatch
    ) -> None:
        new_database()
        succeed("init")
        really_run = subprocess.run

        def cut(command, **more):
            done = really_run(command, **more)
            if "pg_dump" in command[0]:
                (copy,) = file.parent.glob(".idp.tar.*/database")
                os.truncate(copy, copy.stat().st_size - 100)
            return done

        monkeypatch.setattr(database_copy.subprocess, "run", cut)
        result = run("backup", str(file))
        assert result.exit_code == 1
        assert "pg_restore did not do its work" in result.stderr
        assert list(file.parent.iterdir()) == []

    @pytest.mark.skipif(not urlsplit(postgresql.SERVER).password, reason="IDP_TEST_POSTGRES_URL names no password")
    def test_a_server_that_asks_for_a_password(self, new_database, succeed: Run, file: Path) -> None:
        url = new_database()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(with_user(url, "postgres:another"))
        succeed("init")
        succeed("user", "add", "ada", "--email", "ada@example.org", "--password-stdin", stdin=PASSWORD)
        succeed("backup", str(file))
        new_database()
        succeed("restore", str(file))
        assert usernames() == {"ada"}


def all_rows() -> dict[str, list[tuple[object, ...]]]:
    """Return what every table holds, but for the row of the audit that each command leaves."""
    engine = open_engine(provider_settings.load())
    with engine.connect() as connection:
        found = {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }
    engine.dispose()
    found["audit_event"] = [row for row in found["audit_event"] if "provider:database:restore" not in row]
    return found


class TestMovingToPostgresql:
    """A backup of SQLite is restored into PostgreSQL."""

    pytestmark = postgresql.MARKS

    @pytest.fixture
    def instance(self, instance: Path, ada: str, succeed: Run, file: Path, database: Session) -> Path:
        """An instance with people, a logo, flags of both kinds and values that are missing; backed up."""
        succeed(
            "user", "add", "bob", "--email", "bob@example.org", "--role", "editor", "--password-stdin", stdin=PASSWORD
        )
        succeed("user", "disable", "bob")
        succeed("preauthorize", "zo\u00eb@example.org", "--role", "editor")
        metadata, _ = factories.make_client(database, provider_settings.load())
        database.add(ClientLogo(client_id=metadata.client_id, logo_uri="x", content=bytes(range(256)), fetched_at=1))
        database.commit()
        return instance

    def test_every_row_arrives_and_the_provider_is_the_same(
        self, instance: Path, new_database, succeed: Run, file: Path
    ) -> None:
        before = Before()
        succeed("backup", str(file))
        before.living.close()
        rows = all_rows()
        new_database()
        told = succeed("restore", str(file)).stderr
        assert "It was SQLite's, and is PostgreSQL's now." in told
        moved = all_rows()
        rows["audit_event"] = [row for row in rows["audit_event"] if "provider:database:backup" not in row]
        assert moved == rows
        assert all(moved[name] for name in ("user", "user_role", "client_logo", "authorization_grant", "signing_key"))
        before.check()
        succeed("user", "add", "eve", "--email", "eve@example.org", "--password-stdin", stdin=PASSWORD)
        assert succeed("doctor", "--deep").exit_code == 0

    def test_a_servers_own_time_limit_ends_no_move(
        self, instance: Path, new_database, succeed: Run, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        succeed("backup", str(file))
        monkeypatch.setenv("IDP_DATABASE_URL", f"{new_database()}?options=-c%20statement_timeout%3D1h")
        limits, move = set(), database_move._move

        def moved(source, target, table, advance) -> None:
            limits.add(target.scalar(text("SHOW statement_timeout")))
            move(source, target, table, advance)

        monkeypatch.setattr(database_move, "_move", moved)
        succeed("restore", str(file))
        assert limits == {"0"}

    def test_a_backup_with_an_older_schema(self, instance: Path, new_database, succeed: Run, file: Path) -> None:
        make_older(provider_settings.load(), "0005")
        backup.make_backup(provider_settings.load(), file, with_secret_key=False)
        new_database()
        succeed("restore", str(file))
        assert usernames() == {"ada", "bob"}
        assert succeed("doctor", "--deep").exit_code == 0

    def test_what_is_there_is_replaced_if_asked(
        self, instance: Path, new_database, succeed: Run, run: Run, file: Path
    ) -> None:
        succeed("backup", str(file))
        keys = succeed("keys", "list", "--json").stdout
        new_database()
        succeed("init")
        result = run("restore", str(file))
        assert result.exit_code == 2
        assert "use --force" in result.stderr
        assert succeed("keys", "list", "--json").stdout != keys
        succeed("restore", str(file), "--force")
        assert succeed("keys", "list", "--json").stdout == keys

    def test_a_row_that_postgresql_refuses_changes_nothing(
        self, instance: Path, new_database, succeed: Run, run: Run, file: Path, database: Session
    ) -> None:
        """SQLite holds text of any length, and texts with NUL, whatever a column was declared as."""
        database.execute(update(User).where(User.username == "bob").values(locale="x" * 1000))
        database.commit()
        succeed("backup", str(file))
        new_database()
        succeed("init")
        succeed("preauthorize", *(f"p{number}@example.org" for number in range(50)))  # a longer audit than the copy's
        before = all_rows()
        result = run("restore", str(file), "--force")
        assert result.exit_code == 1
        assert "PostgreSQL refuses a row of user, so none was moved: value too long" in result.stderr
        assert "xxx" not in result.stderr
        assert all_rows() == before
        succeed("preauthorize", "eve@example.org")  # the audit counts on from where it was
