"""Writing is repeatable, may be interrupted, may run twice at once, and asks the database a few things a batch."""

import json
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import roles, sign_in, users
from idp.accounts.visitor import OPERATOR, Visitor
from idp.cli.invariants import INVARIANTS, find_offenders
from idp.models import AuditEvent, Base, Preauthorization, User, UserRole
from idp.settings import Settings
from idp.storage import database
from idp.transfer import exporting, preauthorizations, writing
from idp.transfer.report import Kind
from tests.environment import without_settings
from tests.storage.conftest import empty_database
from tests.traffic import counting
from tests.transfer.conftest import HASH, PASSWORD, Import, import_text

__all__ = ["empty_database"]


def _people(count: int, **data: Any) -> str:
    people = {
        f"user{n}": {"email": f"user{n}@example.org", "password": HASH, "roles": ["editor", "viewer"], **data}
        for n in range(count)
    }
    return json.dumps({"credentials": {"usernames": people}, "preauthorized": ["melsby@example.org"]})


def _count(db: Session, model: type[Base]) -> int:
    return db.scalars(select(func.count()).select_from(model)).one()


def test_again_changes_nothing(import_: Import, db: Session) -> None:
    first = import_(_people(20))
    assert (first.created, first.preauthorizations_created) == (20, 1)
    before = list(db.execute(select(*User.__table__.columns).order_by(User.id)))
    again = import_(_people(20))
    assert (again.created, again.unchanged, again.preauthorizations_unchanged) == (0, 20, 1)
    assert list(db.execute(select(*User.__table__.columns).order_by(User.id))) == before
    assert _count(db, UserRole) == 40


def test_what_was_changed_here_is_left_alone(import_: Import, db: Session) -> None:
    import_(_people(1))
    user = users.get_user(db, "user0")
    user.given_name, user.password_hash = "Changed", None
    roles.change_roles(db, OPERATOR, user.id, add=["admin"])
    db.commit()
    assert import_(_people(1, first_name="Old", last_name="Name")).unchanged == 1
    db.expire_all()
    assert (user.given_name, user.password_hash) == ("Changed", None)
    assert roles.roles_of(db, user.id) == ["admin", "editor", "viewer"]


def test_update_brings_names_and_roles_and_nothing_else(import_: Import, db: Session, clock: Any) -> None:
    import_(_people(4))
    user = users.get_user(db, "user0")
    user.password_hash = "kept"
    roles.change_roles(db, OPERATOR, user.id, add=["admin"])
    db.commit()
    text = json.loads(_people(4))
    text["credentials"]["usernames"]["user0"] |= {"first_name": "New", "last_name": "Name"}
    del text["credentials"]["usernames"]["user1"]["roles"]
    text["credentials"]["usernames"]["user3"] |= {"last_name": "Married"}
    dry = import_(json.dumps(text), is_update=True, is_dry_run=True)
    assert (dry.updated, dry.unchanged) == (2, 2)
    db.expire_all()
    assert user.given_name is None
    begin = int(clock())
    clock.advance(60)
    report = import_(json.dumps(text), is_update=True)
    assert (report.updated, report.unchanged) == (2, 2)
    db.expire_all()
    told = select(User.given_name, User.family_name, User.updated_at).order_by(User.username)
    assert [tuple(each) for each in db.execute(told)] == [
        ("New", "Name", begin + 60),
        (None, None, begin),
        (None, None, begin),
        (None, "Married", begin + 60),
    ]
    assert user.password_hash == "kept"
    assert roles.roles_of(db, user.id) == ["editor", "viewer"]
    assert roles.roles_of(db, users.get_user(db, "user1").id) == ["editor", "viewer"]
    assert import_(json.dumps(text), is_update=True).unchanged == 4
    assert import_(_people(4), is_update=True).unchanged == 4, "a name that the file does not have takes none away"


