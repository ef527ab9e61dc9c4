"""The front door: what a request claims about itself is put right before the application sees it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from idp.accounts.visitor import plain_address
from idp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CLAIMED_HOST = "idp.claimed_host"  # where the environment keeps what the browser asked for
_WELL_KNOWN = "/.well-known/oauth-authorization-server"
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class FrontDoor:
    """Makes each request one to the issuer.

    - Host and scheme are the issuer's, whatever headers say: no URL is ever made from what a visitor chose.
    - The issuer's path is taken off; the metadata of RFC 8414 section 3 stands before that path, all else behind it.
    - The visitor's address has no port and no brackets, whatever a proxy wrote.
    - Bytes of the query that are not ASCII are percent-encoded, as the browser ought to have done.

    Args:
        application: what to call.
        settings: name the issuer.
    """

    def __init__(self, application: "WSGIApplication", settings: Settings) -> None:
        issuer = urlsplit(settings.issuer)
        self._application = application
        self._host = issuer.netloc
        self._scheme = issuer.scheme
        self._path = settings.issuer_path

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on."""
        environ[CLAIMED_HOST] = environ.get("HTTP_HOST", "")
        environ["HTTP_HOST"] = self._host
        environ["wsgi.url_scheme"] = self._scheme
        environ["REMOTE_ADDR"] = plain_address(environ.get("REMOTE_ADDR", ""))
        query = environ.get("QUERY_STRING", "")
        if not query.isascii():
            environ["QUERY_STRING"] = quote(query.encode("latin-1"), safe=_PRINTABLE)
        given = environ.get("PATH_INFO", "")
        if self._path:
            if given == _WELL_KNOWN + self._path:
                environ["PATH_INFO"] = _WELL_KNOWN
            elif given == self._path or given.startswith(self._path + "/"):
                environ["PATH_INFO"] = given[len(self._path) :] or "/"
                environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._path
        return self._application(environ, start_response)
