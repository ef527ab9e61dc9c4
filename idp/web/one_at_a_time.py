"""The middleware that has the requests of one process take turns (see `idp.turns`)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from idp import turns

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class OneAtATime:
    """Lets a request in when it is its turn. Answers are complete when they leave here; sending them takes no turn.

    Neither does receiving: `Reception` stands before it.

    Args:
        application: what to call.
    """

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on when its turn has come."""
        with turns.taken():
            return self._application(environ, start_response)
