"""The authorization code: PKCE, one use, and what betrays a thief."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from idp.accounts import passwords
from idp.accounts.visitor import OPERATOR
from idp.errors import NotReadyError
from idp.models import AuditEvent, AuthorizationGrant
from idp.oidc import codes
from tests.factories import PASSWORD
from tests.relying_party import error_of, s256, shown_error

VERIFIER = "v" * 43


@pytest.fixture(params=["carried", "stored"])
def settings(settings, request):
    """Codes that carry what was granted, and such that are the name of a row."""
    return replace(settings, authorization_codes=request.param)


def refused(response, error="invalid_grant"):
    """The token endpoint says no, in the right form."""
    assert response.status_code == 400, response.text
    assert error_of(response) == error


# -- PKCE -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        {"token_endpoint_auth_method": "none", "redirect_uris": ("http://127.0.0.1/callback",)},
        {"is_pkce_required": True},
    ],
    ids=["public client", "client that was set to use it"],
)
def test_pkce_is_required_of(relying_party, ada, metadata):
    rp = relying_party(**metadata)
    assert rp.ask(code_challenge=None, code_challenge_method=None).error == "invalid_request"
    assert rp.log_in().claims["sub"] == ada.id


@pytest.mark.parametrize("method", ["plain", "s256", "S512", None])
def test_no_other_method_than_s256_is_accepted(rp, method):
    """Without a method the specification means plain (RFC 7636 section 4.3)."""
    assert rp.ask(code_challenge=VERIFIER, code_challenge_method=method).error == "invalid_request"


@pytest.mark.parametrize("challenge", ["short", "c" * 42, "c" * 44, "c" * 42 + "=", "c" * 42 + "é"])
def test_a_challenge_that_is_no_sha_256_is_refused(rp, challenge):
    assert rp.ask(code_challenge=challenge).error == "invalid_request"


def test_a_method_without_a_challenge_is_refused(rp):
    assert rp.ask(code_challenge=None).error == "invalid_request"


def test_a_missing_verifier_is_refused(rp):
    refused(rp.request_tokens(rp.authorize().code, code_verifier=None))


def test_a_verifier_without_a_challenge_is_a_downgrade_and_refused(rp):
    """RFC 9700 section 4.8.2: somebody took the challenge out of the authorization request."""
    code = rp.authorize(code_challenge=None, code_challenge_method=None).code
    refused(rp.request_tokens(code, code_verifier=VERIFIER))


def test_a_wrong_verifier_burns_the_code(rp):
    code = rp.authorize().code
    refused(rp.request_tokens(code, code_verifier=VERIFIER))
    refused(rp.request_tokens(code))


@pytest.mark.parametrize("verifier", ["short", "v" * 129, "v" * 42 + " ", "v" * 42 + "é"])
def test_a_verifier_of_the_wrong_form_is_refused_and_burns_nothing(rp, verifier):
    code = rp.authorize().code
    refused(rp.request_tokens(code, code_verifier=verifier), "invalid_request")
    rp.redeem(code)


def test_the_challenge_itself_is_no_verifier(rp):
    code = rp.authorize().code
    refused(rp.request_tokens(code, code_verifier=s256(rp.verifier)))


# -- One use, in time, by its own client -----------------------------------------


def test_a_code_expires(rp, clock, settings):
    code = rp.authorize().code
    clock.advance(settings.authorization_code_lifetime)
    refused(rp.request_tokens(code))


def test_a_code_is_good_until_it_expires(rp, clock, settings):
    code = rp.authorize().code
    clock.advance(settings.authorization_code_lifetime - 1)
    assert rp.request_tokens(code).status_code == 200


def test_reuse_ends_all_that_came_of_the_code(rp, db):
    code = rp.authorize(scope="openid offline_access").code
    tokens = rp.redeem(code)
    refused(rp.request_tokens(code))
    assert not rp.is_good(tokens)
    refused(rp.request_refresh(tokens.refresh_token))
    assert rp.introspect(tokens.access_token) == {"active": False}


def test_reuse_ends_what_was_refreshed_since(rp):
    code = rp.authorize(scope="openid offline_access").code
    later = rp.refresh(rp.redeem(code).refresh_token)
    refused(rp.request_tokens(code))
    assert not rp.is_good(later)
    refused(rp.request_refresh(later.refresh_token))


def test_reuse_is_committed_and_written_down(rp, db, ada):
    """The refusal is an error, but its evidence and its effect are in the database."""
    code = rp.authorize().code
    rp.redeem(code)
    for _ in range(3):  # only the first of these ends anything
        refused(rp.request_tokens(code))
    assert db.scalars(select(AuthorizationGrant.revoked_at)).one() is not None
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:code:reuse")).one()
    assert (event.user_id, event.client_id) == (ada.id, rp.metadata.client_id)


@pytest.mark.parametrize("verifier", [None, VERIFIER])
def test_a_used_code_without_its_verifier_ends_nothing(rp, db, verifier):
    """It is in logs and histories; the verifier is not."""
    code = rp.authorize().code
    tokens = rp.redeem(code)
    refused(rp.request_tokens(code, code_verifier=verifier))
    assert rp.is_good(tokens)
    assert not db.scalars(select(AuditEvent).where(AuditEvent.event == "client:code:reuse")).all()


def test_a_used_code_without_a_challenge_needs_no_verifier_to_end_all(rp):
    code = rp.authorize(code_challenge=None, code_challenge_method=None).code
    tokens = rp.read_tokens(rp.request_tokens(code, code_verifier=None), nonce=rp.nonce)
    refused(rp.request_tokens(code, code_verifier=None))
    assert not rp.is_good(tokens)


@pytest.mark.parametrize(("seconds", "status"), [(codes.REUSE_COUNTS_FOR - 1, 400), (codes.REUSE_COUNTS_FOR, 200)])
def test_reuse_counts_for_some_minutes_after_the_code_has_expired(rp, clock, settings, seconds, status):
    code = rp.authorize(scope="openid offline_access").code
    tokens = rp.redeem(code)
    clock.advance(settings.authorization_code_lifetime + seconds)
    refused(rp.request_tokens(code))
    assert rp.request_refresh(tokens.refresh_token).status_code == status


def test_a_code_that_comes_too_late_betrays_nobody(rp, db, clock, settings):
    code = rp.authorize().code
    clock.advance(settings.authorization_code_lifetime)
    refused(rp.request_tokens(code))
    assert not db.scalars(select(AuditEvent).where(AuditEvent.event == "client:code:reuse")).all()


def test_reuse_spares_other_sign_ins_of_the_same_person(rp):
    other = rp.log_in()
    code = rp.authorize().code
    rp.redeem(code)
    refused(rp.request_tokens(code))
    assert rp.is_good(other)


def test_another_client_neither_redeems_nor_burns_a_code(rp, relying_party):
    code = rp.authorize().code
    thief = relying_party()
    thief.verifier = rp.verifier
    refused(thief.request_tokens(code))
    refused(thief.request_tokens(code))
    tokens = rp.redeem(code)
    refused(thief.request_tokens(code))
    assert rp.is_good(tokens)


def test_a_client_that_fails_to_authenticate_does_not_burn_a_code(rp):
    code = rp.authorize().code
    secret, rp.secret = rp.secret, "not the secret at all"
    assert rp.request_tokens(code).status_code == 401
    rp.secret = secret
    rp.redeem(code)


@pytest.mark.parametrize("code", ["unknown", "idp_ac_" + "a" * 43, "é", "x" * 10_000])
def test_an_unknown_code_is_refused(rp, code):
    refused(rp.request_tokens(code))


def test_a_refused_client_registration_is_told_apart_from_a_bad_code(relying_party, ada):
    rp = relying_party(grant_types=("client_credentials",), redirect_uris=())
    refused(rp.request_tokens("any", redirect_uri="https://app.example.org/"), "unauthorized_client")


@pytest.mark.parametrize("missing", ["code", "redirect_uri", "grant_type"])
def test_a_missing_parameter_is_named_and_burns_nothing(rp, missing):
    code = rp.authorize().code
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": rp.redirect_uri}
    response = rp.post("token_endpoint", **{**form, "code_verifier": rp.verifier, missing: None})
    refused(response, "invalid_request")
    assert missing in response.json["error_description"]
    rp.redeem(code)


def test_an_unknown_grant_type_is_refused(rp):
    refused(rp.request_tokens("any", grant_type="password"), "unsupported_grant_type")


# -- The redirect URI -----------------------------------------------------------------


def test_the_redirect_uri_of_the_token_request_must_be_that_of_the_authorization_request(relying_party, ada):
    rp = relying_party(redirect_uris=("https://app.example.org/a", "https://app.example.org/b"))
    code = rp.authorize().code
    refused(rp.request_tokens(code, redirect_uri="https://app.example.org/b"))


def test_a_missing_redirect_uri_is_shown_even_if_only_one_is_registered(rp):
    error = shown_error(rp.send(redirect_uri=None))
    assert (error.code, error.parameter) == ("invalid_request", "redirect_uri")


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.org/callback/",
        "https://app.example.org/callback?x=1",
        "https://app.example.org/callback#x",
        "https://app.example.org:443/callback",
        "https://APP.example.org/callback",
        "http://app.example.org/callback",
        "https://app.example.org/callback/../callback",
        "https://app.example.org.evil.example/callback",
        "https://evil.example/https://app.example.org/callback",
        "//app.example.org/callback",
        "javascript:alert(1)",
        "https://app.example.org/callback\r\nSet-Cookie: a=b",
    ],
)
def test_redirect_uris_are_compared_to_the_letter(rp, uri):
    assert shown_error(rp.send(redirect_uri=uri)).parameter == "redirect_uri"


def test_a_registered_query_is_kept_and_added_to(relying_party, ada):
    rp = relying_party(redirect_uris=("https://app.example.org/callback?tenant=a%20b",))
    rp.log_in()  # read_answer checks that the query is kept


@pytest.mark.parametrize("port", [":49152", ":1", ""])
def test_a_public_client_may_vary_its_loopback_port(public_rp, port):
    public_rp.redirect_uri = f"http://127.0.0.1{port}/callback"
    public_rp.log_in()


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152/callback?x=1",
        "http://127.0.0.1:49152/callback#x",
        "http://localhost:49152/callback",
        "http://[::1]:49152/callback",
        "http://127.0.0.2:49152/callback",
        "https://127.0.0.1:49152/callback",
        "http://127.0.0.1:49152@evil.example/callback",
        "http://user@127.0.0.1:49152/callback",
        "http://127.0.0.1.evil.example:49152/callback",
        "http://127.0.0.1:١٢٣/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:123456/callback",
        "http://127.0.0.1:65536/callback",
    ],
)
def test_nothing_but_the_port_may_vary(public_rp, uri):
    assert shown_error(public_rp.send(redirect_uri=uri)).parameter == "redirect_uri"


def test_a_native_app_with_a_secret_may_vary_its_loopback_port(relying_party, ada):
    """RFC 8252 section 7.3 asks no more of it than that it is native: one that registers itself has a secret."""
    rp = relying_party(application_type="native", redirect_uris=("http://127.0.0.1/callback",))
    rp.redirect_uri = "http://127.0.0.1:49152/callback"
    rp.log_in()


def test_a_confidential_web_app_may_not_vary_its_port(relying_party, ada):
    rp = relying_party(redirect_uris=("http://127.0.0.1:8501/oauth2callback",))
    rp.log_in()
    error = shown_error(rp.send(redirect_uri="http://127.0.0.1:8502/oauth2callback"))
    assert error.parameter == "redirect_uri"


def test_a_private_scheme_is_answered_too(public_rp):
    public_rp.redirect_uri = "org.example.app:/callback"
    public_rp.log_in()


# -- What a code stands for may end before it is redeemed --------------------------------


@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
def test_a_code_dies_with_its_session(rp, scope):
    tokens = rp.log_in()
    code = rp.ask(scope=scope).code
    rp.log_out(tokens.id_token)
    refused(rp.request_tokens(code))


@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
def test_a_code_dies_with_the_password_though_its_session_goes_on(rp, db, settings, ada, scope):
    """Somebody with a copy of the cookie of before may have asked for it."""
    tokens = rp.log_in()
    code = rp.ask(scope=scope).code
    passwords.change_password(
        db, settings, OPERATOR, ada.id, PASSWORD, "another fine password", keep_session=tokens.claims["sid"]
    )
    db.commit()
    refused(rp.request_tokens(code))
    assert rp.is_good(tokens)


def test_no_refresh_token_without_offline_access(rp):
    assert "refresh_token" not in rp.log_in().response


def test_no_refresh_token_for_a_client_without_the_grant(relying_party, ada):
    rp = relying_party(grant_types=("authorization_code",))
    tokens = rp.log_in(scope="openid offline_access")
    assert "refresh_token" not in tokens.response
    assert "offline_access" not in tokens.response["scope"]


def test_a_scope_that_the_client_may_not_have_is_refused(relying_party, ada):
    rp = relying_party(scopes=("openid",))
    assert rp.ask(scope="openid email").error == "invalid_scope"


@pytest.mark.parametrize("scope", [None, "unknown", " "])
def test_a_request_for_no_scope_at_all_is_refused(rp, scope):
    assert rp.ask(scope=scope).error == "invalid_scope"


def test_unknown_scopes_are_ignored(rp):
    tokens = rp.log_in(scope="openid  calendar   email")
    assert tokens.response["scope"] == "openid email"


def test_a_client_without_the_code_grant_is_refused(relying_party, ada):
    rp = relying_party(grant_types=("client_credentials",))
    assert rp.ask().error == "unauthorized_client"


@pytest.mark.parametrize("response_type", ["token", "id_token", "code id_token", "code token", "CODE"])
def test_other_response_types_are_refused(rp, response_type):
    assert rp.ask(response_type=response_type).error == "unsupported_response_type"


def test_a_code_that_nobody_could_sign_for_is_good_for_another_try(rp, app, monkeypatch):
    """A client that is told 503 asks again with the same code; that is no second use."""

    def refuse_to_sign(_algorithm):
        raise NotReadyError("There is no key.")

    rp.log_in()
    code = rp.ask().code
    with monkeypatch.context() as broken:
        broken.setattr(app.extensions["idp_provider"], "signing_key", refuse_to_sign)
        assert rp.request_tokens(code).status_code == 503
    assert rp.is_good(rp.redeem(code))
