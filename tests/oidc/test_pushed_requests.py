"""Pushed authorization requests (RFC 9126)."""

from urllib.parse import urlsplit

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import func, select

from idp import crypto
from idp.models import ParkedRequest, PushedRequest
from tests.at_once import at_once
from tests.relying_party import error_of, shown_error
from tests.request_objects import public_jwks, signed

PREFIX = "urn:ietf:params:oauth:request_uri:"


def rows(db):
    """Return all pushed requests, as they are now."""
    db.rollback()
    return db.execute(select(PushedRequest.__table__)).all()


def test_a_pushed_request_goes_all_the_way(rp, db):
    uri = rp.push(scope="openid email", claims='{"userinfo": {"name": null}}', max_age="100")
    tokens = rp.redeem(rp.authorize(sent=rp.send_pushed(uri)).code)
    assert {"email", "name"} <= set(rp.userinfo(tokens))
    (parked,) = db.execute(select(ParkedRequest.source)).all()
    assert parked.source == "pushed"


def test_a_signed_in_person_meets_no_page(rp):
    rp.log_in()
    uri = rp.push()
    assert rp.redeem(rp.read_answer(rp.send_pushed(uri)).code)


def test_it_says_how_long_it_waits(rp, settings, clock):
    response = rp.request_push()
    assert response.json["expires_in"] == settings.pushed_request_lifetime
    clock.advance(settings.pushed_request_lifetime - 1)
    assert rp.authorize(sent=rp.send_pushed(response.json["request_uri"])).code


def test_the_reference_is_stored_as_a_digest_and_nothing_secret_beside_it(rp, db):
    uri = rp.push(method="client_secret_post")
    (row,) = rows(db)
    assert row.id == crypto.digest(uri.removeprefix(PREFIX))
    assert rp.secret not in str(row)
    assert set(row.parameters) <= set(rp.authorization_parameters())


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_client_authenticates_as_at_the_token_endpoint(rp, method):
    assert rp.authorize(sent=rp.send_pushed(rp.push(method=method))).code


def test_a_client_authenticates_by_a_signed_assertion_for_this_endpoint(relying_party, ada):
    key = ECKey.generate_key("P-256", {"kid": "own"})
    rp = relying_party(token_endpoint_auth_method="private_key_jwt", jwks=public_jwks(key))
    rp.key = key
    assert rp.authorize(sent=rp.send_pushed(rp.push())).code
    for audience, status in ((rp.issuer + "/oauth/par", 201), ("https://elsewhere.example.org/", 401)):
        form = {**rp.authorization_parameters(), "client_assertion": rp.assertion(aud=audience)}
        form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert rp.browser.post("/oauth/par", data=form).status_code == status


def test_a_public_client_pushes_with_its_id_alone(public_rp):
    assert public_rp.redeem(public_rp.authorize(sent=public_rp.send_pushed(public_rp.push())).code)


def test_a_confidential_client_does_not(rp):
    response = rp.request_push(method="none")
    assert response.status_code in (400, 401)
    assert error_of(response) == "invalid_client"


def test_a_wrong_secret_is_refused(rp):
    rp.secret = "wrong" * 5
    response = rp.request_push()
    assert response.status_code == 401
    assert error_of(response) == "invalid_client"


def test_with_basic_the_form_need_not_repeat_the_client_id(rp):
    assert rp.authorize(sent=rp.send_pushed(rp.push(client_id=None))).code


def test_of_another_client_is_nothing_pushed(rp, relying_party):
    other = relying_party()
    response = rp.request_push(client_id=other.metadata.client_id)
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


# -- What would be refused later is refused at once ------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"redirect_uri": None}, "invalid_request", "redirect_uri"),
        ({"redirect_uri": "https://evil.example.org/"}, "invalid_request", "redirect_uri"),
        ({"response_type": None}, "invalid_request", "response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type", "id_token"),
        ({"response_mode": "nonsense"}, "invalid_request", "response_mode"),
        ({"scope": "nonsense"}, "invalid_scope", "openid"),
        ({"prompt": "none login"}, "invalid_request", "prompt"),
        ({"code_challenge_method": "plain"}, "invalid_request", "code_challenge_method"),
        ({"request_uri": PREFIX + "x" * 43}, "invalid_request", "request_uri"),
        ({"request_uri": "https://app.example.org/request.jwt"}, "invalid_request", "request_uri"),
        ({"request": "a.b.c"}, "invalid_request_object", "JWT"),
        ({"resource": "https://api.example.org/"}, "invalid_target", "resource"),
        ({"state": "s" * 5_000}, "invalid_request", "state"),
    ],
)
def test_faults_are_told_as_json(rp, db, changes, error, named):
    response = rp.request_push(**changes)
    assert response.status_code == 400
    assert error_of(response) == error
    assert named in response.json["error_description"]
    assert rows(db) == []


