"""Each event is written by what it names, and no secret is ever written down."""

import logging
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, inspect, select, text, update

from idp import clock
from idp.accounts import (
    audit,
    deletion,
    email_change,
    email_verification,
    one_time_codes,
    passwords,
    preauthorization,
    profile,
    recovery,
    registration,
    roles,
    sessions,
    sign_in,
    users,
)
from idp.accounts.audit import Event
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR, SYSTEM, Visitor
from idp.cli import backup, export, restore
from idp.errors import InvalidInputError, RegistrationRefused, SignInRefused, Throttled
from idp.mail import messages, outbox, queue
from idp.models import LogoutNotice, MailMessage, SigningKey, User
from idp.oidc import backchannel, client_store, consents, initial_tokens, key_rotation
from idp.oidc.clients import DEVICE_CODE_GRANT
from idp.oidc.keys import ALGORITHMS
from tests import postgresql
from tests.factories import PASSWORD
from tests.web import page_driver

NEW = "seven purple elephants dancing"
WRONG = "wr0ng-but-memorable-guess"


class Stage:
    """What the actions below need."""

    def __init__(self, db, settings, visitor, make_user, make_client, relying_party):
        self.db, self.settings, self.visitor = db, settings, visitor
        self.make_user, self.make_client, self.relying_party = make_user, make_client, relying_party

    @property
    def ada(self):
        return users.find_user(self.db, "ada") or self.make_user()

    def start(self):
        return sessions.start_session(self.db, self.settings, self.visitor, self.ada.id)[1]

    def sign_in(self, password=PASSWORD):
        self.ada  # noqa: B018 - makes her
        return sign_in.sign_in(self.db, self.settings, self.visitor, "ada", password)

    def party(self, **metadata):
        self.ada  # noqa: B018 - makes her
        return self.relying_party(**metadata)


def disable(stage):
    users.disable_user(stage.db, OPERATOR, stage.ada.id)


def enable(stage):
    disable(stage)
    users.enable_user(stage.db, OPERATOR, stage.ada.id)


def refuse_registration(stage):
    closed = replace(stage.settings, registration="preauthorized")
    with pytest.raises(RegistrationRefused):
        registration.register(stage.db, closed, stage.visitor, Person("bob", "bob@example.org"), PASSWORD)


def change_password(stage, current=PASSWORD):
    ids = stage.ada.id, stage.start()
    passwords.change_password(stage.db, stage.settings, stage.visitor, ids[0], current, NEW, keep_session=ids[1])


def refuse_password_change(stage):
    with pytest.raises(InvalidInputError):
        change_password(stage, WRONG)


def refuse_sign_in(stage):
    with pytest.raises(SignInRefused):
        stage.sign_in(WRONG)


def throttle_sign_in(stage):
    stage.settings = replace(stage.settings, throttle_account_burst=1)
    refuse_sign_in(stage)
    with pytest.raises(Throttled):
        stage.sign_in()


def change_client(stage):
    before, _ = stage.make_client()
    client_store.update_client(stage.db, stage.settings, OPERATOR, before, replace(before, client_name="Other"))


def make_initial_token(stage):
    return initial_tokens.create_token(stage.db, OPERATOR, "Partner", uses=1, expires_at=clock.now() + 60)


def deny_consent(stage):
    party = stage.party(is_trusted=False)
    page = party.follow(party.send())
    page = party.follow(party.submit(page, "login-submit", username="ada", password=PASSWORD))
    answer = party.read_answer(party.follow(party.submit(page, "deny")))
    assert answer.error == "access_denied"


def refuse_client(stage):
    party = stage.party()
    party.secret = WRONG
    assert party.request_refresh("idp_rt_x").status_code == 401


def reuse_code(stage):
    party = stage.party()
    code = party.authorize().code
    party.redeem(code)
    assert party.request_tokens(code).status_code == 400


def reuse_refresh_token(stage):
    party = stage.party()
    tokens = party.log_in(scope="openid offline_access")
    party.refresh(tokens.refresh_token)
    assert party.request_refresh(tokens.refresh_token).status_code == 400


def revoke_token(stage):
    party = stage.party()
    assert party.post("revocation_endpoint", token=party.log_in().access_token).status_code == 200


def publish_keys(stage):
    for algorithm in ALGORITHMS:
        key_rotation.advance(stage.db, stage.settings, OPERATOR, algorithm, is_wanted=True)


