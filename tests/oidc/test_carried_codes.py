"""Codes that carry what was granted: what they show, and what ends them before they are redeemed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from idp.accounts import audit, passwords, sessions, users
from idp.accounts.visitor import OPERATOR
from idp.errors import ExpiredError
from idp.models import AuditEvent, AuthorizationGrant, BrowserSession, User
from idp.oidc import carried_codes, client_store, codes, consents, session_policy
from idp.oidc.authorization_request import AuthorizationRequest
from idp.storage import database
from tests.factories import PASSWORD
from tests.living_session import find_session_by_id
from tests.relying_party import decode, error_of, shown_error
from tests.waiting import at_that_moment

SECRET_KEY = "a secret key for tests"  # gitleaks:allow
GRANT = dict.fromkeys(carried_codes._FIELDS) | {"id": "0f" * 16, "user_id": "ada", "scope": "openid"}


def count_grants(db):
    """Count the rows."""
    db.rollback()
    return db.scalar(select(func.count()).select_from(AuthorizationGrant))


# -- What it is ------------------------------------------------------------------------------


def test_nothing_is_written_before_it_is_redeemed(rp, db, counted):
    rp.log_in()
    before = count_grants(db)
    with counted() as traffic:
        code = rp.ask(scope="openid profile").code
    assert count_grants(db) == before
    assert not [statement for statement in traffic.statements if not statement.startswith("SELECT")]
    rp.redeem(code)
    assert count_grants(db) == before + 1


def test_it_shows_nothing_of_what_it_carries(rp, ada):
    code = rp.authorize(nonce="n-0S6_WzA2Mj").code
    assert len(code) < 600  # an address stays short
    raw = decode(code.removeprefix(codes.PREFIX))
    for told in (ada.id, "n-0S6_WzA2Mj", "openid", rp.metadata.client_id):
        assert told.encode() not in raw


def test_the_same_grant_never_gives_the_same_code(rp):
    assert len({rp.authorize().code for _ in range(3)}) == 3


@given(st.data())
def test_altered_at_any_place_it_is_unknown(data):
    code = carried_codes.write(SECRET_KEY, "app", GRANT)
    place = data.draw(st.integers(0, len(code) - 2))  # the last character has bits that say nothing
    other = data.draw(st.sampled_from("ABCDEFabcdef0189-_").filter(lambda character: character != code[place]))
    assert carried_codes.read(SECRET_KEY, "app", code[:place] + other + code[place + 1 :]) is None


@given(st.text(max_size=200) | st.text("ABCDEFabcdef0189-_=", min_size=60, max_size=300))
def test_whatever_else_is_presented_is_unknown(presented):
    assert carried_codes.read(SECRET_KEY, "app", presented) is None


def test_it_says_nothing_to_another_client_or_instance():
    code = carried_codes.write(SECRET_KEY, "app", GRANT)
    assert carried_codes.read(SECRET_KEY, "app", code) == GRANT | {"client_id": "app"}
    assert carried_codes.read(SECRET_KEY, "app2", code) is None
    assert carried_codes.read(SECRET_KEY + "x", "app", code) is None


def test_another_list_of_what_it_carries_is_another_form():
    """Codes of the version before are under way during an upgrade: they must be unknown then, never misread."""
    told = (
        "user_id session_id code_epoch client_version scope claims nonce resources dpop_jkt redirect_uri code_challenge"
    )
    told += " code_expires_at auth_time acr amr is_offline expires_at"
    assert (carried_codes._PURPOSE, " ".join(carried_codes._FIELDS)) == ("authorization codes, form 1", told)


def test_what_is_too_much_to_carry_is_written_down(rp, db):
    code = rp.authorize(nonce="🔑" * 500).code
    assert len(code) < 60
    assert count_grants(db) == 1
    assert rp.redeem(code)


@pytest.mark.parametrize("rules", [{"max_concurrent_users": 5}, {"is_single_session": True}])
def test_an_app_with_rules_on_who_is_in_it_has_its_grants_written_down(relying_party, ada, db, rules):
    rp = relying_party(**rules)
    code = rp.authorize().code
    assert count_grants(db) == 1
    assert rp.redeem(code)


# -- What ends it before it is redeemed ---------------------------------------------------------


def refused(rp, code):
    """The token endpoint gives nothing for the code."""
    assert error_of(rp.request_tokens(code)) == "invalid_grant"


either_form = pytest.mark.parametrize("nonce", ["short", "🔑" * 500], ids=["carried", "written down"])


@either_form
def test_a_sign_out_does(rp, db, nonce):
    tokens = rp.log_in()
    code = rp.ask(scope="openid offline_access", nonce=nonce).code
    rp.log_out(tokens.id_token)
    before = count_grants(db)
    refused(rp, code)
    assert count_grants(db) == before


def test_an_account_that_is_disabled_does(rp, db, ada):
    code = rp.authorize().code
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    refused(rp, code)


def test_taking_back_what_the_app_was_allowed_does(stranger, db, ada):
    stranger.log_in()
    code = stranger.ask().code
    assert consents.withdraw_consent(db, OPERATOR, ada.id, stranger.metadata.client_id)
    db.commit()
    refused(stranger, code)
    assert stranger.log_in()  # and what is allowed anew is good


def test_so_it_does_where_nothing_had_been_redeemed(rp, db, ada):
    code = rp.authorize().code
    consents.withdraw_consent(db, OPERATOR, ada.id, rp.metadata.client_id)
    db.commit()
    refused(rp, code)


@either_form
def test_a_changed_password_does_though_the_session_goes_on(rp, db, settings, ada, nonce):
    """Somebody with a copy of the old cookie may have asked for the code."""
    rp.log_in()
    code = rp.ask(scope="openid", nonce=nonce).code
    session = db.scalars(select(BrowserSession)).one()
    passwords.change_password(
        db, settings, OPERATOR, ada.id, PASSWORD, "another fine password", keep_session=session.id
    )
    db.commit()
    refused(rp, code)


@pytest.mark.parametrize("change", [{"scopes": ("openid", "profile")}, {"client_name": "Another name"}])
def test_a_change_of_the_app_does(rp, db, settings, change):
    code = rp.authorize(claims='{"userinfo": {"email": null}}').code
    before = client_store.get_client(db, rp.metadata.client_id)
    client_store.update_client(db, settings, OPERATOR, before, replace(before, **change))
    db.commit()
    refused(rp, code)


def test_an_old_secret_is_refused_though_this_process_remembers_it(rp, db, settings):
    code = rp.authorize().code
    client_store.rotate_secret(db, settings, OPERATOR, rp.metadata.client_id)
    db.commit()
    response = rp.request_tokens(code)
    assert (response.status_code, response.json["error"]) == (401, "invalid_client")
    assert count_grants(db) == 0


def test_an_old_secret_is_refused_where_only_another_process_has_heard_of_the_new_one(rp, db, settings, app):
    remembered = app.extensions["idp_provider"].clients._kept
    rp.authorize()
    before = dict(remembered)
    client_store.rotate_secret(db, settings, OPERATOR, rp.metadata.client_id)
    db.commit()
    code = rp.ask().code  # of the other one
    remembered.update(before)
    assert rp.request_tokens(code).status_code == 401


def test_an_old_secret_ends_nothing_with_a_used_code(rp, db, settings):
    code = rp.authorize().code
    tokens = rp.redeem(code)
    client_store.rotate_secret(db, settings, OPERATOR, rp.metadata.client_id)
    db.commit()
    assert rp.request_tokens(code).status_code == 401
    assert rp.is_good(tokens)


@pytest.mark.parametrize("fault", [{"redirect_uri": None}, {"code_verifier": "short"}])
def test_an_old_secret_learns_nothing_else_that_is_wrong(rp, db, settings, fault):
    code = rp.authorize().code
    client_store.rotate_secret(db, settings, OPERATOR, rp.metadata.client_id)
    db.commit()
    assert rp.request_tokens(code, **fault).json["error"] == "invalid_client"
    assert db.scalars(select(AuditEvent).where(AuditEvent.event == audit.Event.CLIENT_AUTHENTICATION_REFUSED)).one()


def test_a_new_secret_is_no_wrong_one(rp, db, settings):
    code = rp.authorize().code
    rp.secret = client_store.rotate_secret(db, settings, OPERATOR, rp.metadata.client_id)
    db.commit()
    refused(rp, code)
    assert not db.scalars(select(AuditEvent).where(AuditEvent.event == audit.Event.CLIENT_AUTHENTICATION_REFUSED)).all()
    assert rp.redeem(rp.ask().code)


def test_another_app_of_the_same_id_does(rp, db, settings, make_client):
    used = rp.authorize().code
    tokens, verifier = rp.redeem(used), rp.verifier
    unused = rp.ask().code
    client_store.remove_client(db, OPERATOR, rp.metadata.client_id)
    db.commit()
    _, rp.secret = make_client(client_id=rp.metadata.client_id)
    refused(rp, unused)
    rp.verifier = verifier
    refused(rp, used)
    assert not rp.is_good(tokens)


def test_rules_on_who_is_in_the_app_do(rp, db, settings):
    code = rp.authorize().code
    before = client_store.get_client(db, rp.metadata.client_id)
    client_store.update_client(db, settings, OPERATOR, before, replace(before, max_concurrent_users=1))
    db.commit()
    refused(rp, code)


def test_a_code_that_was_used_betrays_a_thief_also_after_its_session(rp, db, ada):
    """Who may act while the person is away still holds tokens then."""
    rp.log_in()
    code = rp.ask(scope="openid offline_access").code
    tokens = rp.redeem(code)
    sessions.end_sessions(db, OPERATOR, ada.id, reason="signed_out")
    db.commit()
    assert rp.refresh(tokens.refresh_token)
    refused(rp, code)
    assert error_of(rp.request_refresh(tokens.refresh_token)) == "invalid_grant"


def test_an_account_that_is_gone_does(rp, db, ada):
    code = rp.authorize().code
    db.delete(db.get_one(User, ada.id))
    db.commit()
    refused(rp, code)


# -- Who ends something, and who redeems at that moment --------------------------------------------


ENDS = ["the session", "the consent", "a scope", "the password", "the account"]


@pytest.fixture
def under_way(what, settings, app, make_client, make_user, db):
    """A code of Ada's, and what ends it."""
    ada, (client, _) = make_user("ada"), make_client()
    session_id = sessions.start_session(db, settings, OPERATOR, ada.id)[1]
    db.commit()
    session = find_session_by_id(db, settings, session_id)
    provider = app.extensions["idp_provider"]
    # What outlives the session ends with password and account all the same.
    scopes = ("openid", "offline_access") if what in ("the password", "the account") else ("openid",)
    asked = AuthorizationRequest(client=client, redirect_uri=client.redirect_uris[0], scopes=scopes)
    code = codes.issue_code(db, provider, asked, session)
    db.commit()
    ends = {
        "the session": lambda own: sessions.end_session(own, OPERATOR, session_id, reason="signed_out"),
        "the consent": lambda own: consents.withdraw_consent(own, OPERATOR, ada.id, client.client_id),
        "a scope": lambda own: client_store.update_client(
            own, settings, OPERATOR, client, replace(client, scopes=("profile", "email"))
        ),
        "the password": lambda own: passwords.set_password(own, settings, OPERATOR, ada.id, "another fine password"),
        "the account": lambda own: users.disable_user(own, OPERATOR, ada.id),
    }

    def store(own):
        codes.write_grant(own, provider, asked, session, code=f"{codes.PREFIX}of a row", kind="code")

    return SimpleNamespace(
        ends=ends, redeem=codes.PresentedCode(provider.settings, code, client.client_id).claim, store=store
    )


