"""Every layout of streamlit-authenticator's configuration comes in, and its people can sign in."""

import json
import tomllib
from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts import roles, sign_in, users
from idp.accounts.visitor import Visitor
from idp.models import AuditEvent, Preauthorization, User
from idp.settings import Settings
from idp.transfer.candidates import split_name
from tests.transfer.conftest import HASH, PASSWORD, Import

LISTS = f"""
names: [Ada Lovelace, Bob]
usernames: [ada, bob]
passwords: ['{HASH}', '{HASH}']
emails: [ada@example.org, bob@example.org]
"""
NESTED_LISTS = "credentials:\n" + "".join(f"  {line}\n" for line in LISTS.strip().splitlines())
LAYOUT_2 = f"""
credentials:
  usernames:
    ada: {{email: ada@example.org, name: Ada Lovelace, password: '{HASH}'}}
    bob: {{email: bob@example.org, name: Bob, password: '{HASH}'}}
cookie: {{expiry_days: 30, key: some_key, name: some_cookie}}
preauthorized:
  emails: [melsby@example.org]
"""
LAYOUT_3 = f"""
credentials:
  usernames:
    ada:
      email: ada@example.org
      failed_login_attempts: 0
      logged_in: False
      name: Ada Lovelace
      password: {HASH}
      roles: [admin, editor]
    bob:
      email: bob@example.org
      failed_login_attempts: 2
      logged_in: True
      name: Bob
      password: {HASH}
pre-authorized:
  emails:
  - melsby@example.org
"""
LAYOUT_4 = f"""
api_key: null
cookie: {{expiry_days: 30, key: k, name: n}}
credentials:
  usernames:
    ada:
      email: ada@example.org
      failed_login_attempts: 0
      first_name: Ada
      last_name: Lovelace
      logged_in: false
      password: {HASH}
      password_hint: the usual horse
      roles: [admin, editor]
    bob:
      email: bob@example.org
      first_name: Bob
      last_name: ''
      password: {HASH}
      roles: null
      picture: https://example.org/bob.png
oauth2: {{google: {{client_id: x, client_secret: y}}}}
pre-authorized:
  emails: [melsby@example.org]
"""


@pytest.mark.parametrize(
    ("text", "layout"),
    [(LISTS, "0.1"), (NESTED_LISTS, "0.1"), (LAYOUT_2, "0.2"), (LAYOUT_3, "0.3"), (LAYOUT_4, "0.4")],
    ids=["lists", "nested lists", "0.2", "0.3", "0.4"],
)
def test_people_of_every_layout_can_sign_in(
    import_: Import, db: Session, settings: Settings, text: str, layout: str
) -> None:
    report = import_(text)
    assert (report.layout, report.found, report.created, report.is_complete) == (layout, 2, 2, True)
    ada, bob = users.get_user(db, "ada"), users.get_user(db, "bob")
    assert (ada.given_name, ada.family_name, ada.email) == ("Ada", "Lovelace", "ada@example.org")
    assert (bob.given_name, bob.family_name) == ("Bob", None)
    assert ada.email_verified_at is None
    if layout in ("0.3", "0.4"):
        assert roles.roles_of(db, ada.id) == ["admin", "editor"]
    listed = list(db.scalars(select(Preauthorization.email)))
    assert listed == ([] if layout == "0.1" else ["melsby@example.org"])
    for identifier in ("ada", "ADA", "Ada@example.org"):
        sign_in.sign_in(db, settings, Visitor(), identifier, PASSWORD)


def test_people_in_streamlits_secrets_come_in_as_json(import_: Import, db: Session, settings: Settings) -> None:
    """As the page about moving says: what else is there, such as a date, is in nobody's way."""
    secrets = f"""
since = 2024-02-29
[credentials.usernames.ada]
email = "ada@example.org"
name = "Ada Lovelace"
password = "{HASH}"
[cookie]
expiry_days = 30
"""
    report = import_(json.dumps(tomllib.loads(secrets), default=str))
    assert (report.created, report.is_complete) == (1, True)
    sign_in.sign_in(db, settings, Visitor(), "ada", PASSWORD)


def test_a_hash_is_verified_as_it_is_and_replaced_at_sign_in(import_: Import, db: Session, settings: Settings) -> None:
    import_(LAYOUT_2)
    assert users.get_user(db, "ada").password_hash == HASH
    sign_in.sign_in(db, settings, Visitor(), "ada", PASSWORD)
    db.commit()
    db.expire_all()
    fresh = users.get_user(db, "ada").password_hash
    assert fresh is not None
    assert not crypto.is_password_hash_outdated(fresh, settings.bcrypt_cost)
    assert crypto.verify_password(PASSWORD, fresh)
    import_(LAYOUT_2)  # a second import does not bring the old one back
    db.expire_all()
    assert users.get_user(db, "ada").password_hash == fresh


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_every_bcrypt_prefix(import_: Import, db: Session, settings: Settings, prefix: str) -> None:
    import_(LAYOUT_2.replace("$2b$", prefix))
    sign_in.sign_in(db, settings, Visitor(), "ada", PASSWORD)


