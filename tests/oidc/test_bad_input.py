"""Whatever arrives: a clear error, never a 500, never a redirect to where nobody registered, nothing lost."""

import base64
import hmac
import json
from urllib.parse import parse_qsl, quote, quote_from_bytes, unquote_to_bytes, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select

from idp.models import BrowserSession
from idp.oidc.id_token_hint import read_hint
from tests.relying_party import RelyingParty, decode, error_of, shown_error

FORM = "application/x-www-form-urlencoded"
AUTHORIZE, TOKEN, USERINFO = "/oauth/authorize", "/oauth/token", "/oauth/userinfo"
PAR, INTROSPECT, REVOKE, END_SESSION = "/oauth/par", "/oauth/introspect", "/oauth/revoke", "/oauth/end-session"
METHODS = {
    AUTHORIZE: {"GET", "POST"},
    PAR: {"POST"},
    TOKEN: {"POST"},
    INTROSPECT: {"POST"},
    REVOKE: {"POST"},
    USERINFO: {"GET", "POST"},
    END_SESSION: {"GET", "POST"},
    END_SESSION + "/confirm": {"POST"},
    "/oauth/jwks": {"GET"},
    "/.well-known/openid-configuration": {"GET"},
}
AUTHORIZATION_PARAMETERS = (
    "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age",
    "login_hint", "id_token_hint", "acr_values", "ui_locales", "claims_locales", "display", "claims", "code_challenge",
    "code_challenge_method", "request", "request_uri", "registration", "resource", "dpop_jkt",
)  # fmt: skip
TOKEN_PARAMETERS = (
    "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "client_id", "client_secret",
    "client_assertion", "client_assertion_type", "token", "token_type_hint", "access_token",
)  # fmt: skip
LOGOUT_PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales", "logout_hint")


def assert_kind(response, rp: RelyingParty) -> None:
    """An answer of the authorization or end session endpoint: a page, an error page, or a redirect that is allowed."""
    location = response.headers.get("Location")
    if response.status_code == 303 and location.startswith(rp.issuer + "/oauth/"):
        # A form that came without cookies is sent once more, by GET.
        assert response.request.method == "POST"
        response = rp.browser.get(location.removeprefix(rp.issuer))
        location = response.headers.get("Location")
    assert response.status_code < 500, response.text
    if location is None:
        assert response.status_code in (200, 400, 413), response.status_code
        if response.status_code != 200:
            assert 'id="error-page"' in response.text
            assert 'id="error-code"' in response.text
        return
    assert response.status_code == 303
    if rp.is_ours(location):
        assert urlsplit(location).path in ("/sign-in", "/register", "/choose-account", "/consent", "/signed-out")
        return
    registered = (*rp.metadata.redirect_uris, *rp.metadata.post_logout_redirect_uris)
    assert location.split("?")[0] in registered, location
    if location.startswith(rp.redirect_uri):
        answer = dict(parse_qsl(urlsplit(location).query, strict_parsing=True))
        assert answer["iss"] == rp.issuer
        assert ("code" in answer) != ("error" in answer)


def assert_json(response) -> None:
    """An answer of an endpoint for programs: tokens or claims, or an OAuth error."""
    assert response.status_code in (200, 400, 401, 403), response.text
    assert response.mimetype == "application/json"
    if response.status_code != 200 and response.json:
        assert error_of(response)
    if response.status_code in (401, 403):
        assert response.headers["WWW-Authenticate"].startswith(("Basic ", "Bearer "))


def raw(browser, path, *, method="GET", **environ):
    """Send bytes that no decent library would send."""
    return browser.open(path, method=method, environ_overrides=environ)


@pytest.fixture
def rp(relying_party, ada) -> RelyingParty:
    """An app with a place to return to after sign-out."""
    return relying_party(post_logout_redirect_uris=("https://app.example.org/bye",))


# -- The authorization request ------------------------------------------------------------


@pytest.mark.parametrize("client_id", [None, "nobody", "é", "a" * 5_000, "<script>", "' or 1=1 --", "\u202e"])
def test_a_wrong_client_is_shown(rp, client_id):
    error = shown_error(rp.send(client_id=client_id))
    assert error.parameter == "client_id"
    assert error.code == ("invalid_request" if client_id is None else "invalid_client")


