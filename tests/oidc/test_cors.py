"""What a script of another origin may call (the CORS protocol of the Fetch standard)."""

import pytest
from joserfc.jwk import ECKey

ORIGIN = "https://app.example.org"
POSTED = ("/oauth/par", "/oauth/token", "/oauth/revoke", "/oauth/register")
READ = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/oauth/jwks",
    "/oauth/userinfo",
)
PATHS = (*READ, *POSTED)
CLOSED = (
    "/oauth/authorize",
    "/oauth/introspect",
    "/oauth/device_authorization",
    "/oauth/end-session",
    "/sign-in",
    "/consent",
    "/account",
    "/api/v1/me",
)


def preflight(browser, path, method="POST", headers="authorization, content-type, dpop"):
    """Ask as a browser does before it lets a script call."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return browser.options(path, headers=asked)


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_may_be_read_by_any_origin(client, path):
    for method in ("GET", "POST"):
        response = client.open(path, method=method, headers={"Origin": ORIGIN})
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("path", [*PATHS, "/oauth/register/somebody"])
def test_a_browser_that_asks_beforehand_is_told(client, path):
    response = preflight(client, path)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    admitted = {each.strip().lower() for each in response.headers["Access-Control-Allow-Headers"].split(",")}
    assert admitted == {"authorization", "content-type", "dpop"}
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    methods = {each.strip() for each in response.headers["Access-Control-Allow-Methods"].split(",")}
    assert ("POST" in methods) == (path in (*POSTED, "/oauth/userinfo"))
    assert ("GET" in methods) == (path not in POSTED)
    assert ("DELETE" in methods) == path.startswith("/oauth/register/")
    assert not response.data


@pytest.mark.parametrize("path", PATHS)
def test_to_answer_that_costs_no_statement(client, counted, path):
    with counted() as traffic:
        preflight(client, path)
    assert traffic.statements == []
    assert traffic.commits == 0


@pytest.mark.parametrize("path", CLOSED)
def test_all_else_is_closed(client, path):
    for response in (preflight(client, path), client.get(path, headers={"Origin": ORIGIN})):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_an_app_in_the_browser_goes_all_the_way(public_rp):
    """With DPoP: the script must be able to read the nonce and the challenge, and when to come back after a refusal."""
    public_rp.dpop_key = ECKey.generate_key("P-256")
    public_rp.dpop_nonce = None
    response = public_rp._post("token_endpoint", "", {"grant_type": "refresh_token", "refresh_token": "x"})
    assert response.headers["DPoP-Nonce"]
    exposed = response.headers["Access-Control-Expose-Headers"]
    assert {each.strip() for each in exposed.split(",")} == {
        "DPoP-Nonce",
        "WWW-Authenticate",
        "Retry-After",
        "X-Request-ID",
    }
    tokens = public_rp.log_in()
    assert public_rp.request_userinfo(tokens.access_token).headers["Access-Control-Allow-Origin"] == "*"


def test_a_cookie_counts_for_nothing_there(rp):
    """Any origin may call, because nothing that the browser brings by itself opens anything."""
    rp.log_in()
    assert rp.browser.get("/oauth/userinfo", headers={"Origin": ORIGIN}).status_code == 401
    code = rp.ask().code
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": rp.redirect_uri}
    response = rp.browser.post("/oauth/token", data={**form, "client_id": rp.metadata.client_id})
    assert response.json["error"] == "invalid_client"