def test_few_statements_a_batch(settings: Settings, db: Session) -> None:
    """2,000 accounts in 4 batches: to look for others, to insert accounts, roles and evidence; no more."""
    with counting(Engine) as traffic:
        assert import_text(settings, _people(2_000)).created == 2_000
    verbs = [statement.split(maxsplit=1)[0] for statement in traffic.statements]
    assert verbs.count("SELECT") <= 4 + 2
    assert verbs.count("INSERT") <= 3 * 4 + 2
    with counting(Engine) as traffic:
        assert import_text(settings, _people(2_000)).unchanged == 2_000
    assert len(traffic.statements) <= 4 + 2
    assert _count(db, UserRole) == 4_000


def test_preauthorizations_of_several_batches_are_written_and_counted_once(
    import_: Import, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preauthorizations, "BATCH", 2)
    listed = json.dumps({**json.loads(_people(0)), "preauthorized": [f"user{n}@example.org" for n in range(5)]})
    for counts in ((5, 0), (0, 5)):
        report = import_(listed)
        assert (report.preauthorizations_created, report.preauthorizations_unchanged) == counts
    assert _count(db, Preauthorization) == 5


# Dies when it is about to write the third of its lots of roles, and the accounts to them are written already.
KILLED_AT_WORK = """
import itertools, os, signal, sys
from pathlib import Path

from sqlalchemy import Engine, event

from idp.settings import load
from tests.transfer.conftest import import_text

lots = itertools.count(1)


@event.listens_for(Engine, "before_cursor_execute")
def die(_connection, _cursor, statement, *_):
    if statement.startswith("INSERT INTO user_role") and next(lots) == 3:
        os.kill(os.getpid(), signal.SIGKILL)


import_text(load(), Path(sys.argv[1]).read_text())
"""


