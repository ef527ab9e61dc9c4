"""Brings people back to the page and query string from which they went to sign in.

Streamlit always lands on the start page after a sign-in. Only page paths of this app are remembered and only
``st.switch_page`` uses them, so a remembered place can never lead to another site.
"""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import quote, unquote, urlencode, urlsplit

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from streamlit_bridge.memory import Destination

CALLBACK = "/oauth2callback"  # where Streamlit takes people back from the provider, below its base path
LONGEST_QUERY = 4_000


def read_current_place() -> Destination:
    """Read page and query string that the browser shows now; the start page where the browser does not tell."""
    query = tuple((name, tuple(st.query_params.get_all(name))) for name in st.query_params)
    length = sum(len(name) + len(value) for name, values in query for value in values)
    return Destination(_read_page(st.context.url), query if length <= LONGEST_QUERY else ())


def find_address() -> str:
    """Write the address of the page and query string that the browser shows now, as a tab of its own would open it."""
    parts = urlsplit(st.context.url or "")
    base = read_base_path()
    root = f"{parts.scheme}://{parts.netloc}/{base}/" if base else f"{parts.scheme}://{parts.netloc}/"
    return f"{root}{build_relative_address(read_current_place())}" if parts.netloc else "/"


def read_base_path() -> str:
    """Return the path under which the whole app is served, without slashes at its ends; empty for most."""
    return str(st.get_option("server.baseUrlPath") or "").strip("/")


def build_relative_address(destination: Destination) -> str:
    """Write a remembered place as an address below the app's own root; it can never lead to another site.

    Parameters:
        destination: a page's URL path, which has no slash, and its query parameters.
    """
    query = urlencode([(name, value) for name, values in destination.query for value in values])
    page = quote(destination.page, safe="")
    return f"{page}?{query}" if query else page


def is_start_page() -> bool:
    """Tell whether the browser is where Streamlit lands after a sign-in."""
    return _read_page(st.context.url) == ""


def go_to(destination: Destination) -> None:
    """Show the remembered place; does not return if that is another page.

    Parameters:
        destination: what ``read_current_place`` returned before the sign-in.
    """
    query = {name: list(values) for name, values in destination.query}
    if destination.page:
        _switch_page(destination.page, query)
    elif query:
        st.query_params.from_dict(query)


def _switch_page(page: str, query: dict[str, list[str]]) -> NoReturn:
    st.switch_page(_find_page(page), query_params=query)


def _find_page(url_path: str) -> st.Page:
    """Name a page by its URL path alone.

    ``st.switch_page`` recognises a page by its URL path. Where the app has already registered its pages it also wants
    the same source file; where it has not (``require()`` stands before ``st.navigation``) any source does, and
    ``st.navigation`` finds the page, or falls back to the start page, in the run that follows.
    """
    context = get_script_run_ctx()
    registered = context.pages_manager.get_pages().values() if context is not None else ()
    for page in registered:
        if page.get("url_pathname") == url_path and page["script_path"]:
            return st.Page(page["script_path"], url_path=url_path)
    return st.Page(_show_nothing, title=url_path, url_path=url_path)


def _show_nothing() -> None:
    """Stand in for the page's real source; it is never run."""


def _read_page(url: str | None) -> str:
    """Return the page's URL path, without the path under which the whole app is served."""
    path = unquote(urlsplit(url or "").path).strip("/")
    base = read_base_path()
    if path == base or path.startswith(f"{base}/"):
        path = path[len(base) :].strip("/")
    # Streamlit says a page twice whose path has to be escaped in an address.
    page, _, again = path.partition("/")
    if page == again:
        return page
    # Page paths have one segment; anything else is no page of this app.
    return path if "/" not in path else ""
