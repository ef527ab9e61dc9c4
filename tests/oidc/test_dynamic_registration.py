"""Software that registers itself: what it gets, what it is refused, what it never reaches (RFC 7591, RFC 7592)."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp import clock as provider_clock
from idp import crypto, worker
from idp.accounts import throttle
from idp.accounts.visitor import OPERATOR
from idp.models import AuditEvent, AuthorizationGrant, Client, InitialAccessToken
from idp.oidc import client_store, initial_tokens
from idp.oidc.clients import DEVICE_CODE_GRANT
from idp.oidc.self_description import SCOPES
from idp.settings import Settings
from idp.storage import database
from tests.at_once import at_once
from tests.oidc.registering import (
    CALLBACK,
    ENDPOINT,
    ask_to_register,
    bearer,
    manage,
    party,
    refused,
    registered,
)
from tests.web.page_driver import words

DAY = 86_400


@pytest.fixture
def open_app(settings: Settings, make_app: Callable[[Settings], Flask]) -> Flask:
    """A provider where anyone may register an app."""
    return make_app(replace(settings, dynamic_registration="open"))


@pytest.fixture
def token_app(settings: Settings, make_app: Callable[[Settings], Flask]) -> Flask:
    """A provider where an initial access token is needed."""
    return make_app(replace(settings, dynamic_registration="token"))


@pytest.fixture
def initial_token(db: Session) -> Callable[..., str]:
    """Make an initial access token."""

    def make(uses: int | None = 1, lifetime: int = DAY) -> str:
        expires_at = provider_clock.now() + lifetime
        _, token = initial_tokens.create_token(db, OPERATOR, "Partner", uses=uses, expires_at=expires_at)
        db.commit()
        return token

    return make


def count_of_clients(db: Session) -> int:
    db.rollback()
    return db.scalar(select(func.count()).select_from(Client)) or 0


# -- What comes of it -----------------------------------------------------------------------


def test_what_is_not_said_is_what_the_specification_has(open_app: Flask) -> None:
    told = registered(open_app)
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["grant_types"] == ["authorization_code"]
    assert told["response_types"] == ["code"]
    assert told["application_type"] == "web"
    assert told["id_token_signed_response_alg"] == "RS256"
    assert told["subject_type"] == "public"
    assert told["require_auth_time"] is False
    assert told["client_name"] == "app.example.org"
    assert told["scope"] == "openid profile email address phone"
    assert told["client_id_issued_at"] <= provider_clock.now()
    assert len(told["client_secret"]) >= 43


def test_what_is_said_is_kept_and_told(open_app: Flask) -> None:
    said = {
        "client_name": "Horoscope",
        "application_type": "web",
        "contacts": ["ada@example.org"],
        "client_uri": "https://app.example.org/",
        "logo_uri": "https://app.example.org/logo.png",
        "policy_uri": "https://app.example.org/privacy",
        "tos_uri": "https://app.example.org/terms",
        "jwks_uri": "https://app.example.org/jwks",
        "default_max_age": 3600,
        "require_auth_time": True,
        "default_acr_values": ["urn:example:acr"],
        "initiate_login_uri": "https://app.example.org/login",
        "request_uris": ["https://app.example.org/request"],
        "post_logout_redirect_uris": ["https://app.example.org/"],
        "backchannel_logout_uri": "https://app.example.org/bye",
        "backchannel_logout_session_required": True,
        "frontchannel_logout_uri": "https://app.example.org/front",
        "frontchannel_logout_session_required": True,
        "software_id": "horoscope",
        "software_version": "1.0",
        "id_token_signed_response_alg": "ES256",
        "request_object_signing_alg": "RS256",
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid email offline_access",
    }
    told = registered(open_app, **said)
    assert {name: told[name] for name in said} == said
    assert manage(open_app, told).json == {k: v for k, v in told.items() if k != "client_secret"}


def test_what_is_not_known_is_passed_over(open_app: Flask) -> None:
    """RFC 7591 section 2; a name in another language too, since pages show one name."""
    told = registered(
        open_app, **{"client_name": "Weather", "client_name#de": "Wetter", "x": {"y": [None]}, "tos_uri": None}
    )
    assert not {"client_name#de", "x", "tos_uri"} & set(told)
    assert told["client_name"] == "Weather"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_whole_journey(open_app: Flask, make_user: Any, method: str) -> None:
    """It is nobody's house: the person is asked, and then the tokens are good."""
    make_user("ada")
    rp = party(open_app, registered(open_app, token_endpoint_auth_method=method))
    page = rp.sign_in(rp.sign_in_page(scope="openid email"))
    assert 'id="consent-allow"' in page.text
    assert "nobody has checked who is behind it" in words(page)
    assert "From here you go on to app.example.org ." in words(page)
    tokens = rp.redeem(rp.read_answer(rp.follow(rp.submit(page, "consent-allow"))).code)
    assert rp.userinfo(tokens)["email"] == "ada@example.org"