def test_killed_in_the_middle_and_run_again(settings: Settings, db: Session) -> None:
    """What was written stays whole, and the next run does the rest."""
    text = _people(3_000)
    file = settings.instance / "config.json"
    file.write_text(text)
    environment = {
        **without_settings(),
        "IDP_INSTANCE": str(settings.instance),
        "IDP_SECRET_KEY": settings.secret_key,
        "IDP_DATABASE_URL": settings.database_url,
    }
    done = subprocess.run([sys.executable, "-c", KILLED_AT_WORK, str(file)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    there = _count(db, User)
    assert 500 <= there < 3_000
    assert there % 500 == 0
    assert _count(db, UserRole) == 2 * there
    report = import_text(settings, text)
    assert (report.unchanged, report.created) == (there, 3_000 - there)
    assert (_count(db, User), _count(db, UserRole), _count(db, Preauthorization)) == (3_000, 6_000, 1)
    created = select(func.count()).select_from(AuditEvent).where(AuditEvent.event == "account:user:create")
    assert db.scalars(created).one() == 3_000


@pytest.fixture
def stored(empty_database: Settings) -> Settings:
    """A provider on each engine, its tables empty."""
    engine = database.open_engine(empty_database)
    Base.metadata.create_all(engine)
    engine.dispose()
    return empty_database


def test_two_imports_at_once(stored: Settings) -> None:
    reports = []
    texts = [_people(2_000), json.dumps(json.loads(_people(2_000)))]
    turned = json.loads(texts[1])
    turned["credentials"]["usernames"] = dict(reversed(turned["credentials"]["usernames"].items()))
    texts[1] = json.dumps(turned)
    threads = [threading.Thread(target=lambda t=t: reports.append(import_text(stored, t))) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 2
    assert sum(report.created for report in reports) == 2_000
    assert sum(report.unchanged for report in reports) == 2_000
    assert all(report.is_complete for report in reports)
    engine = database.open_engine(stored)
    with Session(engine) as db:
        assert (_count(db, User), _count(db, UserRole), _count(db, Preauthorization)) == (2_000, 4_000, 1)
    engine.dispose()


def test_a_name_that_somebody_takes_while_passwords_are_hashed(
    import_: Import, db: Session, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_passwords = writing._hash_passwords

    def be_slow(*given: Any) -> None:
        if users.find_user(db, "user0") is None:
            make_user("user0", email="somebody.else@example.org")
        hash_passwords(*given)

    monkeypatch.setattr(writing, "_hash_passwords", be_slow)
    report = import_(_people(2))
    assert (report.created, report.left_out) == (1, 1)
    assert [(each.kind, each.subject) for each in report.findings] == [(Kind.USERNAME_TAKEN, "user0")]
    created = select(func.count()).select_from(AuditEvent).where(AuditEvent.event == "account:user:create")
    assert (_count(db, User), _count(db, UserRole), db.scalars(created).one()) == (2, 2, 2)


def test_whom_others_keep_out_again_and_again_is_told(import_: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_insert", lambda *_: set())
    report = import_(_people(2))
    assert (report.created, report.left_out) == (0, 2)
    assert {each.kind for each in report.findings} == {Kind.USERNAME_TAKEN}


def _export(db: Session) -> str:
    lines: list[Any] = [{"format": exporting.FORMAT, "version": exporting.VERSION}]
    lines += [{"account": each} for each in exporting.export_accounts(db)]
    lines += [{"preauthorization": each} for each in exporting.export_preauthorizations(db)]
    return "\n".join(map(json.dumps, lines))


def test_exported_accounts_come_in_elsewhere(
    import_: Import, db: Session, settings: Settings, stored: Settings, make_user: Any
) -> None:
    from tests.factories import EVERY_CLAIM

    import_(_people(3))
    make_user("ada", roles=("admin",), **EVERY_CLAIM)
    make_user("eve", is_password_temporary=True)
    users.disable_user(db, OPERATOR, users.get_user(db, "user2").id)
    db.commit()
    columns = list(User.__table__.columns)
    before = list(db.execute(select(*columns).order_by(User.id)))
    text = _export(db)
    report = import_text(stored, text, is_export=True)
    assert (report.found, report.created, report.preauthorizations_created) == (5, 5, 1)
    assert report.is_complete
    engine = database.open_engine(stored)
    with Session(engine) as there:
        assert list(there.execute(select(*columns).order_by(User.id))) == before
        assert _export(there) == text
        told = select(AuditEvent.user_id, AuditEvent.details).where(AuditEvent.event == "account:user:disable")
        disabled = users.get_user(there, "user2").id
        assert [tuple(each) for each in there.execute(told)] == [(disabled, {"source": "test"})]
        assert [each.name for each in INVARIANTS if find_offenders(there, each, clock.now())[0]] == []
        sign_in.sign_in(there, stored, Visitor(), "ada", PASSWORD)
        sign_in.sign_in(there, stored, Visitor(), "user1", PASSWORD)
    engine.dispose()
    again = import_text(stored, text, is_export=True)
    assert (again.created, again.unchanged) == (0, 5)


def test_a_preauthorization_keeps_its_app_its_roles_and_its_end_and_is_in_the_audit(
    import_: Import, db: Session
) -> None:
    now = clock.now()
    listed = [
        {"email": "kim@example.org", "client_id": "", "roles": [], "created_at": now - 9, "expires_at": None},
        {
            "email": "zoe@example.org",
            "client_id": "tea",
            "roles": ["editor"],
            "created_at": now,
            "expires_at": now + 60,
        },
    ]
    document = {"format": exporting.FORMAT, "version": 1, "accounts": [], "preauthorizations": listed}
    import_(json.dumps(document), is_export=True)
    assert list(exporting.export_preauthorizations(db)) == listed
    told = select(AuditEvent.client_id, AuditEvent.details).where(AuditEvent.event == "account:preauthorization:give")
    assert sorted(map(tuple, db.execute(told)), key=repr) == [
        ("tea", {"email": "zoe@example.org", "roles": ["editor"]}),
        (None, {"email": "kim@example.org", "roles": []}),
    ]


@pytest.mark.parametrize("page", [2, 3, 5])
def test_an_export_of_several_pages_has_everybody_once_in_order(
    import_: Import, db: Session, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(exporting, "_PAGE", page)
    import_(_people(5))
    assert [each["username"] for each in exporting.export_accounts(db)] == [f"user{n}" for n in range(5)]


def test_a_registration_that_waits_stays_behind_and_what_it_claimed_does_not(db: Session, make_user: Any) -> None:
    claimed = {
        "id": "x",
        "email": "a@example.org",
        "client_id": "",
        "roles": ["r"],
        "created_at": 1,
        "expires_at": None,
    }
    make_user("ada", is_email_verified=False, is_registration_pending=True, claimed_preauthorization=[claimed])
    make_user("bob", is_registration_pending=True)
    assert list(exporting.export_accounts(db)) == []
    del claimed["id"]
    assert list(exporting.export_preauthorizations(db)) == [claimed]


def test_an_id_that_is_somebody_elses(import_: Import, db: Session, make_user: Any) -> None:
    ada = make_user("ada")
    account = {"id": ada.id, "username": "bob", "email": "bob@example.org", "password": PASSWORD, "roles": "x"}
    report = import_(
        json.dumps({"format": exporting.FORMAT, "version": 1, "accounts": [account, {**account, "id": "no id"}]}),
        is_export=True,
    )
    assert (report.created, report.left_out) == (1, 1)
    assert Kind.NEW_ID in {each.kind for each in report.findings}
    assert users.get_user(db, "bob").id != ada.id


def test_an_id_that_the_file_has_twice(import_: Import, db: Session) -> None:
    """Two people are two accounts, and neither gets the other's roles."""
    people = ("ada", "bob")
    accounts = [
        {"id": "a" * 32, "username": name, "email": f"{name}@example.org", "password": HASH, "roles": [name]}
        for name in people
    ]
    report = import_(json.dumps({"format": exporting.FORMAT, "version": 1, "accounts": accounts}), is_export=True)
    assert report.created == 2
    assert [roles.roles_of(db, users.get_user(db, name).id) for name in people] == [["ada"], ["bob"]]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "no id"),
        ("updated_at", None),
        ("created_at", -1),
        ("created_at", True),
        ("created_at", 253_402_300_800),  # the year 10000
        ("disabled_at", "yesterday"),
        ("disabled_at", 10**20),
        ("website", "javascript:alert(1)"),
        ("website", 5),
        ("birthdate", "x" * 11),
        ("locale", "en\x00"),
        ("is_password_temporary", "yes"),
    ],
)
def test_details_that_no_column_takes(import_: Import, db: Session, key: str, value: Any) -> None:
    account = {"username": "bob", "email": "bob@example.org", "password_hash": HASH, key: value}
    text = json.dumps({"format": exporting.FORMAT, "version": 1, "accounts": [account]})
    report = import_(text, is_export=True)
    assert [(each.kind, each.told) for each in report.findings] == [(Kind.BAD_DETAIL, key)]
    assert report.created == 1


def test_what_is_null_says_nothing(import_: Import, db: Session) -> None:
    account = {
        "username": "bob",
        "email": "bob@example.org",
        "password_hash": HASH,
        "picture": None,
        "disabled_at": None,
    }
    report = import_(json.dumps({"format": exporting.FORMAT, "version": 1, "accounts": [account]}), is_export=True)
    assert (report.created, report.findings) == (1, [])


def test_what_is_made_here_is_taken_from_no_file(import_: Import, db: Session) -> None:
    made = {
        "username_key": "eve",
        "username_skeleton": "eve",
        "email_key": "eve@example.org",
        "is_registration_pending": True,
        "claimed_preauthorization": [],
    }
    account = {"username": "bob", "email": "bob@example.org", "password_hash": HASH, **made}
    report = import_(json.dumps({"format": exporting.FORMAT, "version": 1, "accounts": [account]}), is_export=True)
    assert set(report.dropped) == {(Kind.UNKNOWN_KEY, key) for key in made}
    bob = users.get_user(db, "bob")
    assert (bob.username_key, bob.email_key, bob.is_registration_pending) == ("bob", "bob@example.org", False)