def test_what_was_sent_is_never_markup(rp):
    response = rp.send(client_id="<script>alert(1)</script>")
    assert "<script" not in response.text


@pytest.mark.parametrize("name", AUTHORIZATION_PARAMETERS)
def test_a_doubled_parameter_is_refused(rp, name):
    parameters = rp.authorization_parameters()
    sent = urlencode([*parameters.items(), (name, parameters.get(name, "x")), (name, "other")])
    response = rp.browser.get(AUTHORIZE, query_string=sent)
    if name == "resource":  # the one that may come more than once (RFC 8707)
        assert rp.read_answer(response).error == "invalid_target"
        return
    if name in ("client_id", "redirect_uri"):
        assert shown_error(response).parameter == name
        return
    if name == "state":
        rp.state = ""  # which of them would be the right one?
    answer = rp.read_answer(response)
    assert answer.error == "invalid_request"
    assert name in answer.parameters["error_description"]


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "max_age"])
def test_an_empty_parameter_counts_as_left_out(rp, name):
    """RFC 6749 section 3.1."""
    empty, left_out = rp.send(**{name: ""}), rp.send(**{name: None})
    assert empty.status_code == left_out.status_code

    def target(response):
        return urlsplit(response.headers.get("Location", "")).path

    assert target(empty) == target(left_out)


@pytest.mark.parametrize(
    "state",
    ["~" * 4_096, "a b+c%20&=#;?/", "ünïcödé 😀 \u202e", "\r\nSet-Cookie: a=b", "\t", '"quoted" \\ back', "<b>", "%00"],
)
def test_state_comes_back_byte_for_byte(rp, state):
    assert rp.ask(prompt="none", state=state).parameters["state"] == state
    rp.log_in(state=state)  # through parking, pages and all
    response = rp.send(prompt="none", state=state)
    assert "Set-Cookie" not in response.headers
    pairs = [pair.partition("=") for pair in urlsplit(response.headers["Location"]).query.split("&")]
    sent = next(value for name, _, value in pairs if name == "state")
    assert unquote_to_bytes(sent.replace("+", " ")) == state.encode()


def test_a_state_that_is_too_long_is_refused_and_comes_back(rp):
    state = "s" * 4_097
    assert rp.ask(state=state).error == "invalid_request"
    assert rp.state == state


@pytest.mark.parametrize("name", ["nonce", "claims", "login_hint", "ui_locales", "acr_values", "id_token_hint"])
def test_other_very_long_parameters_do_no_harm(rp, name):
    assert_kind(rp.send(method="POST", **{name: "x" * 30_000}), rp)


@pytest.mark.parametrize("query", ["%ff", "state=%ff", "client_id=%c3%28", "%ed%a0%80=1", "a=%00", "%00=a", "a=\x00"])
def test_what_is_no_utf_8_or_holds_nul_is_shown(rp, query):
    own = urlencode(rp.authorization_parameters())
    for sent in (query, f"{own}&{query}"):
        assert shown_error(rp.browser.get(AUTHORIZE, query_string=sent)).code == "invalid_request"
        assert shown_error(rp.browser.post(AUTHORIZE, data=sent, content_type=FORM)).code == "invalid_request"


@pytest.mark.parametrize(
    "query",
    ["\xff\xfe", "client_id=\xe9", "ui_locales=\xe9\xff"],
)
def test_raw_bytes_in_the_query_are_shown(rp, query):
    for sent in (query, f"{urlencode(rp.authorization_parameters())}&{query}"):
        assert shown_error(raw(rp.browser, AUTHORIZE, QUERY_STRING=sent)).code == "invalid_request"
    assert shown_error(raw(rp.browser, END_SESSION, QUERY_STRING=query)).code == "invalid_request"


def test_an_error_repeats_the_beginning_of_what_was_sent(rp):
    """Else the way back to the app could be longer than what stands before it takes."""
    response = rp.send(prompt="x" * 5_000)
    assert rp.read_answer(response).error == "invalid_request"
    assert len(response.location) < 500


