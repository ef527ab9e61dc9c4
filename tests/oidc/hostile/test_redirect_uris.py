"""Leading the answer elsewhere (RFC 9700 sections 2.1, 4.1, 4.11): redirect URIs of every shape, and other ways to go.

What is registered is `https://app.example.org/callback`. All that follows means it to some reader or other, or leads to
`evil.example.net` for some browser or other.
"""

import json
from urllib.parse import urlencode, urlsplit

import pytest

from idp.errors import InvalidInputError
from idp.oidc.client_rules import check_metadata
from tests.oidc.hostile.attacking import EVIL, assert_harmless
from tests.oidc.registering import ask_to_register
from tests.relying_party import shown_error
from tests.web.page_driver import form_with, location

REGISTERED = "https://app.example.org/callback"
TRICKS = (
    # Other hosts that look like it, or that some reader takes for it.
    *(
        "https://evil.example.net/callback",
        "https://app.example.org.evil.example.net/callback",
        EVIL + "?" + REGISTERED,
    ),
    *("https://app.example.org@evil.example.net/callback", "https://app.example.org:x@evil.example.net/callback"),
    *("https://evil.example.net#@app.example.org/callback", "https://evil.example.net\\@app.example.org/callback"),
    *("https://app.example.org\\.evil.example.net/callback", "https://app.example.org%2eevil.example.net/callback"),
    *("https://app.example.org%00.evil.example.net/callback", "https://evilapp.example.org/callback"),
    *("https://app.example.org%40evil.example.net/callback", "https://evil.example.net/app.example.org/callback"),
    *(
        "https://\u0430pp.example.org/callback",
        "https://app.ex\u0430mple.org/callback",
        "https://xn--pp-7kc.example.org/callback",
    ),
    *(
        "https://app。example。org/callback",
        "https://ａｐｐ.example.org/callback",
        "https://app.example.org\u200b/callback",
    ),
    *("https://app.example.org./callback", "https://APP.example.org/callback", "https://app.example.org%2f/callback"),
    *("https://127.0.0.1/callback", "https://[::1]/callback", "https://localhost/callback"),
    # The same host by another door.
    *("http://app.example.org/callback", "HTTPS://app.example.org/callback", "ftp://app.example.org/callback"),
    *(
        "https://app.example.org:443/callback",
        "https://app.example.org:8443/callback",
        "https://app.example.org:/callback",
    ),
    *("//app.example.org/callback", "https:app.example.org/callback", "https:/app.example.org/callback", "/callback"),
    *(
        "https:///app.example.org/callback",
        "https://user@app.example.org/callback",
        "https:\\\\app.example.org\\callback",
    ),
    # Another path that becomes it, or begins like it.
    *(
        REGISTERED + "/",
        REGISTERED + "/../evil",
        REGISTERED + "%2f..%2fevil",
        REGISTERED + "/%2e%2e/evil",
        REGISTERED + ".",
    ),
    *(
        "https://app.example.org/./callback",
        "https://app.example.org/x/../callback",
        "https://app.example.org//callback",
    ),
    *("https://app.example.org/%63allback", "https://app.example.org/Callback", "https://app.example.org/callback;x"),
    *(
        "https://app.example.org/callback%00",
        "https://app.example.org/callback%20",
        REGISTERED + "\\..\\evil",
        REGISTERED + "x",
    ),
    # Query and fragment.
    *(REGISTERED + "?", REGISTERED + "?code=stolen", REGISTERED + "?state=x&iss=evil", REGISTERED + "&code=x"),
    *(
        REGISTERED + "#",
        REGISTERED + "#code=x",
        REGISTERED + "%23",
        REGISTERED + "?next=" + EVIL,
        REGISTERED + "%3fcode=x",
    ),
    # Wildcards, white space and what breaks headers.
    *(
        "https://*.example.org/callback",
        "https://app.example.org/*",
        "*",
        REGISTERED + " ",
        " " + REGISTERED,
        "\t" + REGISTERED,
    ),
    *(
        REGISTERED + "\r\nLocation: " + EVIL,
        REGISTERED + "\n",
        "https://app.example.org/call\nback",
        REGISTERED + "\u2028",
    ),
    # No web address at all.
    *(
        "javascript:alert(1)//" + REGISTERED,
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
    ),
    *(
        "about:blank",
        "blob:https://app.example.org/x",
        "intent://x#Intent;scheme=https;end",
        "urn:ietf:wg:oauth:2.0:oob",
        "null",
    ),
    *("view-source:https://app.example.org/callback", "app.example.org/callback", "x" * 9_000, "'\"<>"),
)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_trick_leads_an_answer_away(target, method):
    """RFC 9700 section 4.1.3: compared to the letter; the fault is shown, and nobody is redirected (section 4.11.2)."""
    target.log_in()
    for uri in TRICKS:
        for response_mode in ("query", "fragment", "form_post"):
            response = target.send(method=method, redirect_uri=uri, response_mode=response_mode)
            assert_harmless(response, target)
            assert shown_error(response).parameter == "redirect_uri" or "\x00" in uri, uri