def rotate_keys(stage):
    publish_keys(stage)
    stage.db.execute(update(SigningKey).where(SigningKey.state == "next").values(created_at=1))
    for algorithm in ALGORITHMS:
        key_rotation.advance(stage.db, stage.settings, OPERATOR, algorithm)


def remove_keys(stage):
    rotate_keys(stage)
    stage.db.execute(update(SigningKey).where(SigningKey.state == "retired").values(retired_at=1))
    key_rotation.remove_unneeded(stage.db, stage.settings, OPERATOR)


def answer_device(stage, button):
    party = stage.party(grant_types=(DEVICE_CODE_GRANT,), response_types=(), redirect_uris=(), scopes=("openid",))
    page_driver.sign_in(party.browser)
    codes = party.post("device_authorization_endpoint", scope="openid").json
    page = party.browser.get("/device", query_string={"user_code": codes["user_code"]})
    assert page_driver.press(party.browser, page, button).status_code == 303


def refuse_user_code(stage):
    party = stage.party()
    page_driver.sign_in(party.browser)
    assert party.browser.get("/device", query_string={"user_code": "BCDF-GHJK"}).status_code < 500


def token_of_last_mail(stage):
    body = stage.db.scalars(select(MailMessage.body_sealed).order_by(postgresql.as_written(stage.db))).all()[-1]
    return re.search(r"token=([\w-]{43})", outbox.open_body(stage.settings, body)[0])[1]


def register(stage):
    registration.register(stage.db, stage.settings, stage.visitor, Person("zoe", "zoe@example.org"), PASSWORD)


def expire_registration(stage):
    register(stage)
    stage.db.execute(update(User).values(created_at=1))
    registration.sweep_pending(stage.db, most=10)


def verify_address(stage):
    register(stage)
    email_verification.verify_address(stage.db, stage.visitor, token_of_last_mail(stage))


def request_address(stage, password=PASSWORD):
    new = "new@example.org"
    email_change.request_change(stage.db, stage.settings, stage.visitor, stage.ada.id, new, password)


def refuse_address(stage):
    with pytest.raises(InvalidInputError):
        request_address(stage, WRONG)


def call_off_address(stage):
    request_address(stage)
    email_change.call_off_change(stage.db, stage.visitor, stage.ada.id)


def change_address(stage):
    request_address(stage)
    token = re.search(
        r"token=([\w-]{43})",
        outbox.open_body(
            stage.settings,
            stage.db.scalars(select(MailMessage.body_sealed).where(MailMessage.kind == "confirm_new_address")).one(),
        )[0],
    )[1]
    email_change.confirm_change(stage.db, stage.settings, stage.visitor, token)


def request_reset(stage):
    stage.ada  # noqa: B018 - makes her
    recovery.request_password_reset(stage.db, stage.settings, stage.visitor, "ada")


def reset_password(stage):
    request_reset(stage)
    recovery.reset_password(stage.db, stage.settings, stage.visitor, token_of_last_mail(stage), NEW)


def request_deletion(stage, password=PASSWORD):
    deletion.request_deletion(stage.db, stage.settings, stage.visitor, stage.ada.id, password)


def refuse_deletion(stage):
    with pytest.raises(InvalidInputError):
        request_deletion(stage, WRONG)


def delete_account(stage):
    request_deletion(stage)
    stage.db.execute(update(User).values(deletion_due_at=1))
    deletion.delete_due(stage.db, most=10)


def revoke_deletion(stage):
    request_deletion(stage)
    deletion.revoke_deletion(stage.db, stage.visitor, stage.ada.id)


def send_code(stage):
    return one_time_codes.send_code(
        stage.db, stage.settings, stage.visitor, "password", "app", stage.ada.email, "Tea House"
    )


def withdraw_preauthorization(stage):
    preauthorize(stage)
    preauthorization.withdraw(stage.db, OPERATOR, "zoe@example.org")


def preauthorize(stage):
    preauthorization.preauthorize(stage.db, OPERATOR, "zoe@example.org")


def exceed_concurrent_users(stage):
    stage.make_user("bob")
    party = stage.party(max_concurrent_users=1)
    party.log_in()
    other = party.in_another_browser()
    assert other.authorize(username="bob").error == "access_denied"


def sign_in_elsewhere(stage):
    party = stage.party(is_single_session=True)
    party.log_in()
    party.in_another_browser().log_in()


def withdraw_consent(stage):
    party = stage.party(is_trusted=False)
    party.log_in()
    consents.withdraw_consent(stage.db, stage.visitor, stage.ada.id, party.metadata.client_id)


