"""Guarded navigation: every page opens only for whom it is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import streamlit as st

from streamlit_bridge import texts
from streamlit_bridge.call_style import as_names
from streamlit_bridge.identity import Identity
from streamlit_bridge.widgets.forbidden import show_forbidden_card

PageLike: TypeAlias = "str | Path | Callable[[], None] | st.Page"


class RunnablePage(Protocol):
    """What ``Authenticate.pages`` returns: Streamlit's page, or a stand-in that refuses."""

    @property
    def title(self) -> str:
        """The page's title."""

    @property
    def icon(self) -> str:
        """The page's icon."""

    @property
    def url_path(self) -> str:
        """The page's URL path, "" for the start page."""

    def run(self) -> None:
        """Show the page."""


class ForbiddenPage:
    """Stands in for a page whose role the user lacks: it has the page's title and shows a refusal in its place."""

    def __init__(self, page: st.Page, identity: Identity, roles: Sequence[str]) -> None:
        self.title: str = page.title
        self.icon: str = page.icon
        self.url_path: str = page.url_path
        self._identity = identity
        self._roles = tuple(roles)

    def run(self) -> None:
        """Show the refusal; the page itself is never run."""
        show_forbidden_card(self._identity, self._roles)


def guard_pages(
    pages: Sequence[PageLike] | Mapping[str, Sequence[PageLike]],
    identity: Identity | None,
    roles: Mapping[str, str | Sequence[str]],
    public: str | Sequence[str],
    position: Literal["sidebar", "hidden", "top"],
    expanded: bool | int,
) -> RunnablePage | None:
    """Register all pages, so that every address survives, and offer those that this person may open.

    Parameters:
        pages: what ``st.navigation`` takes.
        identity: the signed-in person, None for a visitor.
        roles: needed roles by URL path.
        public: URL paths that everybody may open.
        position, expanded: where the menu is, and how much of it shows at first.

    Returns:
        The page to run; None where a visitor has to sign in first.

    Raises:
        ValueError: ``roles`` or ``public`` name a page that does not exist: a mistyped name must not open a page.
    """
    sections = pages if isinstance(pages, Mapping) else {"": pages}
    listed = {section: [_make_page(page) for page in members] for section, members in sections.items()}
    everything = [page for members in listed.values() for page in members if not page.is_external]
    known = {name for page in everything for name in _paths_of(page, everything)}
    needed = {name: as_names(wanted) for name, wanted in roles.items()}
    opened = as_names(public)
    unknown = sorted(({*needed} | {*opened}) - known)
    if unknown:
        raise ValueError(texts.UNKNOWN_PAGE_IN_ROLES.format(pages=unknown, known=sorted(known)))

    def may_open(page: st.Page) -> bool:
        names = _paths_of(page, everything)
        if identity is None:
            return any(name in opened for name in names) and not any(name in needed for name in names)
        return all(identity.has_any_role(tuple(needed[name])) for name in names if name in needed)

    shown = {
        section: [page if page.is_external or may_open(page) else _hide(page) for page in members]
        for section, members in listed.items()
    }
    has_menu = any(may_open(page) for page in everything)
    chosen: Sequence[st.Page] | Mapping[str, Sequence[st.Page]] = shown if isinstance(pages, Mapping) else shown[""]
    current = st.navigation(chosen, position=position if has_menu else "hidden", expanded=expanded)
    if may_open(current):
        return current
    if identity is None:
        return None
    missing = [role for name in _paths_of(current, everything) for role in needed.get(name, ())]
    return ForbiddenPage(current, identity, missing)


def _make_page(page: PageLike) -> st.Page:
    return page if isinstance(page, st.Page) else st.Page(page)


def _hide(page: st.Page) -> st.Page:
    """Return the same page without its entry in the menu; the app's own object stays as it was."""
    hidden = copy(page)
    hidden._visibility = "hidden"  # there is no public way to change it
    return hidden


def _paths_of(page: st.Page, everything: Sequence[st.Page]) -> tuple[str, ...]:
    """Return the names under which rules may speak of a page: the start page also has the one that it was given."""
    own = page._url_path
    # Without a page that is marked as the start page, Streamlit takes the first one.
    is_start = page.url_path == "" or (page is everything[0] and all(other.url_path for other in everything))
    return (own, "") if is_start else (own,)
