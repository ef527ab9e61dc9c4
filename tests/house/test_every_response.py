"""What holds for every response, whatever the route and whatever the answer."""

from dataclasses import replace

import pytest

from idp.web.protocol.cross_origin import PATHS
from idp.web.security import CONTENT_SECURITY_POLICY, HEADERS
from tests.factories import PASSWORD

SIGNED_IN_PAGES = ("/account", "/account/password", "/account/sessions")


def everything(app, base_url=None):
    """Call each route by each method, and some that are not there."""
    browser = app.test_client()
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<interaction_id>", "x" * 43)
        for method in rule.methods | {"DELETE"}:
            yield f"{method} {path}", browser.open(path, method=method, base_url=base_url)
    for path in ("/nowhere", "/static/nowhere", "/brand/nowhere"):
        yield f"nothing at{path}", browser.get(path, base_url=base_url)
    yield "too large", browser.post("/sign-in", data={"username": "x" * 70_000}, base_url=base_url)
    app.view_functions["show_signed_out"] = lambda: 1 / 0
    yield "a fault of ours", browser.get("/signed-out", base_url=base_url)


def test_it_carries_the_security_headers(app):
    statuses = set()
    for what, response in everything(app):
        statuses.add(response.status_code)
        expected = dict(HEADERS)
        if what.split()[-1].startswith(PATHS):
            expected["Cross-Origin-Resource-Policy"] = "cross-origin"
        if response.mimetype == "image/svg+xml":
            expected["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        assert {name: response.headers.get(name) for name in expected} == expected, what
        assert "Strict-Transport-Security" not in response.headers
        # Of a kind that is answered often, a part is kept for the next: nothing of its own may be among it.
        names = [name for name, _ in response.headers if name != "Set-Cookie"]
        assert len(names) == len(set(names)), what
    assert statuses >= {200, 303, 400, 401, 404, 405, 413, 500}


def test_it_admits_no_script_no_frame_and_no_other_host():
    policy = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "script-src" not in policy
    assert set(policy.values()) == {"'none'", "'self'"}
    assert HEADERS["X-Frame-Options"] == "DENY"
    assert HEADERS["X-Content-Type-Options"] == "nosniff"
    assert HEADERS["Referrer-Policy"] == "no-referrer"


def test_it_is_stored_by_nobody_unless_it_is_public(app):
    stored = {
        (what.split()[-1], answer.status_code)
        for what, answer in everything(app)
        if "no-store" not in answer.headers.get("Cache-Control", "")
    }
    public = ("/.well-known/", "/oauth/jwks", "/brand/")
    assert {status for _, status in stored} == {200}, "a page about a fault may name a person"
    assert [path for path, _ in stored if not path.startswith(public)] == []


def test_over_https_it_says_so_for_a_year(settings, make_app):
    app = make_app(replace(settings, issuer="https://login.example.org"))
    for what, response in everything(app, "https://login.example.org"):
        assert response.headers["Strict-Transport-Security"] == "max-age=31536000", what


@pytest.mark.parametrize(
    ("issuer", "prefix", "is_secure"),
    [("http://localhost:8000", "", False), ("https://a.example.org", "__Host-", True)],
)
def test_its_cookies_are_for_this_host_and_out_of_reach_of_scripts(
    settings, make_app, make_user, issuer, prefix, is_secure
):
    make_user()
    browser = make_app(replace(settings, issuer=issuer)).test_client()
    page = browser.get("/sign-in", base_url=issuer)
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"username": "ada", "password": PASSWORD, "csrf_token": token}
    answer = browser.post("/sign-in", base_url=issuer, data=form)
    assert answer.status_code == 303
    before, after = page.headers.getlist("Set-Cookie"), answer.headers.getlist("Set-Cookie")
    assert [cookie.split("=")[0] for cookie in before] == [f"{prefix}idp_browser"]
    # The first one anew: in a browser that is used it never ends.
    assert [cookie.split("=")[0] for cookie in after] == [f"{prefix}idp_browser", f"{prefix}idp_session"]
    for cookie in (*before, *after):
        attributes = {part.strip() for part in cookie.split(";")[1:]}
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= attributes
        assert ("Secure" in attributes) is is_secure
        assert not any(part.startswith("Domain") for part in attributes)
    for path in SIGNED_IN_PAGES:
        assert browser.get(path, base_url=issuer).status_code == 200