def test_each_account_leaves_evidence(import_: Import, db: Session) -> None:
    """Of the roles that it came with, too: nothing else tells how somebody became an admin."""
    import_(LAYOUT_4)
    events = list(db.scalars(select(AuditEvent).where(AuditEvent.user_id.is_not(None))))
    assert [(each.event, each.actor, each.details["username"], each.details["roles"]) for each in events] == [
        ("account:user:create", "operator", "ada", ["admin", "editor"]),
        ("account:user:create", "operator", "bob", []),
    ]


def test_pictures_come_along(import_: Import, db: Session) -> None:
    import_(LAYOUT_4)
    assert users.get_user(db, "bob").picture == "https://example.org/bob.png"


def test_vouching(import_: Import, db: Session) -> None:
    import_(LAYOUT_2, is_vouched_for=True)
    assert all(user.email_verified_at for user in db.scalars(select(User)))


def test_text_is_taken_as_it_was_written(import_: Import, db: Session, settings: Settings) -> None:
    import_("credentials: {usernames: {no: {email: no@example.org, name: On Yes, password: 0123456789}}}")
    user = users.get_user(db, "no")
    assert (user.given_name, user.family_name) == ("On", "Yes")
    sign_in.sign_in(db, settings, Visitor(), "no", "0123456789")


def test_aliases_and_merged_mappings(import_: Import, db: Session) -> None:
    """PyYAML writes an alias wherever a program used one list for two users."""
    import_(
        f"""
credentials:
  usernames:
    ada: &ada {{email: ada@example.org, password: '{HASH}', roles: &id001 [editor]}}
    bob: {{<<: *ada, email: bob@example.org}}
    eve: {{email: eve@example.org, password: '{HASH}', roles: *id001}}
    mia: {{email: mia@example.org, password: '{HASH}', roles: !!python/tuple [editor]}}
"""
    )
    for name in ("ada", "bob", "eve", "mia"):
        assert roles.roles_of(db, users.get_user(db, name).id) == ["editor"]


def test_a_name_that_is_an_alias(import_: Import, db: Session) -> None:
    import_("preauthorized: {emails: []}\nx: &who bob\ncredentials: {usernames: {*who : {email: bob@example.org}}}")
    assert users.get_user(db, "bob").email == "bob@example.org"


def test_of_several_merged_mappings_the_first_one_decides(import_: Import, db: Session) -> None:
    """What stands in the mapping itself goes before all of them (YAML's merge keys, 2005)."""
    import_(
        f"""
x: [&first {{first_name: One, last_name: One}}, &second {{first_name: Two, email: two@example.org, roles: [editor]}}]
credentials: {{usernames: {{ada: {{<<: [*first, *second], last_name: Own, password: '{HASH}'}}}}}}
"""
    )
    ada = users.get_user(db, "ada")
    assert (ada.given_name, ada.family_name, ada.email) == ("One", "Own", "two@example.org")
    assert roles.roles_of(db, ada.id) == ["editor"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("roles: admin", ["admin"]),
        ("roles: 'admin, editor'", ["admin", "editor"]),
        ("role: admin", ["admin"]),
        ("roles: [admin, admin]", ["admin"]),
        ("roles: []", []),
        ("roles: null", []),
    ],
)
def test_roles_as_people_wrote_them(import_: Import, db: Session, written: str, expected: Sequence[str]) -> None:
    report = import_(f"credentials: {{usernames: {{ada: {{email: ada@example.org, password: '{HASH}', {written}}}}}}}")
    assert roles.roles_of(db, users.get_user(db, "ada").id) == expected
    assert report.is_complete


@pytest.mark.parametrize(
    "written",
    [
        "preauthorized: [a@example.org]",
        "pre-authorized: {emails: a@example.org}",
        "preauthorized: {emails: [a@example.org]}",
    ],
)
def test_preauthorized_as_people_wrote_it(import_: Import, db: Session, written: str) -> None:
    report = import_(f"credentials: {{usernames: {{}}}}\n{written}")
    assert report.preauthorizations_created == 1
    assert db.scalars(select(Preauthorization.email_key)).one() == "a@example.org"


@pytest.mark.parametrize(
    ("whole", "given", "family", "is_guess"),
    [
        ("", "", "", False),
        ("Ada", "Ada", "", False),
        ("Ada Lovelace", "Ada", "Lovelace", False),
        ("  Ada   Lovelace ", "Ada", "Lovelace", False),
        ("Lovelace, Ada", "Ada", "Lovelace", True),
        ("Ada King Lovelace", "Ada King", "Lovelace", True),
        ("Ludwig van Beethoven", "Ludwig", "van Beethoven", True),
        ("Johann Wolfgang von Goethe", "Johann Wolfgang", "von Goethe", True),
        ("Oscar de la Hoya", "Oscar", "de la Hoya", True),
        ("Van Morrison", "Van", "Morrison", False),
        ("Martin Luther King Jr.", "Martin Luther", "King Jr.", True),
        ("Martin King, Jr.", "Martin", "King Jr.", True),
        ("山田太郎", "山田太郎", "", False),
    ],
)
def test_names_are_split(whole: str, given: str, family: str, is_guess: bool) -> None:
    assert split_name(whole) == (given, family, is_guess)
