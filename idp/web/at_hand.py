"""The middleware that keeps some threads free while all others wait, as for a database that is locked."""

from collections.abc import Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from idp import clock
from idp.web.reception import WITHOUT_BODY, drop_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NO_ROOM = "idp.no_room"  # in the environment of what is to be refused
MOMENT = 0.5  # seconds after which there is no hope where fewer left than can be waiting
WAIT_MOST = 1.0  # seconds that a request waits for a place where others leave
NO_HOPE = 1.0  # seconds for which nobody waits then
_BRAND = ("/brand/pages.css", "/brand/theme.css", "/brand/icon.svg", "/brand/logo")
_WITHOUT_DATABASE = frozenset({"/healthz", "/oauth/jwks", *_BRAND})
_METADATA = "/.well-known/"


class AtHand:
    """Lets so many requests in at once, and has the others refused. What needs no database always comes in.

    Whoever finds no place waits a moment for one: in a burst of honest requests each is done within thousandths. Where
    hardly anybody leaves, all wait for the same thing, and nobody else need wait for them.

    Args:
        application: what to call; it refuses what has `NO_ROOM` in its environment.
        most: requests.
        spare: threads there are besides.
        issuer_path: below which our paths are known as well.
    """

    def __init__(self, application: "WSGIApplication", *, most: int, spare: int, issuer_path: str) -> None:
        self._application = application
        self._spare = spare
        self._issuer_path = issuer_path
        # Taking one and putting it back is one step each, whatever the number of threads, and costs next to nothing.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(most):
            self._places.put(None)
        self._left = 0  # how many did; one that two threads at once count only once does no harm
        self._is_hopeless_until = 0.0

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on; answers are complete when they leave here, so its place is free again."""
        try:
            self._places.get_nowait()
        except Empty:
            if self._needs_none(environ):
                return self._application(environ, start_response)
            if not self._gets_one():
                drop_body(environ)  # unread: whoever sends it slowly would take one of the threads that are left
                environ[NO_ROOM] = True
                return self._application(environ, start_response)
        try:
            return self._application(environ, start_response)
        finally:
            self._places.put(None)
            self._left += 1

    def _needs_none(self, environ: "WSGIEnvironment") -> bool:
        path = environ.get("PATH_INFO", "").removeprefix(self._issuer_path)
        is_one = path in _WITHOUT_DATABASE or path.startswith(_METADATA)
        return is_one and environ.get("REQUEST_METHOD") in WITHOUT_BODY

    def _gets_one(self) -> bool:
        """Wait for a place for as long as enough others leave, and not too long; tells whether there was one."""
        began_at = clock.ticks()
        while self._is_hopeless_until <= clock.ticks() < began_at + WAIT_MOST:
            left = self._left
            with suppress(Empty):
                self._places.get(timeout=MOMENT)
                return True
            if self._left - left < self._spare:
                self._is_hopeless_until = clock.ticks() + NO_HOPE
        return False
