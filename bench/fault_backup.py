"""Backups and exports made under load, and what comes of them elsewhere."""

import json
from pathlib import Path

import requests
from disks import UnavailableError
from kill import own_database
from people import Person
from postgres import Cluster
from stage import PEOPLE, Stage

from instance import Instance


def backup_under_load(folder: Path) -> Stage:
    """`idp backup` and `idp export` while people are at work; both are taken elsewhere, and all goes on there."""
    return _move(folder, "", "")


def backup_under_load_on_postgresql(folder: Path) -> Stage:
    """The same on PostgreSQL, by `pg_dump` and `pg_restore`."""
    folder.chmod(0o711)
    try:
        cluster = Cluster(folder / "postgres")
    except (SystemExit, KeyError, OSError) as reason:
        raise UnavailableError(str(reason)) from reason
    try:
        cluster.start()
        with own_database(cluster.url, "first") as first, own_database(cluster.url, "second") as second:
            return _move(folder, first, second)
    finally:
        cluster.stop()


def _move(folder: Path, database: str, other_database: str) -> Stage:
    stage = Stage(folder, database=database)
    instance = stage.instance
    backup, export = folder / "backup.tar", folder / "accounts.json"
    copy = _beside(instance, folder / "restored", other_database)
    try:
        stage.begin()
        copy.web, copy.machine = instance.web, instance.machine
        with stage.load():
            stage.wait_for("refresh", 5, 120)
        # Some keep still from now on: what was acknowledged to them must be good in the copy, and unused.
        still = stage.people[:2]
        keys = requests.get(f"{instance.issuer}/oauth/jwks", timeout=30).json()
        access_tokens = [_leave_unused(each) for each in still]
        acknowledged = set(stage.ledger.registered)
        signed_out = list(stage.ledger.signed_out)
        stage.people = stage.people[2:]
        with stage.load():
            stage.wait_for("login", 2, 60)
            instance.command("backup", str(backup), "--with-secret-key")
            instance.command("export", str(export))
            stage.wait_for("login", 2, 60)
        stage.check_all("a backup")
        stage.tell(f"backup of {backup.stat().st_size >> 10} KiB while {stage.ledger.counts['login']} had logged in")
        instance.stop()
        done = copy.try_command("restore", "--with-secret-key", str(backup))
        stage.expect(done.returncode == 0, f"restore: {done.stderr[-300:]}")
        copy.start()
        stage.expect(requests.get(f"{copy.issuer}/oauth/jwks", timeout=30).json() == keys, "the keys are others")
        stage.instance, stage.people = copy, still
        stage.ledger.registered, stage.ledger.signed_out = acknowledged, signed_out
        for each, token in zip(still, access_tokens, strict=True):
            each.instance = copy
            told = each.send("GET", "/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
            stage.expect(told.status_code == 200, f"an access token from before the backup: {told.status_code}")
        stage.check_all("a restore")
        with stage.load():
            stage.wait_for("login", 3, 60)
        stage.check_all("work in the copy")
    finally:
        instance.stop()
        copy.stop()
    _import(stage, folder, export, acknowledged)
    return stage


def _leave_unused(person: Person) -> str:
    """Be signed in, with a refresh token that nobody has used; returns an access token."""
    while not person.is_signed_in or not person.unused:
        person.log_in()
    person.refresh()
    person.unredeemed.clear()  # codes would be too old by then
    return person.access_token


def _beside(instance: Instance, folder: Path, database: str) -> Instance:
    """Return an instance that does not exist yet, at the same address: apps must not see a difference."""
    other = Instance(folder, database, people=PEOPLE)
    folder.mkdir()
    other.port, other.issuer = instance.port, instance.issuer
    other.environ["IDP_ISSUER"] = instance.issuer
    return other


def _import(stage: Stage, folder: Path, export: Path, acknowledged: set[str]) -> None:
    """Bring the exported accounts into a new provider: everybody is there, with their password."""
    other = Instance(folder / "imported", people=PEOPLE)
    other.log.parent.mkdir()
    other.command("init")
    done = other.try_command("import", "accounts", str(export), "--json")
    stage.expect(done.returncode == 0, f"import: {done.returncode} {done.stderr[-300:]}")
    exported = {each["email"] for each in json.loads(export.read_text())["accounts"]}
    listed = {each["email"] for each in json.loads(other.command("user", "list", "--json"))}
    stage.expect(exported == listed, f"exported and imported differ by {exported ^ listed}")
    waiting = acknowledged - exported
    stage.tell(
        f"{len(listed)} accounts exported and imported; {len(waiting)} registrations wait for their mail, and stay"
    )
    try:
        other.start()
        stage.instance = other
        for number in range(PEOPLE):
            answer = stage.try_sign_in(number)
            stage.expect(answer.status_code == 303, f"p{number} cannot sign in after the import: {answer.status_code}")
        for each in other.contradictions():
            stage.ledger.blame(f"after an import: {each}")
    finally:
        other.stop()
