"""The JSON account API: bearer tokens of this provider only; faults are problem documents (RFC 9457).

`openapi` describes every route of this list, and a test holds it to that.
"""

from flask import Flask

from idp.web.api import codes, me, openapi, recovery, registration, users

PREFIX = "/api/v1"
ROUTES = (
    ("GET", "/me", me.show_me),
    ("PATCH", "/me", me.change_me),
    ("POST", "/me/password", me.change_password),
    ("GET", "/registration", registration.show_registration),
    ("POST", "/users", users.create_user),
    ("POST", "/recovery/password", recovery.recover_password),
    ("POST", "/recovery/username", recovery.recover_username),
    ("POST", "/codes", codes.send_code),
    ("POST", "/codes/<code_id>", codes.check_code),
    ("GET", "/openapi.json", openapi.show_document),
)


def register_api(app: Flask) -> None:
    """Add the API to the application. OPTIONS is refused: no browser of another origin has any business here."""
    for method, path, view in ROUTES:
        endpoint = f"api.{view.__name__}"
        app.add_url_rule(PREFIX + path, endpoint, view, methods=[method], provide_automatic_options=False)
