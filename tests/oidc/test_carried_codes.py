"""Codes that carry what was granted: what they show, and what ends them before they are redeemed."""

import base64
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from idp import database
from idp.accounts import sessions, users
from idp.accounts.visitor import OPERATOR
from idp.models import AuthorizationGrant, User
from idp.oidc import carried_codes, client_store, codes, consents
from idp.oidc.authorization_request import AuthorizationRequest
from tests.relying_party import error_of

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
    carried = code.removeprefix(codes.PREFIX)
    raw = base64.urlsafe_b64decode(carried + "=" * (-len(carried) % 4))
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


def test_what_is_too_much_to_carry_is_written_down(rp, db):
    code = rp.authorize(nonce="é" * 500).code
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


def test_a_sign_out_does(rp, db):
    tokens = rp.log_in()
    code = rp.ask(scope="openid offline_access").code
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


def test_taking_a_scope_away_from_the_app_does(rp, db, settings):
    code = rp.authorize(scope="openid email").code
    before = client_store.get_client(db, rp.metadata.client_id)
    client_store.update_client(db, settings, OPERATOR, before, replace(before, scopes=("openid", "profile")))
    db.commit()
    refused(rp, code)


def test_an_account_that_is_gone_does(rp, db, ada):
    code = rp.authorize().code
    db.delete(db.get_one(User, ada.id))
    db.commit()
    refused(rp, code)


# -- Who ends something, and who redeems at that moment --------------------------------------------


@pytest.mark.parametrize("what", ["the session", "the consent"])
def test_whoever_ends_it_meanwhile_comes_before_or_after(settings, app, make_client, make_user, db, what):
    """No tokens come of what ended a moment ago: redeeming waits for the end, and then finds it."""
    ada, (client, _) = make_user("ada"), make_client()
    session_id = sessions.start_session(db, settings, OPERATOR, ada.id)[1]
    db.commit()
    session = sessions.find_session_by_id(db, settings, session_id)
    provider = app.extensions["idp_provider"]
    asked = AuthorizationRequest(client=client, redirect_uri=client.redirect_uris[0], scopes=("openid",))
    code = codes.issue_code(db, provider, asked, session)
    db.commit()
    claimed = []

    def redeem():
        with database.open_session(settings) as own:
            claimed.append(codes.claim_code(own, provider, code, client))

    thread = threading.Thread(target=redeem)
    with database.open_session(settings) as own:
        if what == "the session":
            sessions.end_session(own, OPERATOR, session_id, reason="signed_out")
        else:
            consents.withdraw_consent(own, OPERATOR, ada.id, client.client_id)
        thread.start()
        thread.join(0.3)
        assert claimed == []
    thread.join()
    assert claimed == [None]
    assert count_grants(db) == 0