def give_up_telling(stage):
    client, _ = stage.make_client()
    told = {"id": "n", "client_id": client.client_id, "user_id": stage.ada.id, "session_id": "s", "attempts": 9}
    told |= {"created_at": 0, "claimed_until": 1}
    stage.db.execute(insert(LogoutNotice).values(**told, state="waiting", next_attempt_at=0))
    backchannel._finish(stage.db, backchannel.Claimed(**told), "it does not answer")


def give_up_mailing(stage):
    outbox.post(stage.db, stage.settings, messages.test_message(stage.settings, "en"), "zoe@example.org")
    queue.give_up(stage.db, queue.claim_next(stage.db, 60), "no such mailbox")


def export_accounts(stage):
    invoke(stage, export.command)


def invoke(stage, command, *arguments):
    stage.db.commit()
    environment = {
        "IDP_INSTANCE": str(stage.settings.instance),
        "IDP_SECRET_KEY": stage.settings.secret_key,
        "IDP_DATABASE_URL": stage.settings.database_url,
    }
    done = CliRunner(env=environment).invoke(command, arguments)
    assert done.exit_code == 0, done.output


def back_up(stage):
    invoke(stage, backup.command, str(stage.settings.instance / "backup.tar"))


def restore_backup(stage):
    back_up(stage)
    stage.db.close()
    stage.db.get_bind().dispose()  # a database in use is not replaced
    invoke(stage, restore.command, str(stage.settings.instance / "backup.tar"), "--force")


