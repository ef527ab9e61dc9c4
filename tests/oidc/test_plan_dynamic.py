"""The OpenID Foundation's Dynamic OP plan: apps that register themselves, and prove who they are by their keys.

Each row registers an app of its own, as the suite does; `private_key_jwt` is its method throughout.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from idp.accounts.visitor import OPERATOR
from idp.models import User
from idp.oidc import client_keys, client_logos, key_rotation
from idp.oidc.signatures import registry
from idp.settings import Settings
from tests.document_server import DocumentServer
from tests.oidc.registering import CALLBACK, ask_to_register, manage, party, refused, registered
from tests.relying_party import RelyingParty, Tokens, decode, shown_error
from tests.request_objects import signed, unsigned
from tests.web.test_client_logo import PNG

KEY = RSAKey.generate_key(2048, {"alg": "RS256"})  # the suite names keys only where they are published, to rotate them
NAMED_KEY = RSAKey.import_key({**KEY.as_dict(private=True), "kid": "of-the-app"})
JWKS, NAMED_JWKS = ({"keys": [key.as_dict(private=False)]} for key in (KEY, NAMED_KEY))
Register = Callable[..., RelyingParty]


@pytest.fixture
def dynamic(settings: Settings, make_app: Callable[[Settings], Flask], ada: User) -> Flask:
    """A provider where anyone may register an app."""
    return make_app(replace(settings, dynamic_registration="open"))


@pytest.fixture
def register(dynamic: Flask) -> Register:
    """Register an app with a key, and return a strict relying party for it."""

    def make(**document: Any) -> RelyingParty:
        keys = {} if "jwks_uri" in document else {"jwks": JWKS}
        told = registered(dynamic, **{"token_endpoint_auth_method": "private_key_jwt", **keys, **document})
        assert "client_secret" not in told  # it proves itself by its keys
        rp = party(dynamic, told)
        rp.key = KEY if keys else NAMED_KEY
        return rp

    return make


def header_of(tokens: Tokens) -> dict[str, Any]:
    """Return the header of an ID token."""
    return dict(json.loads(decode(tokens.id_token.partition(".")[0])))


def test_oidcc_idtoken_rs256(register: Register) -> None:
    tokens = register(id_token_signed_response_alg="RS256").log_in()
    assert header_of(tokens)["alg"] == "RS256"
    assert header_of(tokens)["kid"]


def test_oidcc_idtoken_unsigned(dynamic: Flask) -> None:
    """Skipped by the suite, since `none` is not listed; whoever asks for it all the same is told so."""
    metadata = dynamic.test_client().get("/.well-known/openid-configuration").json
    assert "none" not in metadata["id_token_signing_alg_values_supported"]
    refused(ask_to_register(dynamic, id_token_signed_response_alg="none"), "invalid_client_metadata", "'none'")


def test_oidcc_ensure_redirect_uri_in_authorization_request(register: Register) -> None:
    rp = register(redirect_uris=[CALLBACK, CALLBACK + "2"])
    assert shown_error(rp.send(redirect_uri=None)).parameter == "redirect_uri"


def test_oidcc_redirect_uri_query_OK(register: Register) -> None:  # noqa: N802 - the row's name
    rp = register(redirect_uris=[CALLBACK + "?foo=bar"])
    answer = rp.send()
    assert rp.authorize(sent=answer).code  # checks that the query is kept, and ours is behind it


def test_oidcc_redirect_uri_query_mismatch(register: Register) -> None:
    response = register(redirect_uris=[CALLBACK + "?foo=bar"]).send(redirect_uri=CALLBACK + "?bar=foo")
    assert shown_error(response).parameter == "redirect_uri"


def test_oidcc_redirect_uri_query_added(register: Register) -> None:
    response = register(redirect_uris=[CALLBACK]).send(redirect_uri=CALLBACK + "?foo=bar")
    assert shown_error(response).parameter == "redirect_uri"


def test_oidcc_redirect_uri_regfrag(dynamic: Flask) -> None:
    response = ask_to_register(dynamic, redirect_uris=[CALLBACK + "#foobar"])
    refused(response, "invalid_redirect_uri", "fragment")


def test_oidcc_server(dynamic: Flask) -> None:
    told = registered(dynamic, token_endpoint_auth_method="private_key_jwt", jwks=JWKS)  # 201; both or neither
    assert urlsplit(told["registration_client_uri"]).path.endswith(told["client_id"])
    rp = party(dynamic, told)
    rp.key = KEY
    assert rp.log_in().claims["aud"] == told["client_id"]
    assert manage(dynamic, told, "DELETE").status_code == 204
    assert rp.send().status_code == 400


def test_oidcc_registration_logo_uri(
    register: Register, document_server: DocumentServer, settings: Settings, db: Session
) -> None:
    """It is shown on the sign-in page: the copy that the worker fetched, since pages load nothing from elsewhere."""
    rp = register(logo_uri=document_server.put("/logo.png", PNG, "image/png"))
    engine = db.get_bind()
    assert isinstance(engine, Engine)
    assert client_logos.fetch_due(engine, settings)["logo_fetched"] == 1
    page = rp.sign_in_page().text
    source = page.partition('<img class="mark')[2].partition('src="')[2].partition('"')[0]
    assert rp.is_ours(source)
    assert rp.browser.get(source).data == PNG


def test_oidcc_registration_policy_uri(register: Register) -> None:
    """It is shown on the page that the person sees first, which is the sign-in page."""
    uri = "https://app.example.org/policy"
    assert f'href="{uri}"' in register(policy_uri=uri).sign_in_page().text


def test_oidcc_registration_tos_uri(register: Register) -> None:
    """So is this one."""
    uri = "https://app.example.org/terms"
    assert f'href="{uri}"' in register(tos_uri=uri).sign_in_page().text


def test_oidcc_registration_jwks_uri(register: Register, document_server: DocumentServer) -> None:
    uri = document_server.put("/jwks", json.dumps(NAMED_JWKS), "application/jwk-set+json")
    rp = register(jwks_uri=uri)
    assert document_server.asked == []  # not before they are needed
    rp.log_in()
    assert document_server.asked == ["/jwks"]


def test_oidcc_registration_sector_uri(register: Register, document_server: DocumentServer, ada: User) -> None:
    uris = [CALLBACK, "https://other.example.org/callback"]
    sector = document_server.put("/sector", json.dumps(uris), "application/json")
    first, second = (
        register(subject_type="pairwise", sector_identifier_uri=sector, redirect_uris=[uri]) for uri in uris
    )
    subject = first.log_in().claims["sub"]
    assert subject != ada.id
    assert second.log_in().claims["sub"] == subject  # one sector, one subject
    assert register(subject_type="pairwise").log_in().claims["sub"] not in (subject, ada.id)


def test_oidcc_registration_sector_bad(dynamic: Flask, document_server: DocumentServer) -> None:
    sector = document_server.put("/sector", json.dumps(["https://other.example.org/"]), "application/json")
    response = ask_to_register(dynamic, subject_type="pairwise", sector_identifier_uri=sector)
    refused(response, "invalid_client_metadata", "sector_identifier_uri")


def test_oidcc_server_rotate_keys(
    register: Register, db: Session, settings: Settings, clock: Any, minutes: Callable[..., None]
) -> None:
    """The suite waits for a person here: the operator rotates, and the next ID token has another key.

    Of one algorithm: what the suite itself makes of a new Ed25519 key stands in docs/protocol.md.
    """
    rp = register()
    before = header_of(rp.log_in())["kid"]
    key_rotation.advance(db, settings, OPERATOR, "RS256", is_wanted=True)
    db.commit()
    clock.advance(settings.key_publish_lead + 1)
    assert "key_activated" in key_rotation.advance(db, settings, OPERATOR, "RS256")
    db.commit()
    minutes(2)
    after = header_of(rp.log_in())["kid"]
    assert after != before
    assert before in {key.kid for key in rp.keys().keys}  # what it signed can still be checked


def test_oidcc_refresh_token(register: Register) -> None:
    rp = register(grant_types=["authorization_code", "refresh_token"])
    tokens = rp.log_in(scope="openid offline_access", prompt="consent")
    fresh = rp.refresh(tokens.refresh_token)
    for name in ("iss", "sub", "aud", "auth_time"):
        assert fresh.claims[name] == tokens.claims[name]
    other = register(grant_types=["authorization_code", "refresh_token"])
    refusal = other.request_refresh(fresh.refresh_token)
    assert (refusal.status_code, refusal.json["error"]) == (400, "invalid_grant")


def test_oidcc_refresh_token_rp_key_rotation(
    register: Register, document_server: DocumentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app exchanges its key while it holds a refresh token: the unknown `kid` has its keys fetched anew."""
    uri = document_server.put("/jwks", json.dumps(NAMED_JWKS), "application/json")
    rp = register(jwks_uri=uri, grant_types=["authorization_code", "refresh_token"])
    tokens = rp.log_in(scope="openid offline_access", prompt="consent")
    rp.key = ECKey.generate_key("P-256", {"kid": "the-next", "use": "sig"})
    document_server.put("/jwks", json.dumps({"keys": [rp.key.as_dict(private=False)]}), "application/json")
    assert client_keys.REFETCH_AFTER <= 60
    monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
    fresh = rp.refresh(tokens.refresh_token)
    assert fresh.claims["sub"] == tokens.claims["sub"]
    assert document_server.asked == ["/jwks", "/jwks"]


