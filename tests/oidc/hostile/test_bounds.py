"""Cheap requests that cause expensive work (denial of service by amplification): each has its bound.

What is fetched for apps has its bounds in `test_ssrf.py`. RFC 9126 section 7, RFC 7591 section 5, RFC 8628 section 5.1.
"""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import func, select

from idp.accounts import passwords, throttle
from idp.models import AuditEvent, Client, DeviceAuthorization, ParkedRequest, PushedRequest, SeenAssertion
from idp.oidc import codes, dpop_nonces
from idp.oidc.clients import DEVICE_CODE_GRANT
from tests.oidc.registering import ask_to_register, party, registered
from tests.relying_party import RelyingParty, error_of
from tests.web.page_driver import form_with


@pytest.fixture
def settings(settings):
    """A provider where one address may fail three times, so that bounds are near."""
    return replace(settings, throttle_address_burst=3, throttle_address_interval=60)


WAITING_MOST = 3 * throttle.REQUESTS_FOR_ATTEMPT


def count(db, table):
    """Return how many rows there are."""
    db.rollback()
    return db.scalar(select(func.count()).select_from(table))


def test_requests_that_wait_for_a_person(rp, db, app):
    """Rows of strangers: each authorization request without a session parks a row; one network parks so many."""
    for _ in range(WAITING_MOST):
        browser = app.test_client()  # never the same browser, as the attacker has it
        response = browser.get("/oauth/authorize", query_string=rp.authorization_parameters())
        assert urlsplit(response.headers["Location"]).path == "/sign-in"
    for _ in range(5):
        response = app.test_client().get("/oauth/authorize", query_string=rp.authorization_parameters())
        assert response.status_code == 429
        assert int(response.headers["Retry-After"]) > 0
        assert 'id="error-page"' in response.text
    assert count(db, ParkedRequest) == WAITING_MOST


