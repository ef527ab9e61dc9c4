"""The protocol's endpoints, as one list."""

from flask import Flask

from idp.web.direct import Endpoint, as_view
from idp.web.protocol import authorize, check_session, end_session, registration, token, userinfo, well_known
from idp.web.protocol.cross_origin import register_cross_origin

# Those that answer with ready bytes, or with a page once in a while: they are called without Flask around them.
DIRECT: tuple[tuple[str, Endpoint, tuple[str, ...]], ...] = (
    ("/.well-known/openid-configuration", well_known.show_metadata, ("GET",)),
    ("/.well-known/oauth-authorization-server", well_known.show_metadata, ("GET",)),
    ("/oauth/jwks", well_known.show_jwks, ("GET",)),
    ("/oauth/authorize", authorize.receive_request, ("GET", "POST")),
    ("/oauth/par", token.push_request, ("POST",)),
    ("/oauth/token", token.issue_tokens, ("POST",)),
    ("/oauth/device_authorization", token.authorize_device, ("POST",)),
    ("/oauth/introspect", token.introspect_token, ("POST",)),
    ("/oauth/revoke", token.revoke_token, ("POST",)),
    ("/oauth/userinfo", userinfo.show_userinfo, ("GET", "POST")),
)
# The same below a folder: what the last part of the path says, they are told.
DIRECT_BELOW: tuple[tuple[str, Endpoint, tuple[str, ...]], ...] = (
    ("/oauth/authorize/<interaction_id>", authorize.resume_request, ("GET",)),
)
ROUTES: tuple[tuple[str, Endpoint, tuple[str, ...]], ...] = (
    *DIRECT,
    *DIRECT_BELOW,
    ("/oauth/register", registration.register_client, ("POST",)),
    ("/oauth/register/<client_id>", registration.manage_client, ("GET", "PUT", "DELETE")),
    ("/oauth/check-session", check_session.show_check_session, ("GET",)),
    ("/oauth/end-session", end_session.receive_request, ("GET", "POST")),
    ("/oauth/end-session/confirm", end_session.submit_confirmation, ("POST",)),
)
ENDPOINTS = {(method, path): endpoint for path, endpoint, methods in DIRECT for method in methods}
BELOW = {(method, path.rpartition("/")[0]): endpoint for path, endpoint, methods in DIRECT_BELOW for method in methods}


def register_protocol(app: Flask) -> None:
    """Add the endpoints to the application."""
    for path, endpoint, methods in ROUTES:
        name = f"protocol.{endpoint.__module__.rpartition('.')[2]}.{endpoint.__name__}.{path.rpartition('/')[2]}"
        app.add_url_rule(path, name.rstrip(".<>"), as_view(endpoint), methods=list(methods))
    register_cross_origin(app)