def test_no_trick_leads_an_error_away(target):
    """RFC 9700 section 4.11.2: a request that is wrong in every way is no reason to go where it says."""
    for uri in TRICKS:
        for fault in ({"prompt": "none"}, {"response_type": "x"}, {"scope": ""}, {"code_challenge_method": "plain"}):
            response = target.send(redirect_uri=uri, **fault)
            assert_harmless(response, target)
            assert "Location" not in response.headers, uri


def test_no_trick_is_pushed(target):
    """RFC 9126 section 2.1: what is pushed is compared as strictly."""
    for uri in TRICKS:
        response = target.request_push(redirect_uri=uri)
        assert_harmless(response, target)
        assert response.status_code == 400, uri


def test_no_trick_in_the_token_request(target):
    """RFC 6749 section 4.1.3: the redirect URI of the token request is that of the authorization request."""
    for uri in TRICKS[::6]:
        response = target.request_tokens(target.authorize().code, redirect_uri=uri)
        assert_harmless(response, target)
        assert response.json["error"] == "invalid_grant", uri


def test_two_redirect_uris_are_none(target):
    """HTTP parameter pollution: one reader takes the first, another the last; here neither counts."""
    parameters = target.authorization_parameters()
    for pair in ((REGISTERED, EVIL), (EVIL, REGISTERED), (REGISTERED, REGISTERED), (REGISTERED, REGISTERED + "/")):
        sent = [(name, value) for name, value in parameters.items() if name != "redirect_uri"]
        query = [*sent, *(("redirect_uri", uri) for uri in pair)]
        assert (
            shown_error(target.browser.get("/oauth/authorize", query_string=urlencode(query))).parameter
            == "redirect_uri"
        )


@pytest.mark.parametrize(
    "name", ["redirect_uri[]", "redirect_uri[0]", "REDIRECT_URI", "redirect-uri", " redirect_uri", "redirect_uri\x00"]
)
def test_other_spellings_of_the_parameter_are_other_parameters(target, name):
    """HTTP parameter pollution: some frameworks fold these into one; here they are unknown, and ignored or refused."""
    target.log_in()
    response = target.browser.get("/oauth/authorize", query_string={**target.authorization_parameters(), name: EVIL})
    assert_harmless(response, target)
    assert "evil" not in response.headers.get("Location", "")


def test_no_trick_after_sign_out(target):
    """RP-Initiated Logout section 3: `post_logout_redirect_uri` is compared to the letter, too."""
    tokens = target.log_in()
    own = "https://app.example.org/bye"
    for uri in (trick.replace("callback", "bye") for trick in TRICKS):
        for hint in ({"id_token_hint": tokens.id_token}, {"client_id": target.metadata.client_id}, {}):
            response = target.request_logout(post_logout_redirect_uri=uri, **hint)
            assert_harmless(response, target)
            assert "Location" not in response.headers, uri
    assert target.log_in().id_token, "and nobody was signed out by it"
    response = target.request_logout(post_logout_redirect_uri=own, id_token_hint=tokens.id_token)
    assert response.headers["Location"] == own