def test_others_are_served_while_one_network_floods(rp, db, app, clock):
    """A bound that locks out everybody would be the attack itself: another network parks on, and later this one too."""
    for _ in range(WAITING_MOST + 1):
        flooded = app.test_client().get("/oauth/authorize", query_string=rp.authorization_parameters())
    assert flooded.status_code == 429
    sent = rp.authorization_parameters()
    elsewhere = app.test_client().get("/oauth/authorize", query_string=sent, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 303
    clock.advance(60)
    rp.log_in()


def test_who_is_signed_in_is_not_counted(rp, app, settings):
    """Single sign-on parks nothing, and so costs no row and no place."""
    rp.log_in()
    for _ in range(WAITING_MOST + 5):
        assert rp.ask().code


@pytest.mark.parametrize("wanted", ["image", "iframe", "empty"])
def test_a_page_of_anybody_s_takes_no_place_of_its_visitors_network(rp, db, wanted):
    """Pictures and frames of the authorization endpoint, in thousands: nobody in that office could sign in any more."""
    for _ in range(WAITING_MOST + 1):
        sent = rp.authorization_parameters()
        shown = rp.browser.get("/oauth/authorize", query_string=sent, headers={"Sec-Fetch-Dest": wanted})
        assert shown.status_code == 400
        assert "cannot be shown inside another one" in shown.text
    assert count(db, ParkedRequest) == 0
    silent = rp.authorization_parameters(prompt="none")
    answer = rp.browser.get("/oauth/authorize", query_string=silent, headers={"Sec-Fetch-Dest": wanted})
    assert rp.read_answer(answer).error == "login_required", "which is what frames are for"
    rp.log_in()


def test_requests_that_are_pushed_by_nobody_in_particular(public_rp, db):
    """RFC 9126 section 7: whoever knows the id of a public app can push in its name; one network pushes so many."""
    for _ in range(WAITING_MOST):
        assert public_rp.request_push().status_code == 201
    for _ in range(5):
        assert public_rp.request_push().status_code == 429
    assert count(db, PushedRequest) == WAITING_MOST
    assert public_rp.log_in().access_token, "a page of anybody's may have pushed these by its visitors' browsers"


def test_requests_that_are_pushed_by_whoever_registered(app, db, clock):
    """Where anyone registers an app, a secret proves nothing; and what was pushed would be parked without a charge."""
    stranger = party(app, registered(app))
    for _ in range(WAITING_MOST):
        pushed = {"client_id": stranger.metadata.client_id, "request_uri": stranger.push()}
        assert app.test_client().get("/oauth/authorize", query_string=pushed).status_code == 303
    for _ in range(5):
        assert stranger.request_push().status_code == 429
    assert count(db, ParkedRequest) == count(db, PushedRequest) == WAITING_MOST
    clock.advance(60)
    assert stranger.request_push().status_code == 201


def test_requests_that_are_pushed_by_apps_that_the_operator_registered(rp, app):
    """These come from the app's own server, for all its people, who may well be in one network."""
    for _ in range(WAITING_MOST + 5):
        pushed = {"client_id": rp.metadata.client_id, "request_uri": rp.push()}
        assert app.test_client().get("/oauth/authorize", query_string=pushed).status_code == 303


def test_what_a_row_holds_is_bounded(rp, db):
    """Large rows: what is not read is not kept, and what is read has 16 KiB together at most."""
    stuffing = {f"x{number}": "y" * 500 for number in range(80)}
    rp.browser.post("/oauth/authorize", data={"a": "b"})
    response = rp.send(method="POST", **stuffing)
    assert rp.follow(response).status_code in (200, 400)
    (row,) = db.scalars(select(ParkedRequest.parameters))
    assert not any(name.startswith("x") for name in row)
    names = ("login_hint", "ui_locales", "acr_values", "claims_locales", "display", "prompt")
    asked = rp.request_push(**dict.fromkeys(names, "z" * 3_000))
    assert asked.status_code == 400


def test_software_that_registers_without_end(app, db):
    """RFC 7591 section 5: one network registers so many clients."""
    statuses = [ask_to_register(app).status_code for _ in range(throttle.CLIENTS_BURST + 5)]
    assert statuses.count(201) == throttle.CLIENTS_BURST
    assert statuses[-1] == 429
    assert count(db, Client) == throttle.CLIENTS_BURST


def test_registrations_that_fail_are_counted(app):
    """RFC 7591 section 5: a registration that is refused has cost work as well."""
    statuses = {ask_to_register(app, redirect_uris=["x"]).status_code for _ in range(throttle.CLIENTS_BURST + 5)}
    assert statuses == {400, 429}


def test_devices_that_ask_without_end(relying_party, ada, db):
    """RFC 8628 section 5.1: one network has so many devices wait under the name of a public client."""
    rp = relying_party(
        grant_types=(DEVICE_CODE_GRANT,), response_types=(), redirect_uris=(), token_endpoint_auth_method="none"
    )
    statuses = [rp.post("device_authorization_endpoint", scope="openid").status_code for _ in range(10)]
    assert statuses.count(200) == 3
    assert count(db, DeviceAuthorization) == 3


def test_user_codes_that_are_guessed(rp, app, db):
    """RFC 8628 section 5.1: so many guesses at the codes of others' devices, whoever is signed in."""
    rp.log_in()
    answers = [rp.browser.get("/device", query_string={"user_code": f"BCDF-GHJ{each}"}) for each in "BCDFGHJKLM"]
    assert [answer.status_code for answer in answers].count(422) <= 4
    assert answers[-1].status_code == 429


def test_refusals_fill_no_disk(rp, db):
    """Evidence as a weapon: refusals are written down, but only so many of one network."""
    for number in range(20):
        rp.browser.post(
            "/oauth/token", data={"grant_type": "x", "client_id": f"made-up-{number}", "client_secret": "x"}
        )
        wrong = {"client_id": rp.metadata.client_id, "client_secret": "wrong"}
        assert error_of(rp.browser.post("/oauth/introspect", data=wrong)) == "invalid_client"
    assert count(db, AuditEvent) < 20
    assert count(db, SeenAssertion) == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        {"grant_type": "authorization_code", "code": "idp_ac_made-up"},
        {"grant_type": "refresh_token", "refresh_token": "idp_rt_made-up"},
        {"grant_type": DEVICE_CODE_GRANT, "device_code": "idp_dc_made-up"},
    ],
    ids=lambda form: form["grant_type"],
)
def test_proofs_beside_nonsense_fill_no_disk(relying_party, ada, settings, db, nonsense):
    """A key and a proof of it cost nothing, and a public app needs no secret."""
    rp = relying_party(
        token_endpoint_auth_method="none",
        application_type="native",
        redirect_uris=("http://127.0.0.1/callback",),
        grant_types=("authorization_code", "refresh_token", DEVICE_CODE_GRANT),
    )
    rp.dpop_nonce = dpop_nonces.current_nonce(settings)
    for _ in range(5):
        rp.dpop_key = ECKey.generate_key("P-256")
        response = rp.post("token_endpoint", **{"redirect_uri": rp.redirect_uri, **nonsense})
        assert error_of(response) == "invalid_grant"
    assert count(db, SeenAssertion) == 0


