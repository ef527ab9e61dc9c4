"""How apps prove who they are at the endpoints that they call themselves."""

import base64
import logging
from urllib.parse import quote_plus

import pytest
from sqlalchemy import select

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.models import AuditEvent
from idp.oidc.client_store import register_client, remove_client, rotate_secret
from idp.oidc.clients import ClientMetadata
from tests.factories import REDIRECT_URI
from tests.relying_party import error_of

ENDPOINTS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")
FORM = {"grant_type": "client_credentials", "token": "unknown"}


@pytest.fixture
def service(relying_party):
    """An app with a secret."""
    return relying_party(grant_types=("client_credentials",), redirect_uris=())


@pytest.fixture
def call(service):
    """Call an endpoint with a certain Authorization header and form."""

    def send(header=None, endpoint="/oauth/token", **form):
        headers = {} if header is None else {"Authorization": header}
        return service.browser.post(endpoint, data={**FORM, **form}, headers=headers)

    return send


def basic(client_id, secret):
    """Return HTTP Basic credentials, encoded by nothing but base64."""
    pair = f"{client_id}:{secret}".encode() if isinstance(client_id, str) else client_id + b":" + secret
    return "Basic " + base64.b64encode(pair).decode()


def challenged(response):
    """The client tried Basic: it hears how to do it right (RFC 6749 section 5.2)."""
    assert response.status_code == 401, response.text
    assert error_of(response) == "invalid_client"
    assert response.headers["WWW-Authenticate"].startswith('Basic realm="idp"')


