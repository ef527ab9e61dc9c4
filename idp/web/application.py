"""Flask, with less to do around each request: what this application never uses is not looked for."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Request, has_request_context
from flask.globals import request_ctx
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.routing import MapAdapter, Rule

_OPTIONS = ("_anchor", "_external", "_method", "_scheme")  # of `url_for`
_LEFT = "!$'()*,/:;?@"  # may stand in a query as it is (RFC 3986 section 3.4); Flask leaves it, too


class NoSessions(SessionInterface):
    """Flask's own sessions do not exist here: who is signed in is a row of the database (see `idp.web.context`)."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:  # noqa: ARG002 - Flask's signature
        """Return the one session that there is: an empty one that cannot be written to."""
        return self._none

    def is_null_session(self, obj: object) -> bool:  # noqa: ARG002 - Flask's signature
        """Nothing is ever saved."""
        return True


class Application(Flask):
    """The provider's web application.

    Most requests come to a few addresses without variables in them. These are found by one look into a table; only
    the others are matched against all rules.
    """

    session_interface = NoSessions()

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self._fixed: dict[tuple[str, str], Rule] | None = None
        self._paths: dict[str, str] | None = None

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what matches the request's address against the rules, or None when its rule is known already."""
        if request is None:
            return super().create_url_adapter(request)
        if self._fixed is None:
            self._fixed = {
                (method, rule.rule): rule
                for rule in self.url_map.iter_rules()
                if "<" not in rule.rule
                for method in (rule.methods or set()) - {"OPTIONS"}
            }
        rule = self._fixed.get((request.method, request.environ["PATH_INFO"]))
        if rule is None:
            return super().create_url_adapter(request)
        request.url_rule, request.view_args = rule, {}
        return None

    def url_for(self, endpoint: str, **values: Any) -> str:
        """Return the path of an endpoint; what builds it is made when a page asks for one with variables."""
        if self._paths is None:
            self._paths = {rule.endpoint: rule.rule for rule in self.url_map.iter_rules() if "<" not in rule.rule}
        given = {name: value for name, value in values.items() if value is not None}
        if (
            (path := self._paths.get(endpoint)) is not None
            and has_request_context()
            and given.keys().isdisjoint(_OPTIONS)  # `flask.url_for` names all of them, those that are None too
        ):
            return request_ctx.request.script_root + path + (f"?{urlencode(given, safe=_LEFT)}" if given else "")
        if has_request_context() and request_ctx.url_adapter is None:
            request_ctx.url_adapter = super().create_url_adapter(request_ctx.request)
        return super().url_for(endpoint, **values)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none here is asynchronous."""
        return func
