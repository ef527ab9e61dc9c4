"""The authorization response: in the query, in the fragment, or posted by a form; success and errors alike."""

from urllib.parse import urlencode, urlsplit

import pytest

from idp.oidc.authorization_response import (
    WITH_TOKENS,
    FormPost,
    Redirect,
    ReturnAddress,
    address_of,
    default_mode,
    in_order,
)
from idp.oidc.requests import Parameters
from idp.web.inline_scripts import inline_script
from tests.relying_party import is_posted_to_app

ISSUER = "https://login.example.org"
APP = "https://app.example.org/callback"
MODES = ["query", "fragment", "form_post"]
ODD_STATES = [
    'a"b',
    "a b+c%20&=#;",
    "<script>alert(1)</script>",
    "'><b>",
    "ünïcödé 😀",
    "\t",
    "&amp;&quot;",
    "~" * 4_096,
]


# -- The piece by itself ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "redirect_uri", "expected"),
    [
        ("query", APP, f"{APP}?code=c&state=s&iss=https%3A%2F%2Flogin.example.org"),
        ("query", APP + "?a=b", f"{APP}?a=b&code=c&state=s&iss=https%3A%2F%2Flogin.example.org"),
        ("fragment", APP, f"{APP}#code=c&state=s&iss=https%3A%2F%2Flogin.example.org"),
        ("fragment", APP + "?a=b", f"{APP}?a=b#code=c&state=s&iss=https%3A%2F%2Flogin.example.org"),
    ],
)
def test_where_the_answer_stands(mode, redirect_uri, expected):
    assert ReturnAddress(redirect_uri, mode, "s").respond(ISSUER, {"code": "c"}) == Redirect(expected)


def test_a_form_holds_the_same():
    posted = ReturnAddress(APP, "form_post", 'a"b').respond(ISSUER, {"error": "access_denied"})
    assert posted == FormPost(APP, {"error": "access_denied", "state": 'a"b', "iss": ISSUER})


def test_without_a_state_none_comes_back():
    assert ReturnAddress(APP).respond(ISSUER, {"code": "c"}) == Redirect(
        f"{APP}?code=c&iss=https%3A%2F%2Flogin.example.org"
    )


@pytest.mark.parametrize(
    ("response_type", "mode"),
    [
        (None, "query"),
        ("code", "query"),
        ("nonsense", "query"),
        *((each, "fragment") for each in (*WITH_TOKENS, "token", "token code")),
    ],
)
def test_the_default_by_response_type(response_type, mode):
    assert default_mode(response_type) == mode


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([("response_type", "code")], "query"),
        ([("response_type", "id_token")], "fragment"),
        ([("response_type", "id_token"), ("response_mode", "query")], "fragment"),
        ([("response_type", "id_token"), ("response_mode", "form_post")], "form_post"),
        ([("response_type", "code"), ("response_mode", "fragment")], "fragment"),
        ([("response_type", "code"), ("response_mode", "carrier_pigeon")], "query"),
        ([("response_type", "code"), ("response_mode", "fragment"), ("response_mode", "form_post")], "query"),
        ([("response_type", "code"), ("response_type", "id_token")], "query"),
        ([("response_mode", "form_post")], "form_post"),
    ],
)
def test_an_error_finds_its_way(sent, expected):
    assert address_of(APP, Parameters(sent)).response_mode == expected


def test_of_two_states_neither_comes_back():
    assert address_of(APP, Parameters([("state", "a"), ("state", "b")])).state is None


def test_the_order_of_words_does_not_matter():
    assert in_order("token  id_token code") == "code id_token token"
    assert {in_order(each) for each in WITH_TOKENS} == set(WITH_TOKENS)


# -- On the wire ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_code_in_every_mode(rp, mode):
    rp.redeem(rp.authorize(response_mode=mode).code)  # by pages
    rp.redeem(rp.ask(response_mode=mode).code)  # at once


@pytest.mark.parametrize("mode", MODES)
def test_every_path_to_an_error_in_every_mode(stranger, mode):
    assert stranger.ask(response_mode=mode, prompt="none").error == "login_required"
    assert stranger.ask(response_mode=mode, scope="nonsense").error == "invalid_scope"
    assert stranger.ask(response_mode=mode, response_type=None).error == "invalid_request"
    page = stranger.sign_in(stranger.sign_in_page(response_mode=mode))
    denied = stranger.follow(stranger.submit(page, "consent-deny"))
    assert stranger.read_answer(denied).error == "access_denied"
    page = stranger.sign_in_page(response_mode=mode, prompt="login")
    cancelled = stranger.follow(stranger.submit(page, "cancel"))
    assert stranger.read_answer(cancelled).error == "access_denied"


@pytest.mark.parametrize("mode", MODES)
def test_too_many_people_in_every_mode(relying_party, make_user, mode):
    make_user("ada")
    make_user("bob")
    first = relying_party(max_concurrent_users=1)
    first.log_in()
    second = first.in_another_browser()
    assert second.authorize("bob", response_mode=mode).error == "access_denied"


@pytest.mark.parametrize("state", ODD_STATES)
@pytest.mark.parametrize("mode", MODES)
def test_state_comes_back_as_it_came(rp, mode, state):
    assert rp.ask(prompt="none", response_mode=mode, state=state).parameters["state"] == state


@pytest.mark.parametrize("mode", ["web_message", "query ", "QUERY", "query.jwt", '"', "a\\b", "é", "form_post query"])
def test_an_unknown_mode_is_told_of_in_the_default_one(rp, mode):
    answer = rp.ask(response_mode=mode)
    assert answer.error == "invalid_request"
    assert "response_mode" in answer.parameters["error_description"]


def test_tokens_never_travel_in_a_query(every_type):
    for response_type in WITH_TOKENS:
        answer = every_type.ask(response_type=response_type, response_mode="query")
        assert answer.error == "invalid_request"


def test_a_doubled_mode_is_told_of_in_the_default_one(rp):
    sent = [*rp.authorization_parameters().items(), ("response_mode", "fragment"), ("response_mode", "form_post")]
    response = rp.browser.get("/oauth/authorize", query_string=urlencode(sent))
    assert rp.read_answer(response).error == "invalid_request"


# -- The page ---------------------------------------------------------------------------------


def test_the_page_goes_to_the_app_whatever_its_address_holds(relying_party, ada):
    rp = relying_party(redirect_uris=("https://app.example.org/callback?a=1&b=%22x%22",))
    assert rp.authorize(response_mode="form_post").code


def test_the_script_of_the_page_is_old_and_stands_alone(rp):
    response = rp.send(prompt="none", response_mode="form_post", state="</script><script>alert(1)</script>")
    assert is_posted_to_app(response)
    assert response.text.count("<script") == 1
    script = inline_script("form_post.js").content
    assert script in response.text
    assert not {"=>", "`", "let ", "const "} & set(script.split())
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe-inline" not in policy["script-src"]
    assert response.headers["Referrer-Policy"] == "strict-origin"


def test_the_page_speaks_german_too(rp):
    response = rp.browser.get(
        "/oauth/authorize",
        query_string=rp.authorization_parameters(prompt="none", response_mode="form_post"),
        headers={"Accept-Language": "de"},
    )
    assert "Weiter zur App" in response.text


def test_no_code_shows_in_the_address_of_a_form_post(rp):
    rp.log_in()
    response = rp.send(response_mode="form_post")
    code = rp.read_answer(response).code
    assert "Location" not in response.headers
    assert code not in urlsplit(response.request.url).query
