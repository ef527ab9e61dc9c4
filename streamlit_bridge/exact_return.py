"""Sends the browser from the provider straight back to the page and query string from which it left.

Streamlit leads to the start page after a sign-in, from where the bridge goes on to the page: a flash of the start page
and a second run. This layer rewrites Streamlit's redirect, and notes why the provider let nobody in, if it did not.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamlit_bridge import texts
from streamlit_bridge.memory import open_shared_memory
from streamlit_bridge.return_path import CALLBACK, build_relative_address
from streamlit_bridge.session import XSRF_COOKIE, read_browser_token


class ExactReturn:
    """ASGI middleware around Streamlit's callback route; everything else passes through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].endswith(CALLBACK):
            await self._app(scope, receive, send)
            return
        browser = _find_browser(Headers(scope=scope))
        attempt = None
        if browser is not None:
            attempt = open_shared_memory().bring_attempt_back(browser, _read_refusal(scope))
        if attempt is None:
            await self._app(scope, receive, send)
            return
        base = scope["path"].removesuffix(CALLBACK)

        async def send_rewritten(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # Streamlit's way back is the start page of this app; anything else is none of our business.
                if headers.get("location") in {f"{base}/", base or "/"}:
                    headers["location"] = f"{base}/{build_relative_address(attempt.destination)}"
            await send(message)

        await self._app(scope, receive, send_rewritten)


def _find_browser(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(XSRF_COOKIE)
    except CookieError:
        return None
    return read_browser_token(morsel.value) if morsel is not None else None


def _read_refusal(scope: Scope) -> str | None:
    """Return the provider's reason if it is one that apps know; anybody may write anything into an address."""
    try:
        query = parse_qs(scope["query_string"].decode("ascii"), max_num_fields=20)
    except ValueError:
        return None
    if query.get("error") != ["access_denied"]:
        return None
    said = " ".join(query.get("error_description", []))
    return next((message for message in texts.SIGN_IN_REFUSALS if message in said), None)