@pytest.mark.parametrize("doubled", [("scope", "openid"), ("request", "a.b.c")], ids=lambda pair: pair[0])
def test_a_doubled_parameter_is_refused(rp, doubled):
    once = {**rp.authorization_parameters(), "client_secret": rp.secret, **dict([doubled])}
    sent = [*once.items(), doubled]
    body = "&".join(f"{name}={value}" for name, value in sent)
    response = rp.browser.post("/oauth/par", data=body, content_type="application/x-www-form-urlencoded")
    assert (response.status_code, error_of(response)) == (400, "invalid_request")


def test_other_methods_and_bodies_are_refused(rp):
    assert rp.browser.get("/oauth/par").status_code == 405
    response = rp.browser.post("/oauth/par", json={"client_id": rp.metadata.client_id})
    assert (response.status_code, error_of(response)) == (400, "invalid_request")
    assert rp.browser.post("/oauth/par", data={"a": "x" * 70_000}).status_code == 413


# -- The reference ------------------------------------------------------------------------------


def refused(response):
    """The error page that every useless reference leads to."""
    error = shown_error(response)
    return (error.code, error.parameter) == ("invalid_request_uri", "request_uri")


def test_it_is_good_once(rp):
    rp.log_in()
    uri = rp.push()
    assert rp.read_answer(rp.send_pushed(uri)).code
    assert refused(rp.send_pushed(uri))


def test_it_expires(rp, settings, clock):
    uri = rp.push()
    clock.advance(settings.pushed_request_lifetime)
    assert refused(rp.send_pushed(uri))


def test_it_is_one_clients(rp, relying_party):
    uri = rp.push()
    other = relying_party(browser=rp.browser)
    assert refused(other.send_pushed(uri))
    assert rp.authorize(sent=rp.send_pushed(uri)).code  # that attempt used nothing up


@pytest.mark.parametrize("change", [lambda uri: uri[:-1], lambda uri: uri + "A", lambda uri: uri.swapcase(), str.upper])
def test_an_altered_one_is_refused(rp, change):
    uri = rp.push()
    altered = PREFIX + change(uri.removeprefix(PREFIX))
    assert altered != uri
    assert refused(rp.send_pushed(altered))


@pytest.mark.parametrize("rest", ["", "é", "\x01", "a" * 5_000, "%00", "' or 1=1 --"])
def test_a_made_up_one_is_refused(rp, rest):
    assert refused(rp.send_pushed(PREFIX + rest))


def test_what_stands_beside_it_does_not_count(rp):
    rp.log_in()
    uri = rp.push()
    answer = rp.read_answer(
        rp.send_pushed(uri, state="other", redirect_uri="https://evil.example.org/", scope="openid email", request="x")
    )
    assert rp.redeem(answer.code).response["scope"] == "openid"


def test_without_a_client_id_it_is_shown(rp):
    uri = rp.push()
    response = rp.browser.get("/oauth/authorize", query_string={"request_uri": uri})
    assert shown_error(response).parameter == "client_id"
    assert rp.authorize(sent=rp.send_pushed(uri)).code


def test_of_many_at_once_one_gets_it(rp):
    """Browsers that share nothing: a copy of the reference is worth nothing once it was used."""
    uri = rp.push()
    parties = [rp.in_another_browser() for _ in range(6)]
    found = at_once(lambda number: parties[number].send_pushed(uri).status_code, 6)
    assert sorted(found) == [303, 400, 400, 400, 400, 400]


# -- People reload pages -----------------------------------------------------------------------


