"""Signing keys: one for each algorithm, imported once, sealed at rest."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from idp.accounts.visitor import OPERATOR
from idp.errors import NotReadyError
from idp.models import SigningKey
from idp.oidc import keys
from idp.oidc.signatures import sign
from tests.relying_party import RelyingParty

# -- Made -------------------------------------------------------------------------------


def test_there_is_an_active_key_for_each_algorithm(db, settings):
    active = db.scalars(select(SigningKey.algorithm).where(SigningKey.state == "active")).all()
    assert sorted(active) == sorted(keys.ALGORITHMS) == ["ES256", "EdDSA", "PS256", "RS256"]


def test_making_keys_is_safe_to_repeat(db, settings):
    assert keys.ensure_keys(db, settings, OPERATOR) == []


def test_a_key_for_one_algorithm_more_is_made_alone(db, settings):
    db.execute(SigningKey.__table__.delete().where(SigningKey.algorithm == "EdDSA"))
    (made,) = keys.ensure_keys(db, settings, OPERATOR)
    assert db.get(SigningKey, made).algorithm == "EdDSA"


def test_the_rsa_key_that_all_clients_know_comes_first(rp):
    assert rp.keys().keys[0].get("alg") == "RS256"
    assert {key.get("alg"): key.key_type for key in rp.keys().keys} == {
        "RS256": "RSA",
        "PS256": "RSA",
        "ES256": "EC",
        "EdDSA": "OKP",
    }
    assert all(key.get("use") == "sig" and not key.is_private for key in rp.keys().keys)


# -- Imported once ------------------------------------------------------------------------


def test_private_keys_are_imported_once_a_process(rp, monkeypatch, minutes):
    imported = []
    real = keys._import_private
    monkeypatch.setattr(keys, "_import_private", lambda *args: imported.append(args[0]) or real(*args))
    for _ in range(3):
        rp.log_in()
    assert len(imported) == len(set(imported)) == len(keys.ALGORITHMS)
    for _ in range(2):
        minutes()
        rp.log_in()
    assert len(imported) == len(keys.ALGORITHMS), "looking for new keys imports the old ones again"


# -- Algorithms -----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_client_may_choose_any_algorithm(relying_party, ada, algorithm):
    rp = relying_party(id_token_signed_response_alg=algorithm)
    tokens = rp.log_in()  # checks algorithm, signature and at_hash
    assert rp.ask(prompt="none", id_token_hint=tokens.id_token).code
    rp.log_out(tokens.id_token)


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_the_operator_may_choose_any_algorithm_for_all(settings, make_app, make_client, make_user, algorithm):
    make_user("ada")
    app = make_app(replace(settings, signing_algorithm=algorithm))
    metadata, secret = make_client()
    rp = RelyingParty(
        app.test_client(), settings.issuer, replace(metadata, id_token_signed_response_alg=algorithm), secret
    )
    rp.log_in()


def test_discovery_lists_what_can_sign(rp):
    assert rp.discovery["id_token_signing_alg_values_supported"] == ["RS256", "PS256", "ES256", "EdDSA"]


def test_another_jwt_of_ours_is_no_hint(rp, app, settings):
    """A logout token has our issuer and signature, but is no ID token (RFC 8725 section 3.11)."""
    tokens = rp.log_in()
    key = app.extensions["idp_provider"].signing_key("RS256")
    claims = {name: tokens.claims[name] for name in ("iss", "sub", "aud", "exp")}
    assert rp.ask(prompt="none", id_token_hint=sign(key, claims)).code
    assert rp.ask(prompt="none", id_token_hint=sign(key, claims, "logout+jwt")).error == "invalid_request"


# -- At rest -----------------------------------------------------------------------------------


def test_private_keys_are_sealed(db):
    for row in db.scalars(select(SigningKey)):
        assert "PRIVATE" not in row.private_sealed
        assert "d" not in row.public_jwk


def test_a_wrong_secret_key_is_said_clearly(db, settings):
    wrong = replace(settings, secret_key="x" * 40)
    with pytest.raises(NotReadyError, match="does not fit this database"):
        keys.load_keys(db, wrong)


def test_a_missing_secret_key_is_said_clearly(db, settings):
    with pytest.raises(NotReadyError, match="idp init"):
        keys.load_keys(db, replace(settings, secret_key=""))


def test_missing_keys_are_said_clearly(db, settings):
    db.execute(SigningKey.__table__.delete())
    with pytest.raises(NotReadyError, match="idp init"):
        keys.load_keys(db, settings)


def test_a_provider_with_a_wrong_secret_key_is_not_ready(settings, make_app):
    browser = make_app(replace(settings, secret_key="x" * 40)).test_client()
    response = browser.get("/oauth/jwks")
    assert response.status_code == 503
    assert "x" * 40 not in response.text
