"""Which endpoints a script of another origin may call (the CORS protocol of the Fetch standard).

They are those that an app which runs in the browser needs. None of them reads a cookie: whoever calls brings a token, a
code or nothing, so any origin may, and no origin gets more than it brought. Pages, the authorization endpoint and the
account API are not among them.
"""

from flask import Flask, Response, request

PATHS = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/oauth/jwks",
    "/oauth/par",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/userinfo",
    "/oauth/register",
)
_BELOW = "/oauth/register/"  # each client's own registration (RFC 7592)
_EXPOSED = "DPoP-Nonce, WWW-Authenticate"
_ADMITTED_HEADERS = "Authorization, Content-Type, DPoP"
_ADMITTED_FOR = "7200"  # seconds that a browser remembers the answer; Chromium keeps none longer


def register_cross_origin(app: Flask) -> None:
    """Say so on every response of these endpoints, refusals included, and answer the browser's question beforehand."""

    @app.after_request
    def admit_other_origins(response: Response) -> Response:
        if request.path not in PATHS and not request.path.startswith(_BELOW):
            return response
        headers = response.headers
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Access-Control-Expose-Headers"] = _EXPOSED
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = headers.get("Allow", "")
            headers["Access-Control-Allow-Headers"] = _ADMITTED_HEADERS
            headers["Access-Control-Max-Age"] = _ADMITTED_FOR
        return response