def test_a_public_client_gets_no_secret_and_needs_pkce(open_app: Flask) -> None:
    told = registered(
        open_app,
        token_endpoint_auth_method="none",
        application_type="native",
        redirect_uris=["org.example.app:/callback"],
    )
    assert "client_secret" not in told
    assert "client_secret_expires_at" not in told
    assert party(open_app, told).metadata.must_use_pkce


def test_one_kind_of_grant_follows_from_the_other(open_app: Flask) -> None:
    assert registered(open_app, response_types=["code"])["grant_types"] == ["authorization_code"]
    told = registered(open_app, grant_types=["authorization_code", "refresh_token"])
    assert told["response_types"] == ["code"]
    assert told["scope"].endswith(" offline_access")


def test_the_encryption_of_the_content_follows_from_that_of_the_key(open_app: Flask) -> None:
    """OIDC Registration section 2: A128CBC-HS256, where only the algorithm is named."""
    uri, algorithm = "https://app.example.org/jwks", "ECDH-ES"
    told = registered(open_app, jwks_uri=uri, id_token_encrypted_response_alg=algorithm)
    assert told["id_token_encrypted_response_enc"] == "A128CBC-HS256"


@pytest.mark.parametrize(
    "responses", [["code", "id_token", "code id_token"], ["code"], ["id_token token", "code"]], ids=" + ".join
)
def test_what_is_turned_off_is_left_out_where_something_is_left(open_app: Flask, responses: list[str]) -> None:
    """Much software names whatever it could do (mod_auth_openidc does): it is told what it got."""
    told = registered(
        open_app, response_types=responses, grant_types=["authorization_code", "implicit", "refresh_token"]
    )
    assert told["response_types"] == ["code"]
    assert told["grant_types"] == ["authorization_code", "refresh_token"]
    response = manage(open_app, told, "PUT", response_types=responses, grant_types=["authorization_code", "implicit"])
    assert (response.json["response_types"], response.json["grant_types"]) == (["code"], ["authorization_code"])


def test_grants_that_are_not_for_software_are_left_out_likewise(open_app: Flask) -> None:
    """Some ask for all that discovery names; whoever wants nothing else is refused (`test_a_fault_is_named`)."""
    told = registered(open_app, grant_types=["authorization_code", DEVICE_CODE_GRANT, "refresh_token", "password"])
    assert told["grant_types"] == ["authorization_code", "refresh_token"]
    response = manage(open_app, told, "PUT", grant_types=["authorization_code", DEVICE_CODE_GRANT])
    assert response.json["grant_types"] == ["authorization_code"]


def test_what_is_turned_on_is_kept(settings: Settings, make_app: Any) -> None:
    app = make_app(replace(settings, dynamic_registration="open", response_types="all"))
    every = {"response_types": ["code", "code id_token"], "grant_types": ["authorization_code", "implicit"]}
    told = registered(app, **every)
    assert {name: told[name] for name in every} == every
    only_code = registered(app, response_types=["code"], grant_types=["authorization_code", "implicit"])
    assert only_code["grant_types"] == ["authorization_code"]


