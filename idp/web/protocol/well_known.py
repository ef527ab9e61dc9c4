"""Documents that say what the provider is: bytes made once."""

from flask import Response

from idp.web import context

# Keys and metadata may be kept by clients; a rotation publishes the next key long before it signs.
_CACHE = "public, max-age=300"


def show_metadata() -> Response:
    """Serve the provider's metadata."""
    return _document(context.provider().metadata_json, "application/json")


def show_jwks() -> Response:
    """Serve the public signing keys."""
    return _document(context.provider().key_ring.jwks, "application/json")


def _document(content: bytes, mimetype: str) -> Response:
    response = Response(content, mimetype=mimetype)
    response.headers["Cache-Control"] = _CACHE
    return response
