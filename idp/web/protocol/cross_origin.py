"""Which endpoints a script of another origin may call (the CORS protocol of the Fetch standard).

They are those that an app which runs in the browser needs. None of them reads a cookie: whoever calls brings a token, a
code or nothing, so any origin may, and no origin gets more than it brought. Pages, the authorization endpoint and the
account API are not among them.
"""

from collections.abc import Sequence

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
_EXPOSED = "DPoP-Nonce, WWW-Authenticate, Retry-After, X-Request-ID"
_ADMITTED_HEADERS = "Authorization, Content-Type, DPoP"
_ADMITTED_FOR = "7200"  # seconds that a browser remembers the answer; Chromium keeps none longer


_ADMITTED = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", _EXPOSED),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)


def cross_origin_headers(path: str) -> Sequence[tuple[str, str]]:
    """Return what every answer of an endpoint tells browsers about scripts of other origins.

    Args:
        path: the endpoint's.
    """
    return _ADMITTED if path in PATHS or path.startswith(_BELOW) else ()


def register_cross_origin(app: Flask) -> None:
    """Say so on Flask's responses too, refusals included, and answer the browser's question beforehand."""

    @app.after_request
    def admit_other_origins(response: Response) -> Response:
        headers = response.headers
        for name, value in (admitted := cross_origin_headers(request.path)):
            headers[name] = value
        if admitted and request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = headers.get("Allow", "")
            headers["Access-Control-Allow-Headers"] = _ADMITTED_HEADERS
            headers["Access-Control-Max-Age"] = _ADMITTED_FOR
        return response