def test_it_is_nobody_s_house(open_app: Flask, db: Session) -> None:
    """What only the operator decides is passed over, and scopes are cut down to those of OpenID Connect."""
    told = registered(
        open_app,
        scope="openid account registration recovery recovery:password roles email",
        is_trusted=True,
        has_id_token_claims=True,
        may_send_unsigned_request_objects=True,
        resources=["https://api.example.org/"],
        access_token_lifetime=31_000_000,
        registration_roles=["admin"],
        client_id="chosen",
        client_secret="chosen-by-somebody-else",
    )
    client = client_store.get_client(db, told["client_id"])
    assert told["scope"] == "openid email"
    assert told["client_id"] != "chosen"
    assert told["client_secret"] != "chosen-by-somebody-else"
    assert not client.is_trusted
    assert not client.has_id_token_claims
    assert not client.may_send_unsigned_request_objects
    assert client.resources == client.registration_roles == ()
    assert client.access_token_lifetime is None
    assert client.is_self_registered


def test_secrets_and_tokens_are_stored_as_digests(open_app: Flask, db: Session) -> None:
    told = registered(open_app)
    row = db.execute(select(Client.__table__)).mappings().one()
    stored = json.dumps(dict(row))
    assert told["client_secret"] not in stored
    assert told["registration_access_token"] not in stored
    assert crypto.digest(told["registration_access_token"]) == row["registration_token_digest"]


# -- Where it is turned off, or needs a token --------------------------------------------------


def test_where_it_is_off_it_is_said_and_not_promised(app: Flask, db: Session) -> None:
    response = ask_to_register(app)
    refused(response, "access_denied", "does not register itself", 403)
    assert "registration_endpoint" not in app.test_client().get("/.well-known/openid-configuration").json
    for method in ("GET", "PUT", "DELETE"):
        told = {"client_id": "any", "registration_access_token": "any"}
        refused(manage(app, told, method), "access_denied", "does not register itself", 403)
    assert count_of_clients(db) == 0


@pytest.mark.parametrize("mode", ["token", "open"])
def test_where_it_is_on_it_is_promised(settings: Settings, make_app: Any, mode: str) -> None:
    app = make_app(replace(settings, dynamic_registration=mode))
    metadata = app.test_client().get("/.well-known/openid-configuration").json
    assert metadata["registration_endpoint"] == settings.issuer + ENDPOINT


def test_without_an_initial_token(token_app: Flask, db: Session) -> None:
    response = ask_to_register(token_app)
    refused(response, "invalid_token", "is needed", 401)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="idp"'  # RFC 6750 section 3.1: no error before a token
    assert count_of_clients(db) == 0


@pytest.mark.parametrize("mode", ["token", "open"])
def test_with_a_wrong_initial_token(
    settings: Settings, make_app: Any, initial_token: Any, db: Session, mode: str
) -> None:
    initial_token()
    app = make_app(replace(settings, dynamic_registration=mode))
    response = ask_to_register(app, "idp_it_made_up")
    refused(response, "invalid_token", "unknown", 401)
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:authentication:refuse")).one()
    assert event.details == {"reason": "wrong_initial_token"}