def refused(response, error="invalid_client"):
    """The client hears no, without a challenge."""
    assert response.status_code == 400, response.text
    assert error_of(response) == error


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_may_come_in_the_header_or_the_form(service, endpoint, method):
    name = {"/oauth/token": "token", "/oauth/introspect": "introspection", "/oauth/revoke": "revocation"}[endpoint]
    assert service.post(f"{name}_endpoint", method, **FORM).status_code == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_wrong_secret_is_refused(service, call, endpoint):
    challenged(call(basic(service.metadata.client_id, "wrong"), endpoint))
    refused(call(endpoint=endpoint, client_id=service.metadata.client_id, client_secret="wrong"))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_unknown_client_is_refused(call, endpoint):
    challenged(call(basic("nobody", "x"), endpoint))
    refused(call(endpoint=endpoint, client_id="nobody", client_secret="x"))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_no_client_at_all_is_refused(call, endpoint):
    refused(call(endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_confidential_client_cannot_leave_its_secret_out(service, call, endpoint):
    refused(call(endpoint=endpoint, client_id=service.metadata.client_id))
    challenged(call(basic(service.metadata.client_id, ""), endpoint))


def test_a_public_client_sends_its_id_alone(public_rp):
    public_rp.log_in()
    form = {**FORM, "client_id": public_rp.metadata.client_id}
    assert public_rp.browser.post("/oauth/revoke", data=form).status_code == 200


@pytest.mark.parametrize("secret", ["", "invented"])
def test_a_public_client_has_no_secret_to_send(public_rp, secret):
    code = public_rp.authorize().code
    header = {"Authorization": basic(public_rp.metadata.client_id, secret)}
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": public_rp.redirect_uri}
    challenged(public_rp.browser.post("/oauth/token", data=form, headers=header))
    public_rp.redeem(code)


def test_a_public_client_cannot_introspect(public_rp):
    refused(public_rp.post("introspection_endpoint", token=public_rp.log_in().access_token))


def test_two_methods_at_once_are_refused(service, call):
    header = basic(service.metadata.client_id, service.secret)
    refused(call(header, client_secret=service.secret), "invalid_request")
    refused(call(header, client_id="another"), "invalid_request")


def test_the_id_may_be_repeated_in_the_form(service, call):
    """Many libraries do so."""
    header = basic(service.metadata.client_id, service.secret)
    assert call(header, client_id=service.metadata.client_id).status_code == 200


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_doubled_credentials_are_refused(service, name):
    pairs = [("grant_type", "client_credentials"), ("client_id", service.metadata.client_id)]
    pairs += [("client_secret", service.secret), (name, "other")]
    body = "&".join(f"{key}={value}" for key, value in pairs)
    response = service.browser.post("/oauth/token", data=body, content_type="application/x-www-form-urlencoded")
    refused(response, "invalid_request")


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic %%%",
        "Basic é",
        "Basic YQ",  # cut padding
        "Basic " + base64.b64encode(b"\xff\xfe:secret").decode(),
        "Basic " + base64.b64encode(b"%ff:secret").decode(),
        "Basic " + base64.b64encode(b"id\x00:secret").decode(),
        "Basic " + base64.b64encode(b"id:%00").decode(),
        'Digest username="a"',
        "Bearer token",
        '"',
        "\\",
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_malformed_header_is_refused(call, endpoint, header):
    challenged(call(header, endpoint))


@pytest.mark.parametrize("header", ["the-secret-itself", "Basic\tdGhlOnNlY3JldC1pdHNlbGY="])
def test_what_stands_in_the_place_of_a_scheme_is_not_repeated(call, header):
    """Clients write down what we answer, and that may be their secret."""
    response = call(header)
    challenged(response)
    assert header.split()[-1] not in response.text + str(response.headers)


@pytest.mark.parametrize("pair", [b"id\x00:secret", b"id:%00"])
def test_a_nul_never_reaches_the_database(call, counted, pair):
    """PostgreSQL refuses text with a NUL; that must not become a 500."""
    with counted() as traffic:
        challenged(call("Basic " + base64.b64encode(pair).decode()))
    assert traffic.statements == []


def test_the_scheme_is_read_in_any_case(service, call):
    header = basic(service.metadata.client_id, service.secret)
    assert call(header.replace("Basic", "bAsIc")).status_code == 200


@pytest.mark.parametrize("encode", [quote_plus, str], ids=["encoded", "as_it_is"])
@pytest.mark.parametrize("secret", ["plus+and space", "colon:colon", "per%20cent", "per%e4cent", "slash/equals=and&"])
def test_credentials_in_the_header_are_form_urlencoded(app, db, settings, secret, encode):
    """RFC 6749 section 2.3.1; but Authlib, requests and others send them as they are."""
    secret = secret.ljust(16, "x")
    metadata = ClientMetadata(
        client_id="job", client_name="Job", grant_types=("client_credentials",), response_types=()
    )
    register_client(db, settings, OPERATOR, metadata, secret=secret)
    db.commit()
    headers = {"Authorization": basic("job", encode(secret))}
    response = app.test_client().post("/oauth/token", data=FORM, headers=headers)
    assert response.status_code == 200
    headers = {"Authorization": basic("job", quote_plus(encode(secret) + "x"))}
    challenged(app.test_client().post("/oauth/token", data=FORM, headers=headers))


@pytest.mark.parametrize("endpoint", ["/oauth/token", "/oauth/introspect"])
def test_a_public_app_hears_what_is_for_confidential_ones(public_rp, endpoint):
    """Not that it must authenticate with none, which it did."""
    response = public_rp.browser.post(endpoint, data={**FORM, "client_id": public_rp.metadata.client_id})
    refused(response)
    assert response.json["error_description"] == "This is for clients that prove who they are: with a secret or keys."


def test_secrets_in_the_query_are_not_read(service):
    query = {"client_id": service.metadata.client_id, "client_secret": service.secret}
    refused(service.browser.post("/oauth/token", query_string=query, data=FORM))


def test_a_refusal_is_written_down(service, call, db):
    own = service.metadata.client_id
    call(basic(own, "wrong"))
    call(basic("nobody", "wrong"))
    call(client_id=own)
    events = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:authentication:refuse"))
    assert {(event.client_id, event.details["reason"]) for event in events} == {
        (own, "wrong_secret"),
        (None, "unknown_client"),
        (own, "wrong_method"),
    }


def test_an_app_that_swaps_its_id_and_its_secret_has_it_repeated_nowhere(service, call, db, caplog):
    """Nobody but the app needs it: its beginning tells which secret to exchange (OWASP Logging, data to exclude)."""
    own, secret = service.metadata.client_id, "tea.for.two.and.two"
    with caplog.at_level(logging.INFO):
        answers = [call(basic(secret, own)), call(client_id=secret, client_secret=own), call(client_id=secret)]
        answers.append(service.browser.get("/oauth/authorize", query_string={"client_id": secret}))
    for answer in answers:
        assert secret not in answer.text
        assert "tea.fo... (19 characters)" in answer.text
    assert secret not in caplog.text
    assert caplog.text.count("tea.fo... (19 characters)") == 4
    events = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:authentication:refuse")).all()
    told = {"reason": "unknown_client", "sent": "tea.fo... (19 characters)"}
    assert [(event.client_id, event.details) for event in events] == [(None, told)] * 3


def test_secrets_are_stored_as_digests_and_compared_in_constant_time(service, monkeypatch):
    compared = []
    real = crypto.is_digest_of
    monkeypatch.setattr(crypto, "is_digest_of", lambda *pair: compared.append(pair) or real(*pair))
    assert service.post("token_endpoint", grant_type="client_credentials").status_code == 200
    assert compared == [(service.secret, crypto.digest(service.secret))]
    assert service.secret not in str(service.metadata)


# -- The cache of clients follows the database --------------------------------------------


def test_a_rotated_secret_counts_at_once(service, call, db, settings):
    old, fresh = service.secret, rotate_secret(db, settings, OPERATOR, service.metadata.client_id)
    assert call(basic(service.metadata.client_id, old)).status_code == 200
    db.commit()
    challenged(call(basic(service.metadata.client_id, old)))
    assert call(basic(service.metadata.client_id, fresh)).status_code == 200


def test_a_removed_client_is_unknown_at_once(service, call, db):
    header = basic(service.metadata.client_id, service.secret)
    assert call(header).status_code == 200
    remove_client(db, OPERATOR, service.metadata.client_id)
    db.commit()
    challenged(call(header))


def test_a_client_that_takes_a_removed_one_s_id_is_another_one(relying_party, ada, db, settings):
    """Nothing of the first is remembered: neither its secret nor where it may be answered."""
    first = relying_party(client_id="weather")
    first.log_in()
    remove_client(db, OPERATOR, "weather")
    second = ClientMetadata(client_id="weather", client_name="New", redirect_uris=("https://new.example.org/",))
    register_client(db, settings, OPERATOR, second)
    db.commit()
    assert first.send(redirect_uri=REDIRECT_URI).status_code == 400
    challenged(first.request_tokens("any"))