def test_a_reload_before_sign_in_finds_the_same_page(rp, db):
    uri = rp.push()
    first = rp.follow(rp.send_pushed(uri))
    again = rp.follow(rp.send_pushed(uri))
    assert again.request.args["i"] == first.request.args["i"]
    assert db.scalar(select(func.count()).select_from(ParkedRequest)) == 1
    assert rp.redeem(rp.read_answer(rp.sign_in(again)).code)
    assert refused(rp.send_pushed(uri))


def test_a_button_pressed_twice_parks_once(rp, db):
    """Both requests of one browser are on their way at the same moment: each finds the same page."""
    rp.browser.get("/sign-in")
    cookie = rp.browser.get_cookie("idp_browser").value
    uri = rp.push()
    tabs = [rp.in_another_browser() for _ in range(2)]
    for tab in tabs:
        tab.browser.set_cookie("idp_browser", cookie)
    pages = at_once(lambda number: tabs[number].follow(tabs[number].send_pushed(uri)), 2)
    assert len({page.request.args["i"] for page in pages}) == 1
    assert db.scalar(select(func.count()).select_from(ParkedRequest)) == 1


def test_a_reload_is_good_for_as_long_as_the_page_is(rp, settings, clock):
    uri = rp.push()
    rp.follow(rp.send_pushed(uri))
    clock.advance(settings.interaction_lifetime - 1)
    assert 'id="login-submit"' in rp.follow(rp.send_pushed(uri)).text
    clock.advance(2)
    assert refused(rp.send_pushed(uri))


def test_a_reload_in_another_browser_finds_nothing(rp):
    uri = rp.push()
    rp.follow(rp.send_pushed(uri))
    other = rp.in_another_browser()
    other.browser.get("/sign-in")
    assert refused(other.send_pushed(uri))


def test_a_form_from_another_site_uses_nothing_up_before_cookies_came(rp, app):
    uri = rp.push()
    sent = {"client_id": rp.metadata.client_id, "request_uri": uri}
    response = app.test_client().post("/oauth/authorize", data=sent)
    assert response.status_code == 303
    assert urlsplit(response.headers["Location"]).path == "/oauth/authorize"
    assert rp.authorize(sent=rp.send_pushed(uri)).code


# -- Clients that must push, and request objects that are pushed ----------------------------------


def test_an_app_that_must_push_is_refused_without(relying_party, ada):
    rp = relying_party(require_pushed_authorization_requests=True)
    answer = rp.ask()
    assert answer.error == "invalid_request"
    assert "push" in answer.parameters["error_description"]
    assert shown_error(rp.send(redirect_uri="https://evil.example.org/")).parameter == "request_uri"
    assert rp.redeem(rp.authorize(sent=rp.send_pushed(rp.push())).code)


def test_a_signed_request_through_the_browser_is_none_that_was_pushed(relying_party, ada):
    rp = relying_party(jwks=public_jwks(), require_pushed_authorization_requests=True)
    beside = {"client_id": rp.metadata.client_id, "redirect_uri": rp.redirect_uri, "state": "outside"}
    response = rp.send_object(signed, beside=beside)
    rp.state = "outside"
    assert rp.read_answer(response).error == "invalid_request"


def test_a_pushed_request_object_counts_alone(relying_party, ada, db):
    rp = relying_party(jwks=public_jwks(), require_signed_request_object=True)
    claims = {**rp.authorization_parameters(scope="openid email"), "iss": rp.metadata.client_id, "aud": rp.issuer}
    response = rp.post("pushed_authorization_request_endpoint", request=signed(claims), state="other")
    assert response.status_code == 201, response.text
    tokens = rp.redeem(rp.authorize(sent=rp.send_pushed(response.json["request_uri"])).code)
    assert "email" in rp.userinfo(tokens)
    assert rows(db)[0].source == "request_object"
    unsigned = rp.request_push()
    assert (unsigned.status_code, error_of(unsigned)) == (400, "invalid_request")


def test_a_pushed_object_of_another_client_is_refused(relying_party, ada):
    rp = relying_party(jwks=public_jwks())
    claims = {**rp.authorization_parameters(), "client_id": "another"}
    response = rp.post("pushed_authorization_request_endpoint", request=signed(claims))
    assert (response.status_code, error_of(response)) == (400, "invalid_request_object")
