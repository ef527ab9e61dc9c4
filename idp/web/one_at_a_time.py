"""The middleware that has the requests of one process take turns (see `idp.turns`)."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.wsgi import get_content_length

from idp import turns

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class OneAtATime:
    """Lets a request in when it is its turn. Answers are complete when they leave here; sending them takes no turn.

    Neither does receiving: the body has arrived before the turn is taken, for whoever sends one slowly, or never to its
    end, would hold up everybody else.

    Args:
        application: what to call.
        body_most: bytes that a body may have; of a longer one the application sees the length, or one byte too many.
    """

    def __init__(self, application: "WSGIApplication", *, body_most: int) -> None:
        self._application = application
        self._body_most = body_most

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on when its turn has come."""
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = io.BytesIO(self._receive(environ))
        with turns.taken():
            return self._application(environ, start_response)

    def _receive(self, environ: "WSGIEnvironment") -> bytes:
        """Return the body, as far as the application would read it."""
        length = get_content_length(environ)
        if length is None:
            # Without a length only the server knows where the body ends (`werkzeug.wsgi.get_input_stream`).
            length = self._body_most + 1 if environ.get("wsgi.input_terminated") else 0
        elif length > self._body_most:
            return b""  # refused for its length, unread
        body = bytearray()
        while len(body) < length and (piece := environ["wsgi.input"].read(length - len(body))):
            body += piece
        return bytes(body)