ACTIONS = {
    Event.LOGOUT_NOTICE_GIVEN_UP: give_up_telling,
    Event.MAIL_GIVEN_UP: give_up_mailing,
    Event.ACCOUNTS_EXPORTED: export_accounts,
    Event.BACKED_UP: back_up,
    Event.RESTORED: restore_backup,
    Event.ACCOUNT_DELETED: delete_account,
    Event.DELETION_REQUESTED: request_deletion,
    Event.DELETION_REVOKED: revoke_deletion,
    Event.DELETION_REFUSED: refuse_deletion,
    Event.REGISTRATION_EXPIRED: expire_registration,
    Event.PREAUTHORIZED: preauthorize,
    Event.PREAUTHORIZATION_WITHDRAWN: withdraw_preauthorization,
    Event.INVITED: lambda stage: preauthorization.invite(stage.db, stage.settings, OPERATOR, "zoe@example.org"),
    Event.ADDRESS_VERIFIED: verify_address,
    Event.ADDRESS_CHANGE_REQUESTED: request_address,
    Event.ADDRESS_CHANGE_REFUSED: refuse_address,
    Event.ADDRESS_CHANGE_REVOKED: call_off_address,
    Event.ADDRESS_CHANGED: change_address,
    Event.CONFIRMATION_RESENT: lambda stage: email_verification.resend(
        stage.db, stage.settings, stage.visitor, stage.make_user(is_email_verified=False).username
    ),
    Event.RECOVERY_REQUESTED: request_reset,
    Event.USERNAME_REMINDED: lambda stage: recovery.remind_usernames(
        stage.db, stage.settings, stage.visitor, stage.ada.email
    ),
    Event.PASSWORD_RESET: reset_password,
    Event.PASSWORD_ISSUED: lambda stage: recovery.issue_temporary_password(
        stage.db, stage.settings, stage.visitor, stage.ada.username
    ),
    Event.CODE_SENT: send_code,
    Event.CODE_REFUSED: lambda stage: one_time_codes.check_code(stage.db, stage.visitor, "x", "123456", "app"),
    Event.PROFILE_CHANGED: lambda stage: profile.update_profile(
        stage.db, stage.visitor, stage.ada.id, {"nickname": "Countess"}
    ),
    Event.CONSENT_WITHDRAWN: withdraw_consent,
    Event.CONCURRENT_USER_REFUSED: exceed_concurrent_users,
    Event.SINGLE_SESSION_ENFORCED: sign_in_elsewhere,
    Event.ACCOUNT_CREATED: lambda stage: stage.ada,
    Event.ACCOUNT_DISABLED: disable,
    Event.ACCOUNT_ENABLED: enable,
    Event.REGISTRATION_REFUSED: refuse_registration,
    Event.PASSWORD_CHANGED: change_password,
    Event.PASSWORD_CHANGE_REFUSED: refuse_password_change,
    Event.ROLES_CHANGED: lambda stage: roles.change_roles(stage.db, OPERATOR, stage.ada.id, add=["admin"]),
    Event.SIGN_IN: Stage.sign_in,
    Event.SIGN_IN_REFUSED: refuse_sign_in,
    Event.SIGN_IN_THROTTLED: throttle_sign_in,
    Event.SESSION_ENDED: lambda stage: sessions.end_session(
        stage.db, stage.visitor, stage.start(), reason="signed_out"
    ),
    Event.CONSENT_GIVEN: lambda stage: stage.party(is_trusted=False).log_in(),
    Event.CONSENT_DENIED: deny_consent,
    Event.CLIENT_CREATED: lambda stage: stage.make_client(),
    Event.CLIENT_CHANGED: change_client,
    Event.CLIENT_REMOVED: lambda stage: client_store.remove_client(
        stage.db, OPERATOR, stage.make_client()[0].client_id
    ),
    Event.INITIAL_TOKEN_CREATED: make_initial_token,
    Event.INITIAL_TOKEN_REMOVED: lambda stage: initial_tokens.remove_token(
        stage.db, OPERATOR, make_initial_token(stage)[0]
    ),
    Event.CLIENT_SECRET_ROTATED: lambda stage: client_store.rotate_secret(
        stage.db, stage.settings, OPERATOR, stage.make_client()[0].client_id
    ),
    Event.CLIENT_AUTHENTICATION_REFUSED: refuse_client,
    Event.CODE_REUSED: reuse_code,
    Event.REFRESH_TOKEN_REUSED: reuse_refresh_token,
    Event.TOKEN_REVOKED: revoke_token,
    Event.KEY_CREATED: publish_keys,
    Event.KEY_ROTATED: rotate_keys,
    Event.KEY_REVOKED: lambda stage: key_rotation.revoke_all(stage.db, stage.settings, OPERATOR),
    Event.KEY_REMOVED: remove_keys,
    Event.DEVICE_APPROVED: lambda stage: answer_device(stage, "device-allow"),
    Event.DEVICE_DENIED: lambda stage: answer_device(stage, "device-deny"),
    Event.USER_CODE_REFUSED: refuse_user_code,
}
OF_ALL_KEYS = {Event.KEY_CREATED, Event.KEY_ROTATED, Event.KEY_REVOKED, Event.KEY_REMOVED}
BY_THE_PROVIDER = {
    Event.ACCOUNT_DELETED,
    Event.REGISTRATION_EXPIRED,
    Event.LOGOUT_NOTICE_GIVEN_UP,
    Event.MAIL_GIVEN_UP,
}
ABOUT_NO_PERSON = {
    Event.ACCOUNTS_EXPORTED,
    Event.BACKED_UP,
    Event.RESTORED,
    Event.MAIL_GIVEN_UP,
    Event.PREAUTHORIZED,
    Event.PREAUTHORIZATION_WITHDRAWN,
    Event.INVITED,
    Event.CODE_REFUSED,
    Event.REGISTRATION_REFUSED,
    Event.CLIENT_CREATED,
    Event.CLIENT_CHANGED,
    Event.INITIAL_TOKEN_CREATED,
    Event.INITIAL_TOKEN_REMOVED,
    Event.CLIENT_REMOVED,
    Event.CLIENT_SECRET_ROTATED,
    Event.CLIENT_AUTHENTICATION_REFUSED,
    Event.REFRESH_TOKEN_REUSED,
    Event.TOKEN_REVOKED,
    *OF_ALL_KEYS,
}


@pytest.fixture
def stage(db, settings, visitor, make_user, make_client, relying_party):
    return Stage(db, settings, visitor, make_user, make_client, relying_party)


def test_there_is_an_action_for_every_event():
    assert set(ACTIONS) == set(Event)


@pytest.mark.parametrize("event", Event, ids=str)
def test_the_action_writes_its_event_once(stage, db, event):
    db.execute(text("DELETE FROM audit_event"))
    db.commit()
    ACTIONS[event](stage)
    db.commit()
    found = audit.list_events(db, event=event)
    assert len(found) == (len(ALGORITHMS) if event in OF_ALL_KEYS else 1)
    assert found[0].actor in (("system",) if event in BY_THE_PROVIDER else ("user", "operator"))
    assert (found[0].user_id is None) is (event in ABOUT_NO_PERSON)
    if event.startswith("client:"):
        assert found[0].client_id


def test_events_have_three_parts_and_are_distinct():
    assert all(len(event.split(":")) == 3 for event in Event)
    assert len(set(Event)) == len(Event.__members__)


