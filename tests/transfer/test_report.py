"""Every category of the report: what is told, and what becomes of the account."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.accounts import roles, users
from idp.models import Preauthorization, User
from idp.transfer.report import Kind, Report, Weight
from tests.transfer.conftest import HASH, PASSWORD, Import


def _file(**people: dict[str, Any]) -> str:
    """A configuration as JSON, which is YAML."""
    filled = {
        name: {"email": f"{name}@example.org", "password": HASH, **data} if isinstance(data, dict) else data
        for name, data in people.items()
    }
    return json.dumps({"credentials": {"usernames": filled}})


def _told(report: Report) -> list[tuple[Kind, str]]:
    return [(each.kind, each.subject) for each in report.findings]


def _count(db: Session) -> int:
    return db.scalars(select(func.count()).select_from(User)).one()


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ({"ada": None}, (Kind.BAD_ENTRY, "ada")),
        ({"ada": "text"}, (Kind.BAD_ENTRY, "ada")),
        ({"ada": {"email": ""}}, (Kind.MISSING_ADDRESS, "ada")),
        ({"ada": {"email": None}}, (Kind.MISSING_ADDRESS, "ada")),
        ({"ada": {"email": ["x"]}}, (Kind.MISSING_ADDRESS, "ada")),
        ({"ada": {"email": "nonsense"}}, (Kind.BAD_ADDRESS, "ada")),
        ({"---": {"email": "a@example.org"}}, (Kind.BAD_USERNAME, "---")),
        ({"аda": {"email": "a@example.org"}}, (Kind.BAD_USERNAME, "аda")),  # a Cyrillic letter first
    ],
)
def test_entries_that_cannot_come_in(
    import_: Import, db: Session, people: dict[str, Any], told: tuple[Kind, str]
) -> None:
    report = import_(_file(**people))
    assert _told(report) == [told]
    assert (report.found, report.created, report.left_out) == (1, 0, 1)
    assert not report.is_complete
    assert _count(db) == 0


@pytest.mark.parametrize(
    ("first", "second", "kind", "who"),
    [
        ({"Ada": {}}, {"ada": {"email": "b@example.org"}}, Kind.DUPLICATE_USERNAME, "Ada"),  # the last could sign in
        ({"straße": {}}, {"strasse": {"email": "b@example.org"}}, Kind.DUPLICATE_USERNAME, "strasse"),
        ({"ada": {}}, {"eve": {"email": "ADA@Example.org"}}, Kind.DUPLICATE_ADDRESS, "eve"),
        ({"paul": {}}, {"pauI": {"email": "b@example.org"}}, Kind.LOOK_ALIKE, "pauI"),
        ({"a b": {"email": "a@example.org"}}, {"a.b": {}}, Kind.DUPLICATE_USERNAME, "a.b"),
    ],
)
def test_entries_that_exclude_each_other(
    import_: Import, db: Session, first: dict[str, Any], second: dict[str, Any], kind: Kind, who: str
) -> None:
    report = import_(_file(**first, **second))
    assert (kind, who) in _told(report)
    assert (report.created, report.left_out) == (1, 1)
    assert _count(db) == 1


def test_a_list_in_which_somebody_stands_twice_or_has_no_name(import_: Import, db: Session) -> None:
    emails = [f"{name}@example.org" for name in ("ada", "other", "nobody", "bob")]
    lists = {"usernames": ["ada", "ada", ["x"], "bob"], "passwords": [HASH] * 4, "emails": emails}
    report = import_(json.dumps({"credentials": lists}))
    assert (report.found, report.created, report.left_out) == (4, 2, 2)
    assert _told(report) == [(Kind.DUPLICATE_USERNAME, "ada"), (Kind.BAD_ENTRY, "entry 3")]
    assert [users.get_user(db, name).email for name in ("ada", "bob")] == ["ada@example.org", "bob@example.org"]


def test_accounts_that_were_there_first(import_: Import, db: Session, make_user: Any) -> None:
    make_user("ada")
    make_user("bob", email="bob@elsewhere.example")
    make_user("paul")
    make_user("sue")
    report = import_(_file(sue={}, bob={}, ava={"email": "ada@example.org"}, pauI={"email": "p@example.org"}, eve={}))
    assert (report.unchanged, report.created, report.left_out) == (1, 1, 3)
    assert _told(report) == [
        (Kind.USERNAME_TAKEN, "bob"),
        (Kind.ADDRESS_TAKEN, "ava"),
        (Kind.LOOK_ALIKE, "pauI"),
    ]
    db.expire_all()
    assert users.get_user(db, "bob").email == "bob@elsewhere.example"


def test_names_and_addresses_are_compared_with_each_other(import_: Import, db: Session, make_user: Any) -> None:
    """Who moves to an address that is too long for a user name keeps the old one as such."""
    make_user("ada")
    eve = make_user("eve@example.org", email="eve@example.org")
    eve.email = eve.email_key = "eve@elsewhere.example"
    db.commit()
    report = import_(_file(**{"ada@example.org": {"email": "ada@example.org"}, "eva": {"email": "eve@example.org"}}))
    assert (report.unchanged, report.created, report.left_out) == (1, 0, 1)
    assert _told(report) == [(Kind.ADDRESS_TAKEN, "eva")]


def test_a_registration_that_waits_is_in_the_way(import_: Import, db: Session, make_user: Any) -> None:
    """Whoever registers with a stranger's name and address must not keep the stranger's account out unseen."""
    make_user("ada", is_email_verified=False, is_registration_pending=True)
    report = import_(_file(ada={}, bob={}))
    assert _told(report) == [(Kind.REGISTRATION_PENDING, "ada")]
    assert (report.created, report.unchanged, report.left_out) == (1, 0, 1)


def test_a_user_name_that_is_an_address(import_: Import, db: Session) -> None:
    report = import_(_file(**{"guest@example.org": {"email": ""}, "eve@old.example": {"email": "eve@example.org"}}))
    assert _told(report) == [(Kind.ADDRESS_MADE, "guest@example.org"), (Kind.RENAMED, "eve@old.example")]
    assert users.get_user(db, "guest@example.org").username == "guest@example.org"
    assert users.get_user(db, "eve@example.org").username == "eve.old.example"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ada lovelace", "ada.lovelace"),
        ("ada!!", "ada"),
        ("(ada) b", "ada.b"),
        ("x" * 70, "x" * 64),
        ("ada ", "ada"),
        ("हिन्दी राम", "हिन्दी.राम"),
    ],
)
def test_names_that_break_a_rule_are_mended(import_: Import, db: Session, old: str, new: str) -> None:
    report = import_(_file(**{old: {"email": "ada@example.org"}}))
    assert users.get_user(db, "ada@example.org").username == new
    assert report.is_complete
    assert _told(report) == ([] if old == "ada " else [(Kind.RENAMED, old)])
    again = import_(_file(**{old: {"email": "ada@example.org"}}))
    assert (again.created, again.unchanged) == (0, 1)


def test_addresses_made_of_user_names(import_: Import, db: Session) -> None:
    report = import_(_file(**{"ada b": {"email": ""}}), email_domain="example.org")
    assert (Kind.ADDRESS_MADE, "ada b") in _told(report)
    assert users.get_user(db, "ada.b").email == "ada.b@example.org"
    import_(_file(**{"eve@elsewhere.example": {"email": ""}}), email_domain="example.org")
    assert users.get_user(db, "eve@elsewhere.example"), "who has an address needs none"


@pytest.mark.parametrize(
    "password",
    [
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaGhhc2hoYXNo",
        "pbkdf2:sha256:600000$salt$0123456789abcdef",
        HASH.replace("$04$", "$31$"),
        HASH.replace("$04$", "$99$"),
        HASH[:-1],
        HASH[:28] + "A" + HASH[29:],  # such a salt ends where bcrypt ends none
        "x" * 2000,
    ],
    ids=["argon2", "pbkdf2", "cost of days", "cost out of range", "too short", "impossible salt", "too long"],
)
def test_passwords_that_cannot_come_along(import_: Import, db: Session, password: str) -> None:
    report = import_(_file(ada={"password": password}))
    assert _told(report) == [(Kind.UNUSABLE_PASSWORD, "ada")]
    assert users.get_user(db, "ada").password_hash is None
    assert not report.is_complete
    assert password not in repr(report)


def test_plain_text_passwords_are_hashed_and_never_shown(import_: Import, db: Session) -> None:
    report = import_(_file(ada={"password": PASSWORD}, bob={}))
    assert _told(report) == [(Kind.PLAIN_TEXT_PASSWORD, "ada")]
    stored = users.get_user(db, "ada").password_hash
    assert stored is not None
    assert stored.startswith("sha256$2b$04$")
    assert None not in db.scalars(select(User.password_changed_at)).all()
    assert report.is_complete
    assert PASSWORD not in json.dumps(report.as_dict()) + repr(report)
    assert HASH not in json.dumps(report.as_dict()) + repr(report)


def test_guests_have_no_password(import_: Import, db: Session) -> None:
    report = import_(_file(ada={"password": None}))
    assert _told(report) == [(Kind.NO_PASSWORD, "ada")]
    user = users.get_user(db, "ada")
    assert (user.password_hash, user.password_changed_at) == (None, None)


def test_what_is_lost_of_a_person_is_told(import_: Import, db: Session) -> None:
    report = import_(
        _file(
            ada={
                "first_name": "<b>",
                "last_name": "x" * 200,
                "roles": ["admin", "super user", ["nested"], "x" * 65],
                "picture": "javascript:alert(1)",
                "password_hint": "horse",
                "logged_in": "true",
                "favourite_colour": "red",
            }
        )
    )
    assert [kind for kind, _ in _told(report)] == [
        Kind.BAD_ROLE,
        Kind.BAD_NAME,
        Kind.BAD_NAME,
        Kind.BAD_DETAIL,
        Kind.BAD_ROLE,
        Kind.BAD_ROLE,
    ]
    assert {(kind, key) for kind, key in report.dropped} == {
        (Kind.HINT, "password_hint"),
        (Kind.OTHER_SYSTEM, "logged_in"),
        (Kind.UNKNOWN_KEY, "favourite_colour"),
    }
    assert "horse" not in json.dumps(report.as_dict())
    user = users.get_user(db, "ada")
    assert (user.given_name, user.family_name, user.picture) == (None, None, None)


def test_a_key_that_many_have_is_told_with_their_number_and_the_first_of_them(import_: Import) -> None:
    document = json.loads(_file(**{name: {"shoe_size": 38} for name in ("ada", "bob", "eve", "zoe")}))
    document["motto"] = "of nobody"
    report = import_(json.dumps(document))
    assert report.as_dict()["findings"] == []
    assert report.as_dict()["dropped"] == [
        {"kind": "unknown_key", "key": "shoe_size", "count": 4, "examples": ["ada", "bob", "eve"]},
        {"kind": "unknown_key", "key": "motto", "count": 1, "examples": []},
    ]


def test_guessed_names_are_told(import_: Import) -> None:
    report = import_(_file(ada={"name": "Ada King Lovelace"}, bob={"name": "Bob Builder"}))
    assert _told(report) == [(Kind.NAME_SPLIT, "ada")]


def test_preauthorizations(import_: Import, db: Session, make_user: Any) -> None:
    make_user("eve")
    document = json.loads(_file(ada={}))
    listed = ["New@example.org", "new@EXAMPLE.org", "eve@example.org", "ADA@example.org", "nonsense", ["x"], None]
    document["pre-authorized"] = {"emails": listed}
    report = import_(json.dumps(document))
    assert (report.preauthorizations_found, report.preauthorizations_created) == (7, 1)
    assert sorted(_told(report), key=str) == sorted(
        [
            (Kind.BAD_PREAUTHORIZATION, "pre-authorized"),
            (Kind.BAD_PREAUTHORIZATION, "pre-authorized"),
            (Kind.BAD_PREAUTHORIZATION, "nonsense"),
            (Kind.PREAUTHORIZATION_USED, "eve@example.org"),
            (Kind.PREAUTHORIZATION_USED, "ADA@example.org"),
        ],
        key=str,
    )
    assert db.scalars(select(Preauthorization.email)).one() == "New@example.org"
    again = import_(json.dumps(document))
    assert (again.preauthorizations_created, again.preauthorizations_unchanged) == (0, 2)


def test_a_registration_that_waits_takes_no_preauthorization_away(import_: Import, db: Session, make_user: Any) -> None:
    """It may be a stranger's, and end with nobody's account."""
    make_user("zoe", is_email_verified=False, is_registration_pending=True)
    report = import_(json.dumps({**json.loads(_file()), "preauthorized": ["zoe@example.org"]}))
    assert (report.preauthorizations_created, report.findings) == (1, [])


def test_entries_of_an_export_that_are_none(import_: Import, db: Session) -> None:
    bob = {"username": "bob", "email": "bob@example.org", "password": PASSWORD, "roles": ["editor", 5]}
    invited = {"email": "zoe@example.org"}
    faulty = [5, {}, {**invited, "client_id": "x" * 129}, {**invited, "client_id": 5}, {**invited, "expires_at": -1}]
    document = {
        "format": "streamlit-idp accounts",
        "version": 1,
        "accounts": [5, {"email": "ada@example.org"}, {"username": 5}, bob],
        "preauthorizations": [*faulty, {**invited, "client_id": "x" * 128, "roles": ["editor"]}],
    }
    report = import_(json.dumps(document), is_export=True)
    assert (report.found, report.created, report.left_out) == (4, 1, 3)
    assert (report.preauthorizations_found, report.preauthorizations_created) == (6, 1)
    kinds = [Kind.BAD_ENTRY] * 3 + [Kind.BAD_ROLE, Kind.PLAIN_TEXT_PASSWORD] + [Kind.BAD_PREAUTHORIZATION] * 5
    assert [each.kind for each in report.findings] == kinds
    assert roles.roles_of(db, users.get_user(db, "bob").id) == ["editor"]
    assert db.scalars(select(Preauthorization.roles)).one() == ["editor"]


def test_a_dry_run_tells_the_same_and_writes_nothing(import_: Import, db: Session, make_user: Any) -> None:
    make_user("bob", email="bob@elsewhere.example")
    text = _file(**{"ada": {"password": PASSWORD}, "bob": {}, "a b": {"email": "ab@example.org"}, "eve": {"email": ""}})
    listed = ["zoe@example.org", "kim@example.org", "ZOE@example.org", "ada@example.org"]
    text = json.dumps({**json.loads(text), "preauthorized": listed})
    dry = import_(text, is_dry_run=True)
    assert (dry.preauthorizations_created, dry.preauthorizations_unchanged) == (2, 1)
    assert _count(db) == 1
    real = import_(text)
    assert {**dry.as_dict(), "dry_run": False} == real.as_dict()


def test_every_kind_is_explained_once() -> None:
    assert len({kind.code for kind in Kind}) == len(Kind)
    assert all(kind.meaning.endswith((".", ")")) for kind in Kind)
    assert {kind.weight for kind in Kind} == set(Weight)
