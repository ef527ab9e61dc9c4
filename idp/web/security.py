"""Headers that every response carries (OWASP HTTP Headers; RFC 9700 section 4.16 on framing)."""

from collections.abc import Iterable

from flask import Flask, Response, request

from idp.settings import Settings
from idp.web import context
from idp.web.cookies import cookies_to_set

# No script at all, nothing from another host, nobody may frame us. form-action is left out: Chromium applies it to the
# redirect after a form too, and that redirect ends at the app (see docs/security.md).
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_BY_DEFAULT = tuple((name, name.lower(), value) for name, value in HEADERS.items())
STRICT_TRANSPORT_SECURITY = "max-age=31536000"
MAY_BE_FRAMED = "/oauth/check-session"  # by any app, when it answers with a policy of its own


def headers_beside(settings: Settings, path: str, given: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that an answer carries beside its own, which come first.

    Args:
        path: of the request.
        given: its own; what may be stored says so itself.
    """
    own = {name.lower(): value for name, value in given}
    headers = [(name, value) for name, lower, value in _BY_DEFAULT if lower not in own]
    if path == MAY_BE_FRAMED and "frame-ancestors" not in own.get("content-security-policy", "frame-ancestors"):
        headers.remove(("X-Frame-Options", HEADERS["X-Frame-Options"]))
    if settings.is_https:
        headers.append(("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY))
    if "cache-control" not in own:
        headers.append(("Cache-Control", "no-store"))
    return headers


def register_security(app: Flask) -> None:
    """Set the headers on every response of Flask's, error pages included."""

    @app.after_request
    def set_headers(response: Response) -> Response:
        if response.status_code >= 400:  # a file's own word is for the file, and not for an If-Match that failed
            response.headers.pop("Cache-Control", None)
        beside = headers_beside(context.settings(), request.path, response.headers)
        for header in (*beside, *cookies_to_set(response.status_code)):
            response.headers.add(*header)
        return response