def test_a_redirect_uri_of_sign_in_is_none_of_sign_out(target):
    """RP-Initiated Logout section 3.1: the two lists are two."""
    tokens = target.log_in()
    response = target.request_logout(post_logout_redirect_uri=REGISTERED, id_token_hint=tokens.id_token)
    assert shown_error(response).parameter == "post_logout_redirect_uri"
    assert shown_error(target.send(redirect_uri="https://app.example.org/bye")).parameter == "redirect_uri"


def test_state_after_sign_out_breaks_nothing(target):
    """CRLF and query injection by `state`: it comes back as one value."""
    for state in (
        "x&post_logout_redirect_uri=" + EVIL,
        "\r\nLocation: " + EVIL,
        "#" + EVIL,
        "?x=",
        "@evil.example.net/",
    ):
        tokens = target.log_in()
        response = target.request_logout(
            post_logout_redirect_uri="https://app.example.org/bye", id_token_hint=tokens.id_token, state=state
        )
        assert_harmless(response, target)
        assert urlsplit(response.headers["Location"]).netloc == "app.example.org"


# -- Registration -------------------------------------------------------------------------------

UNREGISTRABLE = (
    *(
        "https://*.example.org/callback",
        "https://app.example.org/*",
        "https://user:pw@app.example.org/",
        "http://app.example.org/",
    ),
    *(
        "https://app.example.org/callback#x",
        "https://app.example.org\\@evil.example.net/",
        "https://app.example.org/a b",
    ),
    *(
        "https://\u0430pp.example.org/callback",
        "https://ａｐｐ.example.org/",
        "https://app.example.org/\u202e",
        "javascript:alert(1)",
    ),
    *(
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "about:blank",
        "blob:https://app.example.org/x",
        "https://",
    ),
    *(
        "https:///x",
        "//app.example.org/x",
        "/x",
        "",
        " ",
        "https://app.example.org/\r\nX: y",
        "https://[::1",
        "https://a:b/",
    ),
    *(
        'https://app.example.org/"onload=x',
        "https://app.example.org/<x>",
        "https://app.example.org/`x`",
        "https://app.example.org/{x}",
    ),
    *(
        "https://app.example.org;sandbox/",
        "https://a,b/",
        "https://app.example.org%2eevil.example.net/",
        "https://(x)/",
    ),
    *("http://localhost.evil.example.net/", "http://127.0.0.1.evil.example.net/", "http://127.0.0.1@evil.example.net/"),
)
FIELDS = ("redirect_uris", "post_logout_redirect_uris", "frontchannel_logout_uri", "initiate_login_uri")


@pytest.mark.parametrize("field", FIELDS)
def test_what_could_be_read_in_two_ways_is_not_registered(metadata, field):
    """RFC 9700 section 4.1.3, RFC 7591 section 5: for whatever a browser is sent to, by whoever registers it."""
    for uri in UNREGISTRABLE:
        if uri == "https://app.example.org/*" and not field.endswith("s"):
            continue  # nothing but a path with a star in it, where nothing is compared
        given = (uri,) if field.endswith("s") else uri
        with pytest.raises(InvalidInputError) as caught:
            check_metadata(metadata(**{field: given}))
        assert field in caught.value.faults, uri


@pytest.mark.parametrize("uri", UNREGISTRABLE)
def test_software_registers_none_either(app, uri):
    """RFC 7591 section 3.2.2: `invalid_redirect_uri`, with the reason, and nothing is registered."""
    response = ask_to_register(app, redirect_uris=[uri])
    assert response.status_code == 400
    assert response.json["error"] == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "field", ["client_uri", "policy_uri", "tos_uri", "logo_uri", "frontchannel_logout_uri", "initiate_login_uri"]
)
def test_links_run_no_script(app, field):
    """RFC 7591 section 5: links that people are shown are web addresses."""
    for uri in (
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        " javascript:alert(1)",
        "java\nscript:x",
    ):
        response = ask_to_register(app, **{field: uri})
        assert response.status_code == 400, uri
        assert field in response.json["error_description"]


