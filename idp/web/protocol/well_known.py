"""Documents that say what the provider is: bytes made once."""

from idp.web import context
from idp.web.answers import Answer

# Keys and metadata may be kept by clients; a rotation publishes the next key long before it signs.
_CACHE = "public, max-age=300"


def show_metadata() -> Answer:
    """Serve the provider's metadata."""
    return _document(context.provider().metadata_json, "application/json")


def show_jwks() -> Answer:
    """Serve the public signing keys."""
    return _document(context.provider().key_ring.jwks, "application/json")


def _document(content: bytes, mimetype: str) -> Answer:
    return Answer(200, [("Content-Type", mimetype), ("Cache-Control", _CACHE)], content)