def test_oidcc_ensure_client_assertion_with_iss_aud_succeeds(register: Register) -> None:
    rp = register()
    code = rp.authorize().code
    form: dict[str, Any] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": rp.redirect_uri,
        "code_verifier": rp.verifier,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": rp.assertion(aud=rp.issuer),
    }
    assert rp.read_tokens(rp.browser.post(rp.path("token_endpoint"), data=form), nonce=rp.nonce)


# -- Request objects by reference ---------------------------------------------------------------


def refer(rp: RelyingParty, uri: str, **claims: str | None) -> Any:
    """Send the browser with a reference; what OpenID Connect wants outside as well stands beside it."""
    beside = {"client_id": rp.metadata.client_id, "response_type": "code", "scope": "openid", "request_uri": uri}
    return rp.browser.get(rp.path("authorization_endpoint"), query_string={**beside, **claims})


def request_of(rp: RelyingParty, **changes: str | None) -> dict[str, Any]:
    """Return the claims of a request object."""
    return {"iss": rp.metadata.client_id, "aud": rp.issuer, **rp.authorization_parameters(**changes)}


def test_oidcc_request_uri_signed_rs256(register: Register, document_server: DocumentServer) -> None:
    """The registered address has a random fragment, which nobody checks; the object is served as application/jwt."""
    uri = document_server.url("/request")
    rp = register(request_uris=[f"{uri}#YSBoYXNo"], request_object_signing_alg="RS256")
    token = signed(request_of(rp), "RS256", KEY)
    document_server.put("/request", token, "application/jwt")
    answer = rp.authorize(sent=refer(rp, f"{uri}#YSBoYXNo"))
    assert rp.redeem(answer.code)
    assert "/request" in document_server.asked


