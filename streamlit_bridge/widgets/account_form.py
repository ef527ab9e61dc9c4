"""How every account widget is called and framed: title, labels, place and key, in either generation's style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from streamlit_bridge import texts
from streamlit_bridge.call_style import LOCATIONS, read_call_style, read_fields
from streamlit_bridge.events import Callback
from streamlit_bridge.hosted_pages import HostedPage, find_hosted_page
from streamlit_bridge.session import initialise_state
from streamlit_bridge.wording import say


@dataclass(frozen=True)
class AccountForm:
    """The settings that all account widgets share.

    Attributes:
        widget: the widget's name in events, for example "Register user".
        labels: every label, the app's own ones already in place.
        is_classic: True for the 0.2 generation.
        is_in_sidebar: True for the sidebar, False for the main column.
        clears: empty the form once it was sent.
        key: the form's key; all other keys of the widget begin with it.
        callback: called with one dictionary once the work is done.
        typed: what was typed into the form in this run, by the inputs' keys; nothing secret.
    """

    widget: str
    labels: Mapping[str, str]
    is_classic: bool
    is_in_sidebar: bool
    clears: bool
    key: str
    callback: Callback | None
    typed: dict[str, str] = field(default_factory=dict)

    def place(self) -> DeltaGenerator:
        """Open the slot that the widget draws in; it holds one element and can be emptied again."""
        return (st.sidebar if self.is_in_sidebar else st).empty()

    @contextmanager
    def draw(self, place: DeltaGenerator) -> Iterator[None]:
        """Draw the form with its title around what the block adds."""
        with place.form(key=self.key, clear_on_submit=self.clears):
            st.subheader(self.labels["Form name"], anchor=False)
            yield

    def input(self, label: str, *, name: str | None = None, autocomplete: str, is_secret: bool = False) -> str:
        """Draw one text input of the form and return what was typed.

        Parameters:
            label: the key of its label.
            name: the rest of its own key, by default ``label``.
            autocomplete: what browsers and password managers may fill in.
            is_secret: hide what is typed, and keep it nowhere.
        """
        key = f"{self.key} {name or label}"
        kind: Literal["password", "default"] = "password" if is_secret else "default"
        typed = st.text_input(self.labels[label], key=key, type=kind, autocomplete=autocomplete) or ""
        if not is_secret:
            self.typed[key] = typed
        return typed

    def submit(self, label: str) -> bool:
        """Draw the form's main button and tell whether it was pressed."""
        return st.form_submit_button(self.labels[label], key=f"{self.key} submit", type="primary")

    def tell(self, event: dict[str, object]) -> None:
        """Run the app's callback, if there is one."""
        if self.callback is not None:
            self.callback(event)


def read_account_form(
    widget: str,
    first: object,
    second: object,
    fields: Mapping[str, str] | None,
    clear_on_submit: bool,
    key: str | None,
    callback: Callback | None,
) -> AccountForm:
    """Work out the settings from either generation's arguments, and have every key that apps read in the state.

    Parameters:
        widget: the widget's name in events.
        first: what came as the form's name, or as the location.
        second: what came as the location; after a location in first place it may hold the labels (newer style).
        fields: labels of the app.
        clear_on_submit: empty the form once it was sent.
        key: the form's key, by default the widget's name.
        callback: the app's callback.

    Raises:
        ValueError: the location is neither ``main`` nor ``sidebar``.
        TypeError: ``fields`` is no mapping, as when positional arguments got out of step.
    """
    initialise_state()
    if first in LOCATIONS and isinstance(second, Mapping) and fields is None:
        second, fields = None, second
    style = read_call_style(first, second)
    if style.location == "unrendered":
        raise ValueError(texts.BAD_FORM_LOCATION.format(location=style.location))
    chosen = {**texts.LABELS[widget], **read_fields(fields)}
    if style.form_name is not None:
        chosen["Form name"] = style.form_name
    chosen = {name: say(label) for name, label in chosen.items()}
    return AccountForm(
        widget=widget,
        labels=chosen,
        is_classic=style.is_classic,
        is_in_sidebar=style.location == "sidebar",
        clears=clear_on_submit,
        key=key or widget,
        callback=callback,
    )


def show_hosted_page(form: AccountForm, page: HostedPage) -> None:
    """Draw a card with a button that leads to the provider's own page, where the app may not do it itself.

    Parameters:
        form: the widget's settings.
        page: which page.
    """
    address = find_hosted_page(page)
    with form.place().container(border=True):
        st.subheader(form.labels["Form name"], anchor=False)
        if address is None:
            st.info(say(texts.HOSTED_UNKNOWN), icon=":material/info:")
            return
        st.write(say(texts.HOSTED_TEXT))
        st.link_button(say(texts.HOSTED_BUTTONS[form.widget]), address, icon=":material/open_in_new:", type="primary")
