"""The way past Flask: an endpoint that answers with ready bytes needs nothing of what Flask does around a view.

A view costs 50 microseconds before it has done anything, and a token check costs no more than that in all. What needs
a page, and whatever goes wrong, goes on to Flask, which renders it as everywhere else.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response, request

from idp import patience
from idp.settings import Settings
from idp.web.answers import Answer, GoOn, Page, see_other
from idp.web.at_hand import NO_ROOM
from idp.web.cookies import cookies_to_set
from idp.web.exchange import current
from idp.web.security import headers_beside

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Endpoint = Callable[..., Answer | Page | GoOn | Response]
ENOUGH = patience.WITHIN / 2  # seconds of patience that are left to go on with; else that is a request of its own
_OUTCOME = "idp.outcome"  # where the environment keeps what an endpoint came to, when Flask goes on from there
log = logging.getLogger(__name__)
_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def as_view(endpoint: Endpoint) -> Callable[..., Response]:
    """Return the view by which Flask calls an endpoint, or goes on where it has been called already."""

    def view(**values: Any) -> Response:
        come_to = request.environ.pop(_OUTCOME, None)
        outcome = come_to() if come_to else endpoint(**values)
        if isinstance(outcome, Page):
            return outcome.render()
        if isinstance(outcome, GoOn):
            outcome = _send_to(outcome)
        if isinstance(outcome, Answer):
            return Response(outcome.body, outcome.status, outcome.headers)
        return outcome

    return view


class Direct:
    """Calls endpoints; whatever is none of them goes on.

    Args:
        application: Flask's, which knows the same endpoints as views.
        settings: the provider's.
        endpoints: by method and path.
        below: by method and folder; each takes the last part of the path.
        headers_of: what further headers the answers at a path carry.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        settings: Settings,
        endpoints: Mapping[tuple[str, str], Endpoint],
        below: Mapping[tuple[str, str], Endpoint],
        headers_of: Callable[[str], Iterable[tuple[str, str]]],
    ) -> None:
        self._application = application
        self._settings = settings
        self._endpoints = endpoints
        self._below = below
        self._headers_of = headers_of
        self._beside: dict[tuple[object, ...], list[tuple[str, str]]] = {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer the request, or pass it on."""
        path = environ["PATH_INFO"]
        folder, endpoint, values = self._find(environ["REQUEST_METHOD"], path)
        if endpoint is None or NO_ROOM in environ:
            return self._application(environ, start_response)
        try:
            outcome = endpoint(*values)
            if isinstance(outcome, GoOn):
                current().end_transaction(303)
                return self._go_on(outcome, start_response)
            if isinstance(outcome, Answer):
                headers = self._complete(path, folder, outcome)
                current().end_transaction(outcome.status)
                start_response(_LINES[outcome.status], headers)
                return [outcome.body]
        except Exception as fault:
            environ[_OUTCOME] = _raising(fault)
        else:
            environ[_OUTCOME] = lambda: outcome
        return self._application(environ, start_response)

    def _go_on(self, there: GoOn, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer as another endpoint does. What was done before is committed, and is locked no longer.

        Where that endpoint has no redirect to offer, the browser is sent to it, with the cookies that it got: it may
        ask again, while a form would have to be filled in anew.
        """
        folder, endpoint, values = self._find("GET", there.path)
        answer = _send_to(there)
        try:
            outcome = endpoint(*values) if endpoint and patience.left(ENOUGH) == ENOUGH else answer
            if isinstance(outcome, Answer) and outcome.status == 303:
                answer = outcome
            else:
                current().discard_transaction()
            headers = self._complete(there.path, folder, answer)
            current().end_transaction(answer.status)
        except Exception as fault:
            log.info("%s has no answer at once (%s): the browser is sent there.", folder, type(fault).__name__)
            current().discard_transaction()
            answer = _send_to(there)
            headers = self._complete(there.path, folder, answer)
        start_response(_LINES[answer.status], headers)
        return [answer.body]

    def _find(self, method: str, path: str) -> tuple[str, Endpoint | None, tuple[str, ...]]:
        """Return the endpoint for a request and what it takes, with what all requests to it have in common."""
        if endpoint := self._endpoints.get((method, path)):
            return path, endpoint, ()
        folder, _, last = path.rpartition("/")
        return folder, self._below.get((method, folder)) if last else None, (last,)

    def _complete(self, path: str, folder: str, answer: Answer) -> list[tuple[str, str]]:
        """Return all headers of an answer. Which ones it needs beside its own is worked out once for each kind.

        Args:
            path: of the request.
            folder: what all requests of this kind have in common: the path, or where it is below.
            answer: its own headers among it.
        """
        kind = (folder, *[name for name, _ in answer.headers])
        beside = self._beside.get(kind)
        if beside is None:
            further = [*answer.headers, *self._headers_of(path)]
            beside = further[len(answer.headers) :] + headers_beside(self._settings, path, further)
            self._beside[kind] = beside
        return [*answer.headers, *beside, *cookies_to_set(answer.status), ("Content-Length", str(len(answer.body)))]


def _send_to(there: GoOn) -> Answer:
    return see_other(current().site.settings.url(there.path))


def _raising(fault: Exception) -> Callable[[], Answer]:
    def come_to() -> Answer:
        raise fault

    return come_to