def test_ten_thousand_parameters_are_refused(rp):
    many = "&".join(f"p{number}=1" for number in range(10_000))
    assert shown_error(raw(rp.browser, AUTHORIZE, QUERY_STRING=many)).code == "invalid_request"
    assert shown_error(raw(rp.browser, END_SESSION, QUERY_STRING=many)).code == "invalid_request"
    few = many[:60_000]
    assert shown_error(rp.browser.post(AUTHORIZE, data=few, content_type=FORM)).code == "invalid_request"
    for path in (PAR, TOKEN, INTROSPECT, REVOKE, USERINFO):
        response = rp.browser.post(path, data=few, content_type=FORM)
        assert response.status_code == 400
        assert error_of(response) == "invalid_request"


@pytest.mark.parametrize("path", [AUTHORIZE, END_SESSION, PAR, TOKEN, INTROSPECT, REVOKE])
@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", "", "\xff"]
)
def test_other_content_types_are_refused(rp, path, content_type):
    response = rp.browser.post(path, data=b'{"client_id": "x"}', content_type=content_type)
    assert response.status_code == 400
    if path in (AUTHORIZE, END_SESSION):
        assert shown_error(response).code == "invalid_request"
    else:
        assert error_of(response) == "invalid_request"


@pytest.mark.parametrize("content_type", [f"{FORM}; charset=UTF-8", f"{FORM} ;charset=utf-8", FORM.title()])
def test_a_form_is_one_however_its_content_type_is_written(client, content_type):
    """Its type is read in any case, and what stands behind it says nothing (RFC 9110 section 8.3.1)."""
    response = client.post(TOKEN, data="grant_type=magic", content_type=content_type)
    assert error_of(response) == "unsupported_grant_type"


@pytest.mark.parametrize(
    "path", [AUTHORIZE, END_SESSION, PAR, TOKEN, INTROSPECT, REVOKE, USERINFO, END_SESSION + "/confirm"]
)
def test_huge_bodies_are_refused(rp, path):
    response = rp.browser.post(path, data="a=" + "x" * 70_000, content_type=FORM)
    assert response.status_code == 413
    if path.startswith((AUTHORIZE, END_SESSION)):
        assert 'id="error-page"' in response.text
    else:
        assert (response.mimetype, response.json["code"]) == ("application/problem+json", "too_large")


@pytest.mark.parametrize("path", [TOKEN, USERINFO, "/sign-in"])
def test_a_length_that_nobody_can_read_is_none(rp, path):
    """The server lets thousands of zeros through, and Python makes no number of so many digits."""
    for length in ("0" * 5_000 + "5", "-1", "five", ""):
        response = raw(rp.browser, path, method="POST", CONTENT_LENGTH=length, CONTENT_TYPE=FORM)
        assert response.status_code in (400, 401)


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_wrong_methods_are_refused_and_right_ones_named(rp, path, method):
    if method in METHODS[path]:
        return
    response = rp.browser.open(path, method=method)
    assert response.status_code == 405
    assert METHODS[path] <= set(response.headers["Allow"].split(", "))


# -- Cookies and headers ---------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "forged", "\xff\xfe", "a" * 10_000, '"', "%00", "\x00", "x" * 43])
@pytest.mark.parametrize("name", ["idp_session", "idp_browser"])
def test_forged_cookies_open_nothing(rp, name, value):
    rp.log_in()
    browser = rp.browser.application.test_client(use_cookies=False)
    query = urlencode({**rp.authorization_parameters(), "prompt": "none"})
    response = raw(browser, AUTHORIZE, QUERY_STRING=query, HTTP_COOKIE=f"{name}={value}")
    assert rp.read_answer(response).error == "login_required"
    query = urlencode(rp.authorization_parameters())
    response = raw(browser, AUTHORIZE, QUERY_STRING=query, HTTP_COOKIE=f"{name}={value}")
    assert urlsplit(response.headers["Location"]).path == "/sign-in"
    page = raw(browser, "/sign-in", HTTP_COOKIE=f"{name}={value}")
    assert page.status_code == 200


