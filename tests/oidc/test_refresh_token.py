"""Refresh tokens: rotation, detection of theft, and what ends them."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from idp import crypto
from idp.accounts import passwords, users
from idp.accounts.visitor import OPERATOR
from idp.clock import now
from idp.errors import NotReadyError
from idp.models import AuditEvent, AuthorizationGrant, RefreshToken
from idp.oidc import client_auth, token_status
from idp.oidc.grants import grant
from tests.relying_party import RelyingParty, error_of
from tests.waiting import at_that_moment

OFFLINE = "openid profile email offline_access"


def refused(response, error="invalid_grant"):
    """The token endpoint says no, in the right form."""
    assert response.status_code == 400, response.text
    assert error_of(response) == error


def test_each_use_gives_a_new_one(rp):
    first = rp.log_in(scope=OFFLINE)
    second = rp.refresh(first.refresh_token)
    third = rp.refresh(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert len({first.access_token, second.access_token, third.access_token}) == 3
    assert rp.userinfo(third)["name"] == "Ada Lovelace"


def test_only_its_digest_is_stored(rp, db):
    token = rp.log_in(scope=OFFLINE).refresh_token
    row = db.scalars(select(RefreshToken)).one()
    assert token not in {str(value) for value in vars(row).values()}


def test_those_of_one_time_lie_together(rp, db, clock):
    """An index of millions is then written and swept at one place, and not all over."""
    for _ in range(20):
        rp.log_in(scope=OFFLINE)
        clock.advance(1)
    digests = db.scalars(select(RefreshToken.token_digest).order_by(RefreshToken.created_at)).all()
    assert digests == sorted(digests)
    assert len(digests) == 20
    assert {len(each) for each in digests} == {64}


def test_another_time_in_it_makes_it_another(rp, clock):
    token = rp.log_in(scope=OFFLINE).refresh_token
    refused(rp.request_refresh(token.replace(f"{int(clock()):08x}", f"{int(clock()) + 1:08x}")))
    assert rp.refresh(token)


def test_beside_servers_of_an_earlier_version_they_have_its_form(make_app, settings, make_client, ada, db):
    app = make_app(replace(settings, authorization_codes="stored"))
    rp = RelyingParty(app.test_client(), settings.issuer, *make_client())
    token = rp.log_in(scope=OFFLINE).refresh_token
    assert len(token) == len("idp_rt_") + 43
    assert db.scalars(select(RefreshToken.token_digest)).one() == crypto.digest(token)
    db.rollback()
    assert rp.refresh(token)


def test_one_of_an_earlier_version_is_good(rp, db):
    """It has no time in it, and its whole digest is stored."""
    rp.log_in(scope=OFFLINE)
    earlier = "idp_rt_" + crypto.new_token()
    db.execute(update(RefreshToken).values(token_digest=crypto.digest(earlier)))
    db.commit()
    assert rp.refresh(earlier)


def test_the_id_token_is_about_the_same_sign_in(rp, clock):
    first = rp.log_in(scope=OFFLINE)
    clock.advance(100)
    second = rp.refresh(first.refresh_token)
    for name in ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr"):
        assert second.claims[name] == first.claims[name], name
    assert second.claims["iat"] == first.claims["iat"] + 100
    assert "nonce" in first.claims
    assert "nonce" not in second.claims


def test_reuse_ends_the_whole_family(rp, db):
    first = rp.log_in(scope=OFFLINE)
    second = rp.refresh(first.refresh_token)
    refused(rp.request_refresh(first.refresh_token))
    refused(rp.request_refresh(second.refresh_token))
    assert not rp.is_good(first)
    assert not rp.is_good(second)
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:refresh_token:reuse")).one()
    assert event.client_id == rp.metadata.client_id


def test_an_app_that_goes_on_with_a_used_token_writes_no_more(rp, db):
    first = rp.log_in(scope=OFFLINE)
    rp.refresh(first.refresh_token)
    for _ in range(3):
        refused(rp.request_refresh(first.refresh_token))
    assert len(db.scalars(select(AuditEvent).where(AuditEvent.event == "client:refresh_token:reuse")).all()) == 1


def test_reuse_spares_other_sign_ins(rp):
    other = rp.log_in(scope=OFFLINE)
    first = rp.log_in(scope=OFFLINE)
    rp.refresh(first.refresh_token)
    refused(rp.request_refresh(first.refresh_token))
    rp.refresh(other.refresh_token)


def test_less_may_be_asked_for(rp):
    first = rp.log_in(scope=OFFLINE)
    second = rp.refresh(first.refresh_token, scope="openid email")
    assert second.response["scope"] == "openid email"
    assert set(rp.userinfo(second)) == {"sub", "email", "email_verified"}
    assert rp.introspect(second.access_token)["scope"] == "openid email"


def test_less_once_is_not_less_for_ever(rp):
    """RFC 6749 section 6: the new refresh token has the scope of the old one."""
    second = rp.refresh(rp.log_in(scope=OFFLINE).refresh_token, scope="openid")
    third = rp.refresh(second.refresh_token)
    assert third.response["scope"] == OFFLINE


def test_without_openid_there_is_no_id_token(rp):
    second = rp.refresh(rp.log_in(scope=OFFLINE).refresh_token, scope="email")
    assert "id_token" not in second.response
    assert rp.request_userinfo(second.access_token).status_code == 403


@pytest.mark.parametrize("scope", ["openid address", "phone", "unknown", 'quo"te', "é"])
def test_more_is_refused_and_nothing_is_lost(rp, scope):
    first = rp.log_in(scope=OFFLINE)
    refused(rp.request_refresh(first.refresh_token, scope=scope), "invalid_scope")
    rp.refresh(first.refresh_token)


def test_another_client_neither_uses_nor_burns_one(rp, relying_party):
    first = rp.log_in(scope=OFFLINE)
    thief = relying_party()
    refused(thief.request_refresh(first.refresh_token))
    refused(thief.request_refresh(first.refresh_token))
    rp.refresh(first.refresh_token)


def test_another_client_cannot_end_a_family_by_showing_a_used_one(rp, relying_party):
    first = rp.log_in(scope=OFFLINE)
    second = rp.refresh(first.refresh_token)
    refused(relying_party().request_refresh(first.refresh_token))
    rp.refresh(second.refresh_token)


def test_it_expires_when_it_is_not_used(rp, clock, settings):
    first = rp.log_in(scope=OFFLINE)
    clock.advance(settings.refresh_token_lifetime - 1)
    second = rp.refresh(first.refresh_token)
    clock.advance(settings.refresh_token_lifetime)
    refused(rp.request_refresh(second.refresh_token))


def test_who_comes_too_late_with_one_is_taken_for_no_thief(relying_party, ada, clock, db):
    rp = relying_party(refresh_token_lifetime=50, access_token_lifetime=100)
    tokens = rp.log_in(scope=OFFLINE)
    clock.advance(50)
    refused(rp.request_refresh(tokens.refresh_token))
    assert rp.is_good(tokens)
    assert not db.scalars(select(AuditEvent).where(AuditEvent.event == "client:refresh_token:reuse")).all()


def test_a_client_has_its_own_lifetimes(relying_party, ada, clock):
    rp = relying_party(refresh_token_lifetime=50, access_token_lifetime=20, id_token_lifetime=30)
    first = rp.log_in(scope=OFFLINE)
    assert first.response["expires_in"] == 20
    assert first.claims["exp"] - first.claims["iat"] == 30
    clock.advance(20)
    assert not rp.is_good(first)
    clock.advance(30)
    refused(rp.request_refresh(first.refresh_token))


def test_its_grant_outlives_it(rp, db, clock, settings):
    """Nothing is swept before the tokens of a grant have expired; and few refreshes write to it."""
    tokens, seen = rp.log_in(scope=OFFLINE), []
    for _ in range(20):
        tokens = rp.refresh(tokens.refresh_token)
        db.rollback()
        seen.append(db.scalars(select(AuthorizationGrant.expires_at)).one())
        assert seen[-1] >= now() + settings.refresh_token_lifetime + settings.access_token_lifetime
        clock.advance(settings.access_token_lifetime)
    assert len(set(seen)) == 2  # as it was given, and once more


@pytest.fixture
def meanwhile(db, monkeypatch):
    """Let something happen once a token was read, and before it is claimed: when it is known who presents it."""

    def let(happen):
        def authenticate(*asked):
            client = client_auth.authenticate_client(*asked)
            happen(db)
            db.commit()
            return client

        monkeypatch.setattr(grant, "authenticate_client", authenticate)

    return let


def end_the_grant(db):
    token_status.revoke_grant(db, db.scalars(select(AuthorizationGrant.id)).one())


def test_one_whose_grant_ends_while_it_is_being_used_is_refused(rp, db, meanwhile):
    first = rp.log_in(scope=OFFLINE)
    meanwhile(end_the_grant)
    refused(rp.request_refresh(first.refresh_token))
    db.rollback()
    assert len(db.scalars(select(RefreshToken)).all()) == 1


def test_one_that_somebody_else_uses_while_it_is_being_used_is_refused(rp, meanwhile):
    first = rp.log_in(scope=OFFLINE)
    meanwhile(lambda db: db.execute(update(RefreshToken).values(claimed_at=1)))
    refused(rp.request_refresh(first.refresh_token))


def test_one_whose_grant_goes_while_it_is_being_used_is_refused(rp, meanwhile):
    first = rp.log_in(scope=OFFLINE)
    meanwhile(lambda db: db.execute(delete(AuthorizationGrant)))
    refused(rp.request_refresh(first.refresh_token))


def test_who_uses_one_while_its_grant_ends_waits_and_is_refused(rp, settings):
    first = rp.log_in(scope=OFFLINE)
    refused(at_that_moment(settings, end_the_grant, lambda _: rp.request_refresh(first.refresh_token)))


@pytest.mark.parametrize("token", ["unknown", "idp_rt_" + "a" * 43, "idp_rt_" + "a" * 51, "é", "x" * 10_000])
def test_an_unknown_one_is_refused(rp, token):
    refused(rp.request_refresh(token))


def test_a_missing_one_is_named(rp):
    response = rp.post("token_endpoint", grant_type="refresh_token")
    refused(response, "invalid_request")
    assert "refresh_token" in response.json["error_description"]


def test_an_access_token_is_no_refresh_token(rp):
    refused(rp.request_refresh(rp.log_in(scope=OFFLINE).access_token))


def test_it_survives_sign_out(rp):
    first = rp.log_in(scope=OFFLINE)
    rp.log_out(first.id_token)
    second = rp.refresh(first.refresh_token)
    assert second.claims["sid"] == first.claims["sid"]
    assert rp.is_good(second)


def test_it_survives_the_end_of_the_browser_session(rp, clock, settings):
    tokens = rp.log_in(scope=OFFLINE)
    for _ in range(3):
        clock.advance(settings.refresh_token_lifetime // 2)
        tokens = rp.refresh(tokens.refresh_token)
    assert clock() > tokens.claims["auth_time"] + settings.session_lifetime
    assert rp.is_good(tokens)


def test_a_changed_password_ends_it(rp, db, settings, ada):
    first = rp.log_in(scope=OFFLINE)
    passwords.set_password(db, settings, OPERATOR, ada.id, "another fine old password")
    db.commit()
    refused(rp.request_refresh(first.refresh_token))
    assert not rp.is_good(first)


def test_a_changed_password_ends_one_whose_session_was_over(rp, db, settings, ada):
    first = rp.log_in(scope=OFFLINE)
    rp.log_out(first.id_token)
    passwords.set_password(db, settings, OPERATOR, ada.id, "another fine old password")
    db.commit()
    refused(rp.request_refresh(first.refresh_token))


def test_a_disabled_account_ends_it_for_good(rp, db, ada):
    first = rp.log_in(scope=OFFLINE)
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    refused(rp.request_refresh(first.refresh_token))
    users.enable_user(db, OPERATOR, ada.id)
    db.commit()
    assert not rp.is_good(first)
    again = rp.log_in(scope=OFFLINE)
    refused(rp.request_refresh(first.refresh_token))
    assert rp.is_good(again)


def test_it_is_dead_at_once_however_the_account_was_disabled(rp, db, ada):
    tokens = rp.log_in(scope=OFFLINE)
    ada.disabled_at = 1
    db.commit()
    assert not rp.is_good(tokens)
    refused(rp.request_refresh(tokens.refresh_token))


def test_a_public_client_may_use_it(public_rp):
    second = public_rp.refresh(public_rp.log_in(scope=OFFLINE).refresh_token)
    assert public_rp.is_good(second)


def test_an_app_whose_tokens_die_with_the_session_gets_none(relying_party, ada):
    """Both at once cannot be: such an app asks for offline access in vain."""
    rp = relying_party(is_access_token_session_bound=True)
    tokens = rp.log_in(scope=OFFLINE)
    assert "refresh_token" not in tokens.response
    assert "offline_access" not in tokens.response["scope"]
    rp.log_out(tokens.id_token)
    assert not rp.is_good(tokens)


def test_the_access_token_that_it_gives_is_as_short_as_the_provider_says(settings, make_app, make_client, make_user):
    make_user("ada")
    app = make_app(replace(settings, access_token_lifetime=77))
    rp = RelyingParty(app.test_client(), settings.issuer, *make_client())
    assert rp.refresh(rp.log_in(scope=OFFLINE).refresh_token).response["expires_in"] == 77


def test_a_token_that_nobody_could_sign_for_is_good_for_another_try(rp, app, monkeypatch):
    """A client that is told 503 asks again with the same token; that is no second use, and ends nothing."""

    def refuse_to_sign(_algorithm):
        raise NotReadyError("There is no key.")

    tokens = rp.log_in(scope="openid offline_access")
    with monkeypatch.context() as broken:
        broken.setattr(app.extensions["idp_provider"], "signing_key", refuse_to_sign)
        assert rp.request_refresh(tokens.refresh_token).status_code == 503
    assert rp.is_good(rp.refresh(tokens.refresh_token))
