"""Headers that every response carries (OWASP HTTP Headers; RFC 9700 section 4.16 on framing)."""

from flask import Flask, Response, request

from idp.web import context
from idp.web.browser_state import carry_browser_state

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
_PUBLIC_DOCUMENTS = ("/.well-known/", "/oauth/jwks")
MAY_BE_FRAMED = "/oauth/check-session"  # by any app, when it answers with a policy of its own
_CACHEABLE = ("/static/", "/brand/", *_PUBLIC_DOCUMENTS)


def register_security(app: Flask) -> None:
    """Set the headers on every response, error pages included."""

    @app.after_request
    def set_headers(response: Response) -> Response:
        headers, path = response.headers, request.path
        there = {name.lower() for name, _ in headers}
        for name, lower, value in _BY_DEFAULT:
            if lower not in there:
                headers.add(name, value)
        if path == MAY_BE_FRAMED and "frame-ancestors" not in headers["Content-Security-Policy"]:
            del headers["X-Frame-Options"]
        if context.settings().is_https:
            headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
        is_public = path.startswith(_CACHEABLE) and response.status_code < 400  # a page about a fault may name a person
        if "cache-control" not in there and not is_public:
            headers.add("Cache-Control", "no-store")
        return carry_browser_state(context.carry_browser_cookie(response))