def test_an_event_undone_with_its_transaction_leaves_nothing(db, make_user):
    ada = make_user()
    before = len(audit.list_events(db))
    users.disable_user(db, OPERATOR, ada.id)
    db.rollback()
    assert len(audit.list_events(db)) == before


def test_events_are_listed_newest_first_and_filtered(db, clock):
    db.execute(text("DELETE FROM audit_event"))
    for user_id in ("a" * 32, "b" * 32):
        for event in (Event.SIGN_IN, Event.SESSION_ENDED, Event.SIGN_IN_REFUSED):
            audit.record(db, event, SYSTEM, user_id=user_id)
            clock.advance(1)
    assert [event.user_id[0] for event in audit.list_events(db)] == list("bbbaaa")
    assert len(audit.list_events(db, limit=4)) == 4
    assert {event.event for event in audit.list_events(db, event="account:session")} == {
        "account:session:start",
        "account:session:end",
    }
    assert len(audit.list_events(db, event="account:session:end")) == 2
    assert audit.list_events(db, event="account:sess") == []
    assert audit.list_events(db, event="%") == []
    assert len(audit.list_events(db, user_id="a" * 32)) == 3
    assert len(audit.list_events(db, since=int(clock.time) - 2)) == 2


def test_an_event_says_who_acted_and_from_where(db, clock):
    audit.record(db, Event.SIGN_IN, Visitor("192.0.2.1", "x" * 5000), user_id="a" * 32, client_id="app", reason="why")
    shown = audit.as_dict(audit.list_events(db)[0])
    assert shown == {
        "at": int(clock.time),
        "event": "account:session:start",
        "actor": "user",
        "user_id": "a" * 32,
        "client_id": "app",
        "address": "192.0.2.1",
        "user_agent": "x" * 300,
        "details": {"reason": "why"},
    }


# -- No secrets ------------------------------------------------------------------------------


def everything_stored(db):
    tables = inspect(db.get_bind()).get_table_names()
    return {table: str(db.execute(text(f'SELECT * FROM "{table}"')).all()) for table in tables}


def test_no_secret_is_stored_or_logged_in_clear(stage, db, settings, caplog, make_client):
    caplog.set_level(logging.DEBUG)
    secrets = [PASSWORD, WRONG, NEW, settings.secret_key]
    party = stage.party(is_trusted=False)
    secrets.append(party.secret)
    # Wrong passwords, also in the field for the name, then the right one.
    page = party.follow(party.send(scope="openid offline_access account"))
    for username, password in (("ada", WRONG), (WRONG, PASSWORD)):
        page = party.submit(page, "login-submit", username=username, password=password)
        assert page.status_code == 422
    page = party.follow(party.submit(page, "login-submit", username="ada", password=PASSWORD))
    answer = party.read_answer(party.follow(party.submit(page, "consent-allow")))
    tokens = party.redeem(answer.code)
    refreshed = party.refresh(tokens.refresh_token)
    secrets += [answer.code, tokens.access_token, tokens.refresh_token, refreshed.access_token, refreshed.refresh_token]
    secrets += [tokens.response["id_token"], party.verifier]
    secrets += [cookie.value for cookie in party.browser._cookies.values()]
    # Reuse, revocation, a wrong client secret, an unknown token, a changed password.
    party.request_tokens(answer.code)
    party.request_refresh(tokens.refresh_token)
    party.post("revocation_endpoint", token=refreshed.access_token)
    party.request_userinfo("idp_at_" + WRONG)
    refuse_client(stage)
    change_password(stage)
    secrets.append(client_store.rotate_secret(db, settings, OPERATOR, party.metadata.client_id))
    db.commit()
    stored = everything_stored(db)
    assert len(stored) >= 12
    assert len(secrets) >= 15
    for secret in secrets:
        assert len(secret) > 20
        assert [table for table, rows in stored.items() if secret in rows] == []
        assert secret not in caplog.text


def test_nothing_a_person_types_as_name_reaches_the_audit(stage, db):
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, stage.settings, stage.visitor, WRONG, PASSWORD)
    db.commit()
    assert WRONG not in everything_stored(db)["audit_event"]


def test_a_redirect_carries_the_code_and_nothing_else_that_is_secret(stage, settings):
    party = stage.party()
    sent = party.send()
    page = party.follow(sent)
    answer = party.follow(party.submit(page, "login-submit", username="ada", password=PASSWORD))
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert set(query) == {"code", "state", "iss"}
    assert set(parse_qs(urlsplit(sent.headers["Location"]).query)) == {"i"}
