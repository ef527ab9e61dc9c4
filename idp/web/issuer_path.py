"""An issuer with a path, such as https://example.org/login: the application lives below it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_WELL_KNOWN = "/.well-known/oauth-authorization-server"


class IssuerPath:
    """Takes the issuer's path off each request.

    The metadata of RFC 8414 section 3 stands before that path, all else behind it.

    Args:
        application: what to call.
        path: the issuer's path without a last slash; nothing is done when it is empty.
    """

    def __init__(self, application: "WSGIApplication", path: str) -> None:
        self._application = application
        self._path = path

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on."""
        given = environ.get("PATH_INFO", "")
        if self._path:
            if given == _WELL_KNOWN + self._path:
                environ["PATH_INFO"] = _WELL_KNOWN
            elif given == self._path or given.startswith(self._path + "/"):
                environ["PATH_INFO"] = given[len(self._path) :] or "/"
                environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._path
        return self._application(environ, start_response)