def test_proofs_beside_a_code_of_long_ago_fill_no_disk(public_rp, settings, db, clock):
    """Whoever was let in once has one for ever."""
    code = public_rp.authorize().code
    clock.advance(settings.authorization_code_lifetime + codes.REUSE_COUNTS_FOR)
    public_rp.dpop_key, public_rp.dpop_nonce = ECKey.generate_key("P-256"), dpop_nonces.current_nonce(settings)
    assert error_of(public_rp.request_tokens(code)) == "invalid_grant"
    assert count(db, SeenAssertion) == 0


def test_proofs_with_requests_that_nobody_in_particular_pushes(public_rp, settings, db):
    public_rp.dpop_key, public_rp.dpop_nonce = ECKey.generate_key("P-256"), dpop_nonces.current_nonce(settings)
    assert error_of(public_rp.request_push(scope="unknown")) == "invalid_scope"
    assert count(db, SeenAssertion) == 0
    for _ in range(WAITING_MOST + 5):
        public_rp.request_push()
    assert count(db, SeenAssertion) == WAITING_MOST


def test_passwords_are_hashed_so_often_only(rp, app, monkeypatch):
    """Hashing as a weapon: a refused attempt costs no bcrypt once the bucket is empty."""
    hashed = []
    is_right = passwords.is_right
    monkeypatch.setattr(passwords, "is_right", lambda *given: hashed.append(1) or is_right(*given))
    for number in range(12):
        browser = app.test_client()
        action, fields = form_with(browser.get("/sign-in"), "login-submit")
        browser.post(action, data={**fields, "username": f"somebody{number}", "password": "wrong wrong wrong"})
    assert 0 < len(hashed) <= 4


def test_a_flood_of_what_is_refused_writes_nothing(target: RelyingParty, db):
    """Requests that are refused park no row and start no session."""
    for _ in range(30):
        target.ask(response_type="nothing")
        target.ask(prompt="none")
        target.send(redirect_uri="https://evil.example.net/")
    assert count(db, ParkedRequest) == 0


def test_headers_that_list_thousands(target):
    """What a browser accepts is read to a length: sorting thousands of entries would take longer than a password."""
    shown = target.browser.get("/nowhere", headers={"Accept": "a/b," * 12_000 + "application/json"})
    assert shown.mimetype == "text/html"
    assert (
        '<html lang="en">'
        in target.browser.get("/sign-in", headers={"Accept-Language": "x;q=0.1," * 7_000 + "de"}).text
    )
    short = target.browser.get("/nowhere", headers={"Accept": "a/b," * 100 + "application/json"})
    assert short.mimetype == "application/problem+json"