@pytest.mark.parametrize("what", ENDS)
def test_who_redeems_while_it_ends_gets_nothing(settings, under_way, db, what):
    assert at_that_moment(settings, under_way.ends[what], under_way.redeem) is None
    assert count_grants(db) == 0


@pytest.mark.parametrize("what", ENDS)
@pytest.mark.parametrize("beginning", ["redeem", "store"])
def test_who_ends_it_while_it_is_redeemed_or_written_down_ends_what_came_of_it(
    settings, under_way, db, beginning, what
):
    at_that_moment(settings, getattr(under_way, beginning), under_way.ends[what])
    assert count_grants(db) == 1
    assert db.scalar(select(AuthorizationGrant.revoked_at)) is not None


@pytest.mark.parametrize("what", ENDS)
def test_a_code_is_not_written_down_while_that_ends_which_it_stands_on(settings, under_way, db, what):
    def store(own):
        with pytest.raises(ExpiredError):
            under_way.store(own)

    at_that_moment(settings, under_way.ends[what], store)
    assert count_grants(db) == 0


def test_who_took_their_consent_back_while_an_app_with_rules_asked_is_shown_so(
    relying_party, ada, settings, db, monkeypatch
):
    rp = relying_party(is_trusted=False, max_concurrent_users=5)
    rp.log_in()

    def meanwhile(*_):
        with database.open_session(settings) as own:
            consents.withdraw_consent(own, OPERATOR, ada.id, rp.metadata.client_id)

    with monkeypatch.context() as patch:
        patch.setattr(session_policy, "admit", meanwhile)
        assert shown_error(rp.send()).code == "expired"
    db.rollback()
    assert db.scalar(select(func.count()).where(AuthorizationGrant.revoked_at.is_(None))) == 0
    assert 'id="consent-allow"' in rp.follow(rp.send()).text
