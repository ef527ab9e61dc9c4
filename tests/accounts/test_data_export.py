"""Everything about one person, for that person."""

import json

import pytest

from idp import crypto
from idp.accounts import audit, data_export, deletion, email_change, recovery, sign_in
from idp.accounts.audit import Event
from idp.accounts.profile import FIELDS
from idp.errors import NotFoundError
from idp.models import AuditEvent, AuthorizationGrant, Base, BrowserSession, Consent, MailMessage, OneTimeLink, User
from idp.oidc import consents
from tests.factories import EVERY_CLAIM, PASSWORD

# Tables with rows about a person, and the part of the export that shows them.
SHOWN = {
    "user": "account",
    "user_role": "roles",
    "browser_session": "sessions",
    "authorization_grant": "apps",
    "consent": "consents",
    "one_time_link": "links",
}


DELIVERY = ("attempts", "claimed_until", "next_attempt_at", "last_error")  # how the worker fared with a mail


def grant_of(user, client, session_id):
    proof = {"auth_time": 0, "acr": "", "amr": []}
    times = {"created_at": 0, "expires_at": 2**31}
    held = {"client_id": client.client_id, "user_id": user.id, "session_id": session_id}
    return AuthorizationGrant(id=crypto.new_id(), scope="openid", is_offline=False, **held, **proof, **times)


@pytest.fixture
def whole(db, settings, visitor, stranger, make_user, make_client):
    """What Ada gets, after this and that happened, to Bob as well, who is not her."""
    ada = make_user(roles=("admin", "member"), **EVERY_CLAIM)
    bob = make_user("bob", email="bob.is.secret@example.org")
    for user, who in ((ada, visitor), (bob, stranger)):
        _, session_id = sign_in.sign_in(db, settings, who, user.username, PASSWORD)
        recovery.request_password_reset(db, settings, who, user.username)
        client, _ = make_client(client_name=f"App of {user.username}")
        consents.give_consent(db, who, user.id, client.client_id, ("openid",))
        db.add(grant_of(user, client, session_id))
    deletion.request_deletion(db, settings, visitor, ada.id, PASSWORD)
    db.commit()
    return data_export.export_account(db, ada.id)


def test_it_holds_everything_and_is_json(whole):
    assert json.loads(json.dumps(whole)) == whole
    assert whole["account"]["username"] == "ada"
    assert whole["account"]["deletion_due_at"]
    assert whole["profile"]["birthdate"] == "1815-12-10"
    assert set(whole["profile"]) == set(FIELDS)
    assert whole["roles"] == ["admin", "member"]
    assert [each["address"] for each in whole["sessions"]] == ["192.0.2.7"]
    of_grant = {"client_id", "client_name", "scope", "session_id", "is_offline"}
    assert set(whole["apps"][0]) == of_grant | {"created_at", "expires_at", "revoked_at"}
    assert [each["client_name"] for each in (*whole["apps"], *whole["consents"])] == ["App of ada"] * 2
    assert sorted(each["kind"] for each in whole["mails"]) == ["account_deletion", "reset_password"]
    assert {"account:session:start", "account:recovery:request"} <= {each["event"] for each in whole["events"]}
    assert [(each["purpose"], each["email"]) for each in whole["links"]] == [("reset_password", "ada@example.org")]
    assert whole["older_attempts"] == 0


def test_it_holds_no_secret_and_no_digest(db, whole):
    text = json.dumps(whole)
    assert "sha256" not in text
    assert "_digest" not in text
    assert "_sealed" not in text
    assert db.query(User).filter_by(username="ada").one().password_hash not in text


def test_it_holds_nothing_of_others(whole):
    text = json.dumps(whole)
    assert "bob" not in text
    assert "198.51.100.9" not in text


def test_it_holds_no_mail_to_whoever_had_the_address_before(db, settings, visitor, stranger, make_user, clock, mailbox):
    def change(user, who, email):
        email_change.request_change(db, settings, who, user.id, email, PASSWORD)
        clock.advance(60)
        email_change.confirm_change(db, settings, who, mailbox.last("confirm_new_address").token)
        db.commit()

    ada, bob = make_user(email="desk@example.org"), make_user("bob", email="bob@example.org")
    recovery.request_password_reset(db, settings, visitor, "ada")
    change(ada, visitor, "ada@example.org")
    recovery.request_password_reset(db, settings, visitor, "ada")
    change(bob, stranger, "desk@example.org")
    recovery.remind_usernames(db, settings, stranger, "desk@example.org")
    audit.record(db, Event.SIGN_IN, visitor, user_id=ada.id)
    assert [each["kind"] for each in data_export.export_account(db, bob.id)["mails"]] == ["forgotten_usernames"]
    assert [each["kind"] for each in data_export.export_account(db, ada.id)["mails"]] == ["reset_password"]


def test_every_column_about_the_person_is_in_it_or_left_out_on_purpose(whole):
    left_out = {"password_hash", "username_key", "username_skeleton", "email_key", "claimed_preauthorization"}
    left_out.add("code_epoch")  # a count that says nothing about them
    shown = set(whole["account"]) | set(whole["profile"])
    assert set(User.__table__.columns.keys()) - shown == left_out


@pytest.mark.parametrize(
    ("part", "model", "left_out"),
    [
        ("sessions", BrowserSession, {"token_digest", "browser_digest"}),
        ("consents", Consent, set()),
        ("links", OneTimeLink, {"id", "token_digest", "binding", "email_key", "data"}),
        ("mails", MailMessage, {"id", "recipient", "body_sealed", *DELIVERY}),
        ("events", AuditEvent, {"id"}),
    ],
)
def test_so_is_every_column_of_what_belongs_to_them(whole, part, model, left_out):
    assert set(model.__table__.columns.keys()) - set(whole[part][0]) - {"user_id"} == left_out


def test_every_table_that_belongs_to_a_person_is_in_it(whole):
    belonging = {
        table.name
        for table in Base.metadata.sorted_tables
        if any(key.column.table.name == "user" for key in table.foreign_keys)
    }
    assert belonging <= set(SHOWN)
    assert set(SHOWN.values()) <= set(whole)


def test_of_attempts_that_failed_it_holds_the_latest_and_counts_the_others(db, visitor, make_user, monkeypatch):
    monkeypatch.setattr(data_export, "ATTEMPTS_SHOWN", 4)
    ada, bob = make_user(), make_user("bob")
    audit.record(db, Event.SIGN_IN, visitor, user_id=ada.id)
    for number in range(3):
        for whose in (ada, bob):
            audit.record(db, Event.SIGN_IN_REFUSED, visitor, user_id=whose.id, reason=f"reason {number}")
            audit.record(db, Event.SIGN_IN_THROTTLED, visitor, user_id=whose.id)
    audit.record(db, Event.CONSENT_GIVEN, visitor, user_id=ada.id)
    whole = data_export.export_account(db, ada.id)
    shown = [event["event"] for event in whole["events"] if event["event"] != "account:user:create"]
    latest = ["account:sign_in:refuse", "account:sign_in:throttle"] * 2
    assert shown == ["account:session:start", *latest, "account:consent:give"]
    assert [event["details"].get("reason") for event in whole["events"]][-5:-1] == ["reason 1", None, "reason 2", None]
    assert whole["older_attempts"] == 2


def test_there_must_be_an_account(db):
    with pytest.raises(NotFoundError):
        data_export.export_account(db, "0" * 32)