def test_a_frame_of_another_origin_is_not_registered(metadata):
    """Front-Channel Logout section 2: a frame in our page is of the app's own origin."""
    for uri in (
        "https://evil.example.net/",
        "https://app.example.org:8443/",
        "http://localhost/",
        "https://app.example.org.evil.example.net/",
    ):
        with pytest.raises(InvalidInputError) as caught:
            check_metadata(metadata(frontchannel_logout_uri=uri))
        assert "frontchannel_logout_uri" in caught.value.faults


# -- Ways on inside the provider --------------------------------------------------------------------

ELSEWHERE = (
    *(
        EVIL,
        "//evil.example.net",
        "/\\evil.example.net",
        "\\\\evil.example.net",
        "https:evil.example.net",
        "/account/../..//evil.example.net",
    ),
    *(
        "/%2fevil.example.net",
        "/account\r\nLocation: " + EVIL,
        "javascript:alert(1)",
        "/account@evil.example.net",
        "/account?x",
        " /account",
    ),
    *(
        "/oauth/authorize?client_id=x",
        "/sign-out",
        "/account#x",
        "/ACCOUNT",
        "/account/",
        "\x00/account",
        "https://localhost:8000/account",
    ),
)
PARAMETERS = ("next", "i", "target_link_uri", "return_to", "redirect", "url", "continue", "iss", "login_hint")


def test_no_parameter_is_an_open_redirect(target):
    """RFC 9700 section 4.11: every page, with every parameter that some program somewhere would follow."""
    rules = [
        rule.rule
        for rule in target.browser.application.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments
    ]
    for path in rules:
        for uri in ELSEWHERE[:4]:
            assert_harmless(target.browser.get(path, query_string=dict.fromkeys(PARAMETERS, uri)), target)
    for uri in ELSEWHERE:
        assert_harmless(target.browser.get("/sign-in", query_string={"next": uri}), target)


def test_sign_in_leads_to_no_address_of_the_link_s_choice(target, app):
    """RFC 9700 section 4.11: after a password, people trust the page that they see next."""
    for uri in ELSEWHERE:
        browser = app.test_client()
        page = browser.get("/sign-in", query_string={"next": uri})
        action, fields = form_with(page, "login-submit")
        sent = {**fields, "username": "ada", "password": "correct horse battery staple", "next": uri}
        assert location(browser.post(action, data=sent)) == "/account", uri
        signed_in = browser.get("/sign-in", query_string={"next": uri})
        assert location(signed_in) == "/account", uri


def test_no_host_of_the_request_s_choice(target):
    """Host header injection (OWASP): addresses are made from the issuer, whatever a request says of its host."""
    for host in ("evil.example.net", "localhost:1@evil.example.net", "evil.example.net\r\nX: y", "[::1", ""):
        for path in ("/.well-known/openid-configuration", "/oauth/authorize", "/account", "/device", "/sign-in"):
            forwarded = {
                "HTTP_HOST": host,
                "HTTP_X_FORWARDED_HOST": "evil.example.net",
                "HTTP_FORWARDED": "host=evil.example.net",
            }
            response = target.browser.get(
                path, query_string=target.authorization_parameters(), environ_overrides=forwarded
            )
            assert "evil" not in response.text + str(response.headers), path
    # The one address that the framework makes by itself: that of a path without doubled slashes.
    claimed = {"HTTP_HOST": "evil.example.net", "wsgi.url_scheme": "https"}
    doubled = target.browser.get("/oauth//authorize", environ_overrides=claimed)
    assert doubled.headers["Location"] == f"{target.issuer}/oauth/authorize"
    assert json.dumps(target.discovery).count("evil") == 0
