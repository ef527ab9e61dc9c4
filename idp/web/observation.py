"""Around every request: it gets an id, is counted and timed, and may leave a line in the log.

This is the outermost layer of the application, so it is also where a failure that nothing else caught becomes an
answer. It must cost next to nothing: `docs/operations.md` says how much.
"""

import logging
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from werkzeug.routing import Map

from idp import clock, crypto, metrics
from idp.errors import BUSY_RETRY_AFTER
from idp.logs import request_id
from idp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "X-Request-ID"
OTHER = "other"  # the route of whatever leads nowhere: the label takes no value that visitors choose
LAST_WORDS = b"The server cannot answer just now. Please try again in a moment.\n"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}").fullmatch

log = logging.getLogger(__name__)


def _in_one_piece(body: Iterable[bytes]) -> list[bytes]:
    """Return all of an answer: a server sends a list with its headers, and whatever else it has to ask for after them.

    Answers here are small and complete; none is made while it is sent.
    """
    try:
        return [b"".join(body)]
    finally:
        if hasattr(body, "close"):
            body.close()


class Observation:
    """Gives each request an id, counts it, and sees to it that it is answered.

    Args:
        application: what to call.
        settings: say whether a proxy's ids are taken, and whether requests are logged.
        routes: the application's; they become labels.
    """

    def __init__(self, application: "WSGIApplication", settings: Settings, routes: Map) -> None:
        self._application = application
        self._prefix = crypto.random_bytes(4).hex()  # no secret: ids need only be unlike others
        self._numbers = count(1)
        self._takes_ids = settings.proxy_hops > 0
        self._logs_requests = settings.log_requests == "on"
        self._routes: Mapping[str, str] = {rule.rule: rule.rule for rule in routes.iter_rules() if not rule.arguments}
        self._patterns = tuple(
            (re.compile(re.sub(r"<\w+>", "[^/]+", rule.rule)), re.sub(r"<(\w+)>", r"{\1}", rule.rule))
            for rule in routes.iter_rules()
            if rule.arguments
        )
        self._requests: dict[tuple[str, str], str] = {}
        self._timings: dict[str, tuple[str, tuple[str, ...]]] = {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on."""
        started = clock.ticks()
        given = environ.get("HTTP_X_REQUEST_ID", "") if self._takes_ids else ""
        known = given if given and _WELL_FORMED(given) else f"{self._prefix}{next(self._numbers):08x}"
        request_id.set(known)
        status = ""

        def begin(line: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            nonlocal status
            status = line[:3]
            headers.append((HEADER, known))
            return start_response(line, headers, *failure)

        try:
            body = self._application(environ, begin)
            if not isinstance(body, list):
                body = _in_one_piece(body)
        except Exception:
            log.exception("%s failed outside of the application", environ.get("REQUEST_METHOD", ""))
            body = [LAST_WORDS]
            plain = [
                ("Content-Type", "text/plain"),
                ("Retry-After", str(BUSY_RETRY_AFTER)),
                ("Cache-Control", "no-store"),
            ]
            begin("503 Service Unavailable", plain)
        self._note(environ, status, clock.ticks() - started)
        return body

    def _note(self, environ: "WSGIEnvironment", status: str, seconds: float) -> None:
        path = environ.get("PATH_INFO", "")
        route = self._routes.get(path) or self._route_of(path)
        request = self._requests.get((route, status)) or self._name_request(route, status)
        total, buckets = self._timings.get(route) or self._name_timings(route)
        bucket = buckets[bisect_left(metrics.BUCKETS, seconds)]
        metrics.add_all((request, 1.0), (bucket, 1.0), (total, seconds))
        if self._logs_requests:
            fields = {
                "method": environ.get("REQUEST_METHOD", "")[:10],
                "route": route,
                "status": int(status or 0),
                "milliseconds": round(seconds * 1000, 2),
                "address": environ.get("REMOTE_ADDR", ""),
            }
            log.info("%s %s %s in %s ms from %s", *fields.values(), extra={"fields": fields})

    def _route_of(self, path: str) -> str:
        """Find the route with variable parts that a path belongs to."""
        return next((route for pattern, route in self._patterns if pattern.fullmatch(path)), OTHER)

    def _name_request(self, route: str, status: str) -> str:
        series = f'idp_requests_total{{route="{route}",status="{status}"}}'
        self._requests[route, status] = series
        return series

    def _name_timings(self, route: str) -> tuple[str, tuple[str, ...]]:
        """Name the series of a route's histogram: not yet cumulative, so that a request adds to one of them."""
        bounds = (*map(str, metrics.BUCKETS), "+Inf")
        buckets = tuple(f'idp_request_duration_seconds_bucket{{route="{route}",le="{each}"}}' for each in bounds)
        named = (f'idp_request_duration_seconds_sum{{route="{route}"}}', buckets)
        self._timings[route] = named
        return named
