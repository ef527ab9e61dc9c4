"""The JSON account API: bearer tokens of this provider only; faults are problem documents (RFC 9457)."""

from flask import Flask

from idp.web.api import me

ROUTES = (("/api/v1/me", me.show_me, ("GET",)),)


def register_api(app: Flask) -> None:
    """Add the API to the application."""
    for path, view, methods in ROUTES:
        app.add_url_rule(path, f"api.{view.__name__}", view, methods=list(methods))