def test_oidcc_request_uri_unsigned(register: Register, document_server: DocumentServer) -> None:
    """Skipped by the suite, since `none` is not listed; without the operator's word it is refused, at the app."""
    rp = register(request_uris=[document_server.url("/request")])
    assert "none" not in rp.discovery["request_object_signing_alg_values_supported"]
    document_server.put("/request", unsigned(request_of(rp)), "application/jwt")
    answer = rp.read_answer(refer(rp, document_server.url("/request"), redirect_uri=rp.redirect_uri, state=rp.state))
    assert answer.error == "request_uri_not_supported"


def test_oidcc_ensure_request_object_with_redirect_uri(register: Register) -> None:
    """The one in the object counts, whatever stands beside it."""
    rp = register(redirect_uris=[CALLBACK], request_object_signing_alg="RS256")
    token = signed(request_of(rp, redirect_uri=CALLBACK), "RS256", KEY)
    beside = {
        "client_id": rp.metadata.client_id,
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": CALLBACK + "/invalid",
        "request": token,
    }
    response = rp.browser.get(rp.path("authorization_endpoint"), query_string=beside)
    assert rp.authorize(sent=response).code


# -- With the implicit and hybrid flows --------------------------------------------------------


def test_oidcc_discovery(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    """The plan asks for response types that OAuth 2.1 drops: the operator turns them on for it."""
    app = make_app(replace(settings, dynamic_registration="open", response_types="all"))
    metadata = app.test_client().get("/.well-known/openid-configuration").json
    assert {"code", "id_token", "id_token token"} <= set(metadata["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(metadata["grant_types_supported"])
    assert metadata["registration_endpoint"].startswith(settings.issuer)


@pytest.mark.parametrize(
    ("response_type", "grants"),
    [("id_token token", ["implicit"]), ("code id_token", ["authorization_code", "implicit"])],
)
def test_oidcc_server_with_tokens_in_the_fragment(
    settings: Settings, make_app: Callable[[Settings], Flask], ada: User, response_type: str, grants: list[str]
) -> None:
    app = make_app(replace(settings, dynamic_registration="open", response_types="all"))
    words = response_type.split()
    told = registered(app, response_types=[" ".join(reversed(words))])  # the same in any order
    assert told["response_types"] == [response_type]
    assert told["grant_types"] == grants
    rp = party(app, told)
    answer = rp.authorize(response_type=response_type)
    assert answer.claims["sub"] == ada.id
    if "code" in words:
        assert rp.redeem(answer.code).claims["sub"] == ada.id


def test_oidcc_userinfo_rs256(register: Register) -> None:
    """Userinfo as a JWT: signed by the key that discovery lists, for this app and by us."""
    rp = register(userinfo_signed_response_alg="RS256")
    assert "RS256" in rp.discovery["userinfo_signing_alg_values_supported"]
    tokens = rp.log_in()
    response = rp.request_userinfo(tokens.access_token)
    assert response.status_code == 200
    assert response.mimetype == "application/jwt"
    header = json.loads(decode(response.text.partition(".")[0]))
    key = next(key for key in rp.keys().keys if key.kid == header["kid"])
    verified = jws.deserialize_compact(response.text, key, registry=registry(["RS256"]))
    claims = json.loads(verified.payload)
    assert header["alg"] == "RS256"
    assert claims == {"iss": rp.issuer, "aud": rp.metadata.client_id, "sub": tokens.claims["sub"]}  # and no nonce
