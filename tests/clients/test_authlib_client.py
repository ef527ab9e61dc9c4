"""Authlib's own Flask client signs somebody in, over real HTTP: discovery, PKCE, userinfo, refresh, logout."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.integrations.flask_client import OAuth
from flask import Flask, jsonify, session, url_for

from idp.models import User
from idp.oidc.clients import ClientMetadata
from tests.clients.person import Person

APP = "http://localhost:5999"
MakeClient = Callable[..., tuple[ClientMetadata, str]]


def build_app(issuer: str, registered: ClientMetadata, secret: str) -> Flask:
    """An app as Authlib's documentation would have it."""
    app = Flask("weather")
    app.secret_key = "only for this test"
    app.config["SERVER_NAME"] = "localhost:5999"
    oauth = OAuth(app)
    oauth.register(
        "idp",
        client_id=registered.client_id,
        client_secret=secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email roles offline_access", "code_challenge_method": "S256"},
    )

    @app.get("/login")
    def login() -> Any:
        return oauth.idp.authorize_redirect(url_for("callback", _external=True))

    @app.get("/callback")
    def callback() -> Any:
        token = oauth.idp.authorize_access_token()
        session["id_token"] = token["id_token"]
        refreshed = oauth.idp.fetch_access_token(grant_type="refresh_token", refresh_token=token["refresh_token"])
        return jsonify(
            claims=token["userinfo"],
            userinfo=oauth.idp.userinfo(token=refreshed),
            rotated=refreshed["refresh_token"] != token["refresh_token"],
        )

    @app.get("/logout-url")
    def logout_url() -> Any:
        metadata = oauth.idp.load_server_metadata()
        query = urlencode({"id_token_hint": session["id_token"], "post_logout_redirect_uri": f"{APP}/", "state": "s"})
        return f"{metadata['end_session_endpoint']}?{query}"

    return app


def test_sign_in_refresh_and_sign_out(
    live_server: str, make_user: Callable[..., User], make_client: MakeClient
) -> None:
    user = make_user(roles=("admin",))
    registered, secret = make_client(
        redirect_uris=(f"{APP}/callback",), post_logout_redirect_uris=(f"{APP}/",), is_trusted=False
    )
    browser = build_app(live_server, registered, secret).test_client()
    with Person(live_server) as person:
        back = urlsplit(person.visit(browser.get("/login").headers["Location"]))
        answer = browser.get(f"{back.path}?{back.query}")
        assert answer.status_code == 200, answer.text
        told = answer.json
        assert told is not None
        assert told["claims"]["sub"] == user.id
        assert told["claims"]["iss"] == live_server
        assert told["userinfo"]["email"] == "ada@example.org"
        assert told["userinfo"]["roles"] == ["admin"]
        assert told["rotated"]
        # Nobody is asked to confirm, and the session is over.
        assert person.visit(browser.get("/logout-url").text) == f"{APP}/?state=s"
        assert person.http.get(f"{live_server}/account").status_code == 303