def test_the_log_says_what_is_wrong_with_a_document(open_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has written the software may not be there to ask."""
    with caplog.at_level(logging.INFO, "idp.web"):
        response = ask_to_register(open_app, redirect_uris=["http://a.example/"])
        manage(open_app, {"client_id": "any", "registration_access_token": "any"})  # anybody's guess: no line
    [line] = [record.getMessage() for record in caplog.records]
    told = json.loads(response.data)["error_description"]
    assert line == f"POST /oauth/register refused as invalid_redirect_uri: {told}"


def test_a_token_registers_as_many_as_it_has_uses(token_app: Flask, initial_token: Any, db: Session) -> None:
    token = initial_token(uses=2)
    registered(token_app, token)
    refused(ask_to_register(token_app, token, redirect_uris=["http://a.example/"]), "invalid_redirect_uri", "https")
    registered(token_app, token)  # a refusal used nothing up
    refused(ask_to_register(token_app, token), "invalid_token", "used up", 401)
    assert count_of_clients(db) == 2


def test_a_token_of_any_number_ends_in_time(token_app: Flask, initial_token: Any, clock: Any) -> None:
    token = initial_token(uses=None, lifetime=60)
    for _ in range(3):
        registered(token_app, token)
    clock.advance(61)
    refused(ask_to_register(token_app, token), "invalid_token", "expired", 401)


def test_a_token_for_one_use_registers_one_of_many_at_once(token_app: Flask, initial_token: Any, db: Session) -> None:
    """The use is claimed in one statement: of those who come at the same moment, one wins."""
    token = initial_token(uses=1)
    statuses = at_once(lambda _: ask_to_register(token_app, token).status_code, 6)
    assert sorted(statuses) == [201, 401, 401, 401, 401, 401]
    assert count_of_clients(db) == 1
    assert db.scalar(select(InitialAccessToken.uses_left)) == 0


def test_a_use_is_claimed_but_once(initial_token: Any, db: Session) -> None:
    """Those who come at once have all seen that there is one."""
    token, other = initial_token(uses=1), initial_token(uses=1)
    token_id = initial_tokens.find_token(db, token)
    assert token_id is not None
    assert initial_tokens.claim_use(db, token_id)
    assert not initial_tokens.claim_use(db, token_id)
    assert initial_tokens.find_token(db, other)


# -- What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri", "redirect_uris: An app"),
        ({"redirect_uris": []}, "invalid_redirect_uri", "redirect_uris: An app"),
        ({"redirect_uris": [CALLBACK + "#x"]}, "invalid_redirect_uri", "fragment"),
        ({"redirect_uris": ["http://app.example.org/"]}, "invalid_redirect_uri", "https"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", "private scheme"),
        ({"redirect_uris": ['https://a.example/"quote']}, "invalid_redirect_uri", "cannot have"),
        ({"redirect_uris": ["https://*.example.org/"]}, "invalid_redirect_uri", "wildcard"),
        ({"redirect_uris": "https://a.example/"}, "invalid_redirect_uri", "a list of texts"),
        ({"redirect_uris": [1]}, "invalid_redirect_uri", "a list of texts"),
        ({"redirect_uris": [CALLBACK + "\x00"]}, "invalid_redirect_uri", "a list of texts"),
        ({"client_name": 7}, "invalid_client_metadata", "client_name: Must be text"),
        ({"client_name": {"de": "x"}}, "invalid_client_metadata", "client_name: Must be text"),
        ({"client_name": "a\x00b"}, "invalid_client_metadata", "client_name: Must be text"),
        ({"client_name": "\ud800"}, "invalid_client_metadata", "client_name: Must be text"),
        ({"client_name": "x" * 101}, "invalid_client_metadata", "client_name: A name"),
        ({"default_max_age": "10"}, "invalid_client_metadata", "default_max_age: Must be a whole number"),
        ({"default_max_age": True}, "invalid_client_metadata", "default_max_age: Must be a whole number"),
        ({"default_max_age": 1.5}, "invalid_client_metadata", "default_max_age: Must be a whole number"),
        ({"default_max_age": 10**30}, "invalid_client_metadata", "default_max_age"),
        ({"require_auth_time": "true"}, "invalid_client_metadata", "require_auth_time: Must be true or false"),
        ({"contacts": "ada@example.org"}, "invalid_client_metadata", "contacts: Must be a list"),
        ({"scope": ["openid"]}, "invalid_client_metadata", "scope: Must be scopes in one text"),
        ({"scope": "account"}, "invalid_client_metadata", "scope: None of these"),
        ({"jwks": "https://a.example/jwks"}, "invalid_client_metadata", "jwks: Must be an object"),
        ({"jwks": {"keys": [{"kty": "RSA"}]}}, "invalid_client_metadata", "jwks: This is not"),
        ({"jwks": {"keys": [], "a": "\x00"}}, "invalid_client_metadata", "jwks: Must be an object"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata", "not for software that registers"),
        ({"grant_types": ["password"]}, "invalid_client_metadata", "not for software that registers"),
        ({"grant_types": ["refresh_token"]}, "invalid_client_metadata", "refresh_token goes with"),
        ({"response_types": ["token"]}, "invalid_client_metadata", "is no response type"),
        ({"response_types": ["code id_token"]}, "invalid_client_metadata", "turned off"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata", "is no method"),
        ({"request_object_signing_alg": "none"}, "invalid_client_metadata", "for the operator to allow"),
        ({"subject_type": "pseudonym"}, "invalid_client_metadata", "subject_type"),
        ({"initiate_login_uri": "http://a.example/"}, "invalid_client_metadata", "initiate_login_uri"),
        ({"software_statement": "a.b.c"}, "unapproved_software_statement", "software_statement: Nobody"),
        ({"logo_uri": "javascript:alert(1)", "tos_uri": "x"}, "invalid_client_metadata", "tos_uri"),
        ({"redirect_uris": [], "tos_uri": "x"}, "invalid_client_metadata", "redirect_uris"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_fault_is_named(open_app: Flask, db: Session, changes: dict[str, Any], error: str, said: str) -> None:
    refused(ask_to_register(open_app, **changes), error, said)
    assert count_of_clients(db) == 0


@pytest.mark.parametrize("member", ["tos_uri", "scope", "jwks", "software_statement", "unknown"])
def test_null_is_the_same_as_left_out(open_app: Flask, member: str) -> None:
    """RFC 7591 section 2: some software sends all that it might have said."""
    document = {"redirect_uris": ["https://app.example.org/callback"], member: None}
    response = open_app.test_client().post(ENDPOINT, json=document)
    assert response.status_code == 201, response.text
    assert None not in response.json.values()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'[{"redirect_uris": ["https://a.example/"]}]', "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"client_name": "a", "client_name": "b"}', "occurs twice"),
        (b'{"default_max_age": NaN}', "NaN is no JSON"),
        (b'{"default_max_age": 1' + b"0" * 5_000 + b"}", "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        (b"[" * 51 + b"]" * 51, "nested too deeply"),
        (b'{"jwks": {"keys": [{"x5c": ' + b"[" * 15_000 + b"]" * 15_000 + b"}]}}", "nested too deeply"),
        (b'{"a": ' * 9_000 + b"1" + b"}" * 9_000, "nested too deeply"),
        (b'{"a": ' + b"[" * 49 + b"]" * 49 + b"}", "redirect_uris"),
        (b"{}", "redirect_uris"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_body_that_is_no_document(open_app: Flask, body: bytes, said: str) -> None:
    response = open_app.test_client().post(ENDPOINT, data=body, content_type="application/json")
    refused(response, "invalid_redirect_uri" if said == "redirect_uris" else "invalid_client_metadata", said)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jwt"])
def test_another_content_type(open_app: Flask, content_type: str) -> None:
    response = open_app.test_client().post(ENDPOINT, data=b'{"redirect_uris": []}', content_type=content_type)
    refused(response, "invalid_client_metadata", "Content-Type")


def test_another_charset(open_app: Flask) -> None:
    body = json.dumps({"redirect_uris": [CALLBACK]}).encode("utf-16")
    response = open_app.test_client().post(ENDPOINT, data=body, content_type="application/json; charset=utf-16")
    refused(response, "invalid_client_metadata", "Content-Type")


def test_a_body_without_end(open_app: Flask) -> None:
    body = json.dumps({"redirect_uris": [CALLBACK], "client_name": "x" * 70_000})
    response = open_app.test_client().post(ENDPOINT, data=body, content_type="application/json")
    assert response.status_code == 413
    assert response.json["code"] == "too_large"


def test_lists_without_end(open_app: Flask) -> None:
    uris = [f"https://app.example.org/{n}" for n in range(60)]
    refused(ask_to_register(open_app, redirect_uris=uris), "invalid_redirect_uri", "At most 50 entries")


def test_other_methods_are_not_there(open_app: Flask) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        response = open_app.test_client().open(ENDPOINT, method=method)
        assert response.status_code == 405
        assert response.mimetype == "application/problem+json"


# -- Floods ----------------------------------------------------------------------------------


def test_one_network_registers_so_many_and_no_more(
    open_app: Flask, initial_token: Any, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(throttle, "CLIENTS_BURST", 3)
    for _ in range(3):
        registered(open_app)
    response = ask_to_register(open_app)
    assert response.status_code == 429
    assert response.json["code"] == "throttled"
    assert int(response.headers["Retry-After"]) <= throttle.CLIENTS_INTERVAL
    registered(open_app, initial_token())  # whoever the operator gave a token is no stranger
    clock.advance(throttle.CLIENTS_INTERVAL)
    registered(open_app)


def test_refusals_count_too(open_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request may have something fetched: nonsense must not be for free."""
    monkeypatch.setattr(throttle, "CLIENTS_BURST", 2)
    for _ in range(2):
        refused(ask_to_register(open_app, redirect_uris=[]), "invalid_redirect_uri", "at least one")
    assert ask_to_register(open_app).status_code == 429


def test_one_client_changes_itself_so_often_and_no_more(settings: Settings, make_app: Any) -> None:
    """Each change may have a sector's list fetched."""
    app = make_app(replace(settings, dynamic_registration="open", throttle_account_burst=2))
    told, other = registered(app), registered(app)
    statuses = [manage(app, told, "PUT", client_name=f"Name {n}").status_code for n in range(3)]
    assert statuses == [200, 200, 429]
    assert manage(app, told).json["client_name"] == "Name 1"
    assert manage(app, other, "PUT", client_name="Other").status_code == 200


def test_guesses_at_a_token_fill_no_disk(settings: Settings, make_app: Any, db: Session) -> None:
    app = make_app(replace(settings, dynamic_registration="token", throttle_address_burst=3))
    for n in range(6):
        refused(ask_to_register(app, f"idp_it_{n}"), "invalid_token", "unknown", 401)
    kept = db.scalar(select(func.count()).where(AuditEvent.event == "client:authentication:refuse"))
    assert kept == 3


# -- Managing a registration (RFC 7592) ------------------------------------------------------------


def test_it_reads_itself(open_app: Flask) -> None:
    told = registered(open_app, client_name="Horoscope")
    response = manage(open_app, told)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json["client_name"] == "Horoscope"
    assert response.json["registration_access_token"] == told["registration_access_token"]
    assert "client_secret" not in response.json  # only its digest is known


@pytest.mark.parametrize("token", [None, "idp_rg_made_up", "é"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_token_is_refused(open_app: Flask, db: Session, method: str, token: str | None) -> None:
    told = registered(open_app)
    other = registered(open_app)
    for wrong in (token, other["registration_access_token"], told["client_secret"]):
        refused(manage(open_app, told, method, wrong), "invalid_token", "not that of this client", 401)
    assert count_of_clients(db) == 2


def test_a_token_by_another_scheme_is_none(open_app: Flask) -> None:
    told = registered(open_app)
    sent = {"Authorization": f"Basic {told['registration_access_token']}"}
    response = open_app.test_client().get(f"{ENDPOINT}/{told['client_id']}", headers=sent)
    refused(response, "invalid_token", "not that of this client", 401)


def test_a_client_of_the_operator_is_not_managed_so(open_app: Flask, make_client: Any) -> None:
    client, secret = make_client()
    told = {"client_id": client.client_id, "registration_access_token": secret}
    refused(manage(open_app, told), "invalid_token", "not that of this client", 401)


@pytest.mark.parametrize("client_id", ["nobody", "%00", "%ff", "é"])
def test_an_unknown_client_looks_like_a_wrong_token(open_app: Flask, client_id: str) -> None:
    response = open_app.test_client().get(f"{ENDPOINT}/{client_id}", headers=bearer("idp_rg_x"))
    refused(response, "invalid_token", "not that of this client", 401)


def test_a_wrong_token_is_written_down_with_the_client_that_it_was_for(open_app: Flask, db: Session) -> None:
    told = registered(open_app)
    manage(open_app, told, "GET", None)
    open_app.test_client().get(f"{ENDPOINT}/a-secret-in-the-wrong-place", headers=bearer("idp_rg_x"))
    events = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:authentication:refuse")).all()
    assert [(event.client_id, event.details.get("sent")) for event in events] == [
        (told["client_id"], None),
        (None, "a-secr... (27 characters)"),
    ]


def test_it_moves_to_no_sector_that_does_not_list_it(open_app: Flask) -> None:
    told = registered(open_app, subject_type="pairwise")
    sector = {"subject_type": "pairwise", "sector_identifier_uri": "https://127.0.0.1/list.json"}
    refused(manage(open_app, told, "PUT", **sector), "invalid_client_metadata", "could not be fetched")


def test_it_describes_itself_anew(open_app: Flask) -> None:
    told = registered(open_app, client_name="Old", tos_uri="https://app.example.org/terms", contacts=["ada"])
    response = manage(open_app, told, "PUT", client_name="New", client_secret=told["client_secret"])
    assert response.status_code == 200, response.text
    assert response.json["client_name"] == "New"
    assert not {"tos_uri", "contacts"} & set(response.json)  # left out is taken back
    assert "client_secret" not in response.json  # it has one, and keeps it
    assert response.json["registration_access_token"] == told["registration_access_token"]
    assert manage(open_app, told).json == response.json


def test_a_change_counts_at_once(open_app: Flask, make_user: Any) -> None:
    make_user("ada")
    told = registered(open_app)
    rp = party(open_app, told)
    rp.log_in()
    assert manage(open_app, told, "PUT", redirect_uris=["https://new.example.org/"]).status_code == 200
    assert rp.send().status_code == 400


def test_the_operator_s_decisions_stay_but_trust_is_for_known_addresses(
    open_app: Flask, db: Session, settings: Settings
) -> None:
    told = registered(open_app)
    before = client_store.get_client(db, told["client_id"])
    wider = replace(
        before,
        is_trusted=True,
        scopes=(*before.scopes, "roles"),
        grant_types=(*before.grant_types, "client_credentials"),
        access_token_lifetime=60,
    )
    client_store.update_client(db, settings, OPERATOR, before, wider)
    db.commit()
    grants = ["authorization_code", "client_credentials"]
    assert manage(open_app, told, "PUT", client_name="Renamed", grant_types=grants).status_code == 200
    db.rollback()
    renamed = client_store.get_client(db, told["client_id"])
    assert renamed.is_trusted
    assert "roles" in renamed.scopes
    assert "client_credentials" in renamed.grant_types
    assert renamed.access_token_lifetime == 60
    assert manage(open_app, told, "PUT", redirect_uris=["https://evil.example/"]).status_code == 200
    db.rollback()
    assert not client_store.get_client(db, told["client_id"]).is_trusted


def test_trust_is_for_known_scopes(open_app: Flask, db: Session, settings: Settings) -> None:
    """A trusted app that helped itself to more scopes would get what nobody was asked about."""
    told = registered(open_app, scope="openid email")
    before = client_store.get_client(db, told["client_id"])
    client_store.update_client(db, settings, OPERATOR, before, replace(before, is_trusted=True))
    db.commit()
    for scope, is_trusted in (("openid", True), ("openid phone", False)):
        assert manage(open_app, told, "PUT", scope=scope).json["scope"] == scope
        db.rollback()
        assert client_store.get_client(db, told["client_id"]).is_trusted is is_trusted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_id": None}, "client_id: The client's own id"),
        ({"client_id": "another"}, "client_id: The client's own id"),
        ({"client_secret": "chosen-by-the-client"}, "client_secret: This is not"),
        ({"client_secret": 7}, "client_secret: This is not"),
        ({"registration_access_token": "x"}, "registration_access_token: This is for the provider"),
        ({"registration_client_uri": "x"}, "registration_client_uri: This is for the provider"),
        ({"client_secret_expires_at": 0}, "client_secret_expires_at: This is for the provider"),
        ({"client_id_issued_at": 0}, "client_id_issued_at: This is for the provider"),
        ({"logo_uri": "x"}, "logo_uri"),
        ({"software_statement": "a.b.c"}, "software_statement"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_change_that_is_refused(open_app: Flask, changes: dict[str, Any], said: str) -> None:
    told = registered(open_app, client_name="Before")
    error = "unapproved_software_statement" if "software_statement" in changes else "invalid_client_metadata"
    refused(manage(open_app, told, "PUT", client_name="After", **changes), error, said)
    assert manage(open_app, told).json["client_name"] == "Before"


def test_a_change_that_is_no_document(open_app: Flask) -> None:
    told = registered(open_app)
    path, headers = f"{ENDPOINT}/{told['client_id']}", bearer(told["registration_access_token"])
    for body, said in ((b"[]", "must be a JSON object"), (b"{", "no JSON")):
        response = open_app.test_client().put(path, data=body, content_type="application/json", headers=headers)
        refused(response, "invalid_client_metadata", said)
    refused(open_app.test_client().put(path, data=b"{}", headers=headers), "invalid_client_metadata", "Content-Type")


def test_another_method_of_authentication_brings_or_takes_the_secret(open_app: Flask, db: Session) -> None:
    told = registered(open_app, token_endpoint_auth_method="none")
    fresh = manage(open_app, told, "PUT", token_endpoint_auth_method="client_secret_basic").json
    assert client_store.get_client(db, told["client_id"]).has_secret(fresh["client_secret"])
    assert fresh["client_secret_expires_at"] == 0
    assert manage(open_app, told, "PUT", token_endpoint_auth_method="none").status_code == 200
    db.rollback()
    assert client_store.get_client(db, told["client_id"]).client_secret_digest is None


def test_of_two_changes_at_once_none_is_lost_unseen(open_app: Flask, db: Session) -> None:
    told = registered(open_app)
    statuses = at_once(lambda n: manage(open_app, told, "PUT", client_name=f"Name {n}").status_code, 4)
    assert set(statuses) <= {200, 400}
    changes = db.scalar(select(func.count()).where(AuditEvent.event == "client:registration:change"))
    assert changes == statuses.count(200) >= 1


def test_it_removes_itself_and_all_that_hangs_on_it(open_app: Flask, make_user: Any, db: Session) -> None:
    make_user("ada")
    told = registered(open_app)
    rp = party(open_app, told)
    tokens = rp.log_in()
    response = manage(open_app, told, "DELETE")
    assert response.status_code == 204
    assert not response.data
    assert response.headers["Cache-Control"] == "no-store"
    assert rp.request_userinfo(tokens.access_token).status_code == 401
    refused(manage(open_app, told), "invalid_token", "not that of this client", 401)
    assert count_of_clients(db) == 0
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:registration:remove")).one()
    assert event.details == {"reason": "by_itself"}


def test_what_it_holds_ends_when_a_right_is_taken_back(open_app: Flask, make_user: Any, db: Session) -> None:
    make_user("ada")
    told = registered(open_app, grant_types=["authorization_code", "refresh_token"])
    rp = party(open_app, told)
    tokens = rp.log_in(scope="openid email offline_access")
    assert manage(open_app, told, "PUT", grant_types=told["grant_types"], client_name="Renamed").status_code == 200
    assert rp.request_userinfo(tokens.access_token).status_code == 200
    assert manage(open_app, told, "PUT", grant_types=["authorization_code"]).status_code == 200
    assert rp.request_userinfo(tokens.access_token).status_code == 401
    assert db.scalar(select(AuthorizationGrant.revoked_at)) is not None


def test_it_may_be_removed_while_it_removes_itself(
    open_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = registered(open_app)
    genuine = client_store.remove_client

    def be_overtaken(*given: Any, **reason: Any) -> None:
        with database.open_session(settings) as own:
            genuine(own, OPERATOR, told["client_id"])
        genuine(*given, **reason)

    monkeypatch.setattr(client_store, "remove_client", be_overtaken)
    assert manage(open_app, told, "DELETE").status_code == 204


# -- Nobody's clients are swept ---------------------------------------------------------------------


def test_who_is_unused_for_a_month_is_removed(
    open_app: Flask, db: Session, settings: Settings, make_user: Any, make_client: Any, clock: Any
) -> None:
    make_user("ada")
    unused, used, trusted, asking = (registered(open_app) for _ in range(4))
    make_client(client_id="of-the-operator", is_trusted=False)
    party(open_app, used).log_in()
    before = client_store.get_client(db, trusted["client_id"])
    client_store.update_client(db, settings, OPERATOR, before, replace(before, is_trusted=True))
    db.commit()
    engine = db.get_bind()
    clock.advance(client_store.UNUSED_FOR - 60)
    assert worker.sweep_all(engine)["unused_client"] == 0
    clock.advance(120)
    party(open_app, asking).push()
    assert worker.sweep_all(engine)["unused_client"] == 1
    db.rollback()
    left = set(db.scalars(select(Client.client_id)))
    assert left == {used["client_id"], trusted["client_id"], asking["client_id"], "of-the-operator"}
    event = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:registration:remove")).one()
    assert (event.client_id, event.actor, event.details) == (unused["client_id"], "system", {"reason": "unused"})


def test_scopes_of_self_registered_clients_speak_of_people_alone() -> None:
    assert not {"account", "registration", "recovery", "recovery:password", "roles"} & set(SCOPES)