def test_a_session_s_id_is_no_cookie(rp):
    """The id is in every ID token; the cookie's secret is not."""
    tokens = rp.log_in()
    rp.browser.delete_cookie("idp_session")
    rp.browser.set_cookie("idp_session", tokens.claims["sid"])
    assert rp.ask(prompt="none").error == "login_required"


@pytest.mark.parametrize("header", ["HTTP_USER_AGENT", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT", "HTTP_REFERER"])
@pytest.mark.parametrize("value", ["\xff\xfe\x80", "x" * 5_000, ";q=;;,,", "*/*;q=nan"])
def test_odd_headers_do_no_harm(rp, header, value):
    for path in (AUTHORIZE, "/sign-in", USERINFO, "/oauth/jwks"):
        assert raw(rp.browser, path, **{header: value}).status_code < 500


def test_of_a_long_user_agent_the_beginning_is_kept(rp, db):
    rp.browser.environ_base["HTTP_USER_AGENT"] = "x" * 5_000
    rp.log_in()
    assert db.scalar(select(BrowserSession.user_agent)) == "x" * 300


@pytest.mark.parametrize("host", ["\xff\xfe", "", "a b", "evil.example.org", pytest.param("x" * 64)])
def test_odd_hosts_do_no_harm(rp, host):
    for path in (AUTHORIZE, "/sign-in", USERINFO, "/oauth/jwks"):
        assert raw(rp.browser, path, HTTP_HOST=host).status_code < 500
    response = raw(rp.browser, AUTHORIZE, QUERY_STRING=urlencode(rp.authorization_parameters()), HTTP_HOST=host)
    assert_kind(response, rp)


@pytest.mark.parametrize("path", [PAR, TOKEN, INTROSPECT, REVOKE, USERINFO])
@pytest.mark.parametrize(
    "value", ["\xff\xfe", "Basic \xff\xfe", "Bearer \xff", "Bearer a b c", " ", "Basic" + " " * 99]
)
def test_odd_authorization_is_refused(rp, path, value):
    response = rp.browser.post(
        path, data={"grant_type": "authorization_code"}, environ_overrides={"HTTP_AUTHORIZATION": value}
    )
    assert_json(response)
    assert response.status_code in (400, 401)


# -- ID token hints ----------------------------------------------------------------------------


def parts_of(token):
    """Return header and claims of a JWS, unchecked."""
    return [json.loads(decode(part)) for part in token.split(".")[:2]]


def compact(header, claims, signature=b""):
    """Put a JWS together by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def forgeries(rp, token):
    """Return ID tokens that nobody should believe."""
    header, claims = parts_of(token)
    key = next(key for key in rp.keys().keys if key.kid == header["kid"])
    own = RSAKey.generate_key(2048)
    head = compact({"alg": "HS256", "kid": header["kid"]}, claims).rpartition(".")[0]
    hmacs = [hmac.digest(secret, head.encode(), "sha256") for secret in (key.as_pem(private=False), b"")]
    body, signature = token.split(".")[1:]
    return {
        "alg none": compact({**header, "alg": "none"}, claims),
        "alg None with the old signature": compact({**header, "alg": "None"}, claims) + signature,
        "HS256 with the public key": compact({"alg": "HS256", "kid": header["kid"]}, claims, hmacs[0]),
        "HS256 with nothing": compact({"alg": "HS256", "kid": header["kid"]}, claims, hmacs[1]),
        "own key": jwt.encode({"alg": "RS256", "kid": header["kid"]}, claims, own),
        "key in the header": compact({**header, "jwk": own.as_dict(private=False)}, claims, b"x"),
        "PS256 by the same key": compact({**header, "alg": "PS256"}, claims, decode(signature)),
        "ES256 header": compact({**header, "alg": "ES256"}, claims, decode(signature)),
        "kid with quotes": compact({**header, "kid": 'a"b\\c\r\n'}, claims, decode(signature)),
        "kid of no text": compact({**header, "kid": {"a": 1}}, claims, decode(signature)),
        "no kid": compact({"alg": "RS256"}, claims, decode(signature)),
        "altered claims": compact(header, {**claims, "sub": "x"}, decode(signature)),
        "crit": compact({**header, "crit": ["b64"], "b64": False}, claims, decode(signature)),
        "header of a list": compact([], claims, decode(signature)),
        "header of text": compact("RS256", claims, decode(signature)),
        "alg of a list": compact({**header, "alg": ["RS256"]}, claims, decode(signature)),
        "deep header": base64.urlsafe_b64encode(b'{"a":' + b"[" * 11_000).decode() + f".{body}.{signature}",
        "no signature": f"{token.rpartition('.')[0]}.",
        "cut": token[:-4],
        "two parts": ".".join(token.split(".")[:2]),
        "five parts": f"{token}.a.b",
        "no JWS": 'quo"te',
        "not ASCII": "é.é.é",
        "dots": "..",
        "long": "a" * 20_000,
    }


def test_a_forged_hint_is_refused_everywhere(rp):
    tokens = rp.log_in()
    for name, token in forgeries(rp, tokens.id_token).items():
        assert token != tokens.id_token
        response = rp.send(method="POST", prompt="none", id_token_hint=token)  # with cookies: Ada is signed in
        assert rp.read_answer(response).error == "invalid_request", name
        response = rp.request_logout(method="POST", id_token_hint=token)
        assert shown_error(response).parameter == "id_token_hint", name
    rp.ask(prompt="none", id_token_hint=tokens.id_token).code  # noqa: B018 - the real one is a hint, and still signed in


def test_an_access_token_is_no_hint(rp):
    tokens = rp.log_in()
    assert rp.ask(id_token_hint=tokens.access_token).error == "invalid_request"


def test_a_hint_of_another_issuer_is_refused(rp, app):
    tokens = rp.log_in()
    header, claims = parts_of(tokens.id_token)
    provider = app.extensions["idp_provider"]
    with app.app_context():
        key = provider.signing_key("RS256")
    for change in ({"iss": "https://elsewhere.example.org"}, {"aud": None}, {"sub": None}):
        altered = {name: value for name, value in {**claims, **change}.items() if value is not None}
        forged = jwt.encode({"alg": "RS256", "kid": header["kid"]}, altered, key)
        assert rp.ask(id_token_hint=forged).error == "invalid_request"


# -- Whatever hypothesis can think of --------------------------------------------------------------

quickly = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
anything = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", "none", "login", "openid", "code", "S256", "[]", "{}", "null", "0", "-1", '"', "\x00", "é"]
    ),
    st.text(alphabet="A1-_. ~%+&=/:?#\"'\\{}[]\r\n", max_size=60),
)
wild_bytes = st.one_of(st.binary(max_size=30), anything.map(lambda text: text.encode()))


def pairs(names):
    """Wild parameters, some with familiar names."""
    name = st.one_of(st.sampled_from(names).map(str.encode), wild_bytes)
    return st.lists(st.tuples(name, wild_bytes), max_size=12)


def encoded(parameters):
    """Return a query or form of such parameters."""
    return "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in parameters)


def changes(names):
    """A few changes to a correct request: another value, left out, or doubled."""
    return st.lists(
        st.tuples(st.sampled_from(names), st.sampled_from(["set", "drop", "double"]), anything), min_size=1, max_size=3
    )


def changed(parameters, wanted):
    """Apply such changes; returns pairs."""
    result = list(parameters.items())
    for name, action, value in wanted:
        if action != "double":
            result = [pair for pair in result if pair[0] != name]
        if action != "drop":
            result.append((name, value))
    return result


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_wild_authorization_requests(rp, is_signed_in):
    if is_signed_in:
        rp.log_in()

    @settings(quickly, max_examples=80)
    @given(pairs(AUTHORIZATION_PARAMETERS), st.booleans(), st.booleans())
    def send(parameters, is_known, is_posted):
        if is_known:
            known = {"client_id": rp.metadata.client_id, "redirect_uri": rp.redirect_uri}
            parameters = [*((name.encode(), value.encode()) for name, value in known.items()), *parameters]
        query = encoded(parameters)
        if is_posted:
            assert_kind(rp.browser.post(AUTHORIZE, data=query, content_type=FORM), rp)
        else:
            assert_kind(rp.browser.get(AUTHORIZE, query_string=query), rp)

    send()


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_almost_right_authorization_requests(rp, is_signed_in):
    if is_signed_in:
        rp.log_in()

    @settings(quickly, max_examples=150)
    @given(changes(AUTHORIZATION_PARAMETERS))
    def send(wanted):
        sent = changed(rp.authorization_parameters(), wanted)
        response = rp.browser.get(AUTHORIZE, query_string=urlencode(sent, quote_via=quote))
        assert_kind(response, rp)
        location = response.headers.get("Location", "")
        states = [value for name, value in sent if name == "state" and value]
        if location.startswith(rp.redirect_uri) and len(states) == 1:
            assert dict(parse_qsl(urlsplit(location).query))["state"] == states[0]

    send()


def test_almost_right_token_requests(rp):
    rp.log_in()

    @settings(quickly, max_examples=100)
    @given(changes(TOKEN_PARAMETERS), st.booleans())
    def send(wanted, is_refresh):
        if is_refresh:
            code = rp.ask(scope="openid offline_access").code
            token = rp.redeem(code).refresh_token
            form = {"grant_type": "refresh_token", "refresh_token": token}
        else:
            form = {"grant_type": "authorization_code", "code": rp.ask().code, "redirect_uri": rp.redirect_uri}
            form["code_verifier"] = rp.verifier
        form |= {"client_id": rp.metadata.client_id, "client_secret": rp.secret}
        body = urlencode(changed(form, wanted))
        assert_json(rp.browser.post(TOKEN, data=body, content_type=FORM))

    send()


@pytest.mark.parametrize("path", [PAR, TOKEN, INTROSPECT, REVOKE, USERINFO])
def test_wild_requests_of_programs(rp, path):
    header = st.one_of(
        st.none(),
        st.tuples(
            st.sampled_from(["Basic ", "Bearer ", "", "Bearer idp_at_"]),
            st.text(alphabet=st.characters(max_codepoint=255), max_size=40),
        ).map("".join),
        st.tuples(wild_bytes, wild_bytes).map(lambda pair: "Basic " + base64.b64encode(b":".join(pair)).decode()),
    )

    @settings(quickly, max_examples=60)
    @given(pairs(TOKEN_PARAMETERS), header, st.booleans())
    def send(parameters, authorization, is_authenticated):
        if is_authenticated and path != USERINFO:
            own = {"client_id": rp.metadata.client_id, "client_secret": rp.secret}
            parameters = [*((name.encode(), value.encode()) for name, value in own.items()), *parameters]
        environ = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
        response = rp.browser.post(path, data=encoded(parameters), content_type=FORM, environ_overrides=environ)
        assert_json(response)

    send()


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_wild_and_almost_right_sign_out_requests(rp, is_signed_in):
    tokens = rp.log_in()
    if not is_signed_in:
        rp.log_out(tokens.id_token)
    right = {
        "id_token_hint": tokens.id_token,
        "client_id": rp.metadata.client_id,
        "post_logout_redirect_uri": rp.metadata.post_logout_redirect_uris[0],
        "state": "s",
    }

    @settings(quickly, max_examples=60)
    @given(pairs(LOGOUT_PARAMETERS), changes(LOGOUT_PARAMETERS), st.booleans())
    def send(parameters, wanted, is_wild):
        query = encoded(parameters) if is_wild else urlencode(changed(right, wanted))
        assert_kind(rp.browser.get(END_SESSION, query_string=query), rp)

    send()


def test_wild_hints(rp, app, db):
    """The reader of hints alone, with what is shaped like a JWS."""
    provider = app.extensions["idp_provider"]
    tokens = rp.log_in()
    header, claims = parts_of(tokens.id_token)
    value = st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.text(max_size=8),
            st.sampled_from(["RS256", "none", header["kid"]]),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=5,
    )
    names = st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk", "x5c", "zip", "jku"])
    headers = st.one_of(value, st.dictionaries(names, value, max_size=4).map(lambda extra: {**header, **extra}))

    @settings(quickly, max_examples=300)
    @given(headers, value, st.binary(max_size=300))
    def read(wild_header, wild_claims, signature):
        assert read_hint(provider, db, compact(wild_header, wild_claims, signature)) is None

    with app.app_context():
        read()
        assert read_hint(provider, db, tokens.id_token).subject == claims["sub"]
