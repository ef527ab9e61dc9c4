"""The middleware that receives a request's body before anything else is done for it (see `idp.receiving`)."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.wsgi import get_content_length

from idp import receiving
from idp.accounts.visitor import network_of
from idp.errors import BUSY_RETRY_AFTER, Busy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REFUSAL = b"Too many requests are being received just now. Please try again in a moment.\n"
_HEADERS = (
    ("Content-Type", "text/plain"),
    ("Retry-After", str(BUSY_RETRY_AFTER)),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")  # what comes with these means nothing (RFC 9110 section 9.3.1)


class Reception:
    """Passes a request on when its body is there, and refuses it where too many are on their way already.

    Whoever sends one slowly, or never to its end, holds up nobody but themselves: no turn is taken meanwhile, and
    places are few, so that threads remain for everybody else.

    Args:
        application: what to call.
        body_most: bytes that a body may have; of a longer one the application sees the length, or one byte too many.
    """

    def __init__(self, application: "WSGIApplication", *, body_most: int) -> None:
        self._application = application
        self._body_most = body_most

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Receive, then pass on."""
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            if environ.get("REQUEST_METHOD") in WITHOUT_BODY:
                drop_body(environ)
                return self._application(environ, start_response)
            try:
                with receiving.place(network_of(environ.get("REMOTE_ADDR", ""))):
                    body = self._receive(environ)
            except Busy:
                start_response("503 Service Unavailable", [*_HEADERS, ("Content-Length", str(len(REFUSAL)))])
                return [REFUSAL]
            environ["wsgi.input"] = io.BytesIO(body)
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


def drop_body(environ: "WSGIEnvironment") -> None:
    """Have the application see no body; nothing of it is read."""
    environ.pop("CONTENT_LENGTH", None)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["wsgi.input"] = io.BytesIO()
