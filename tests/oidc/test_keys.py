"""Signing keys: published before they sign and after they did, imported once, sealed at rest."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from idp.accounts.visitor import OPERATOR
from idp.errors import NotReadyError
from idp.models import SigningKey
from idp.oidc import keys, server
from tests.relying_party import RelyingParty, decode, shown_error


@pytest.fixture
def minutes(monkeypatch):
    """Let minutes pass for a process that looks for new keys now and then."""
    hand = SimpleNamespace(time=1_000.0)
    monkeypatch.setattr(server, "time", SimpleNamespace(monotonic=lambda: hand.time))

    def advance(count=1):
        hand.time += count * 60 + 1

    return advance


def kid_of(tokens):
    """Return the key that signed an ID token."""
    return json.loads(decode(tokens.id_token.partition(".")[0]))["kid"]


def published(rp):
    """Return the ids of all published keys."""
    return {key.kid for key in rp.keys().keys}


def rotate(db, settings):
    """Do what the operator does."""
    keys.rotate_keys(db, settings, OPERATOR)
    db.commit()


def states(db, algorithm="RS256"):
    """Return key id by state."""
    rows = db.execute(select(SigningKey.state, SigningKey.kid).where(SigningKey.algorithm == algorithm)).all()
    return dict(map(tuple, rows))


# -- Rotation ------------------------------------------------------------------------


def test_the_next_key_is_published_before_it_signs(rp, db, settings, minutes):
    first = rp.log_in()
    rotate(db, settings)
    minutes()
    assert states(db)["next"] in published(rp)
    assert kid_of(rp.log_in()) == kid_of(first)


def test_the_retired_key_stays_published_when_the_next_one_signs(rp, db, settings, minutes):
    first = rp.log_in()
    rotate(db, settings)
    upcoming = states(db)["next"]
    rotate(db, settings)
    minutes()
    second = rp.log_in()  # the relying party finds the new kid among the published ones
    assert kid_of(second) == upcoming != kid_of(first)
    assert {kid_of(first), kid_of(second)} <= published(rp)
    assert states(db)["retired"] == kid_of(first)


def test_what_a_retired_key_signed_is_still_a_hint(rp, db, settings, minutes):
    first = rp.log_in()
    for _ in range(3):
        rotate(db, settings)
    minutes()
    assert rp.ask(prompt="none", id_token_hint=first.id_token).code
    rp.log_out(first.id_token)


def test_a_key_that_is_gone_makes_no_hint(rp, db, settings, minutes):
    first = rp.log_in()
    rotate(db, settings)
    rotate(db, settings)
    db.execute(SigningKey.__table__.delete().where(SigningKey.kid == kid_of(first)))
    db.commit()
    minutes()
    assert rp.ask(prompt="none", id_token_hint=first.id_token).error == "invalid_request"
    assert shown_error(rp.request_logout(id_token_hint=first.id_token)).parameter == "id_token_hint"


def test_rotation_reaches_a_running_process_within_a_minute(rp, db, settings, minutes):
    before = published(rp)
    rotate(db, settings)
    assert published(rp) == before
    minutes()
    assert published(rp) > before


def test_there_is_one_active_key_for_each_algorithm_at_any_time(db, settings):
    for _ in range(4):
        rotate(db, settings)
        active = db.scalars(select(SigningKey.algorithm).where(SigningKey.state == "active")).all()
        assert sorted(active) == sorted(keys.ALGORITHMS)


def test_making_keys_is_safe_to_repeat(db, settings):
    assert keys.ensure_keys(db, settings, OPERATOR) == []


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


def test_a_new_key_is_imported_alone(rp, db, settings, monkeypatch, minutes):
    rp.log_in()
    rotate(db, settings)
    rotate(db, settings)
    imported = []
    real = keys._import_private
    monkeypatch.setattr(keys, "_import_private", lambda *args: imported.append(args[0]) or real(*args))
    minutes()
    rp.log_in()
    assert sorted(imported) == sorted(db.scalars(select(SigningKey.kid).where(SigningKey.state == "active")))


# -- Algorithms -----------------------------------------------------------------------------


def test_a_client_may_choose_es256(relying_party, ada):
    rp = relying_party(id_token_signed_response_alg="ES256")
    tokens = rp.log_in()  # checks algorithm, signature and at_hash
    assert rp.ask(prompt="none", id_token_hint=tokens.id_token).code


def test_the_operator_may_choose_es256_for_all(settings, make_app, make_client, make_user):
    make_user("ada")
    app = make_app(replace(settings, signing_algorithm="ES256"))
    metadata, secret = make_client()
    rp = RelyingParty(
        app.test_client(), settings.issuer, replace(metadata, id_token_signed_response_alg="ES256"), secret
    )
    rp.log_in()


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
