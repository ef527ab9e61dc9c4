"""`docs/streamlit.md` tells of every call of the bridge, and of every argument."""

import inspect
import re

import pytest

from streamlit_bridge import Authenticate
from tests.house import pages
from tests.house.pages import section, tables

PAGE = pages.read("streamlit.md")
TOLD = {row[0] for row in tables(section(PAGE, "## Every call"))[1:]}
CALLS = {
    name: call for name, call in inspect.getmembers(Authenticate, inspect.isfunction) if not name.startswith("_")
} | {"Authenticate": Authenticate.__init__}


def test_every_call_is_documented_and_no_other() -> None:
    """`experimental_guest_login` shows nothing, and stands among what differs."""
    assert CALLS.keys() - {"experimental_guest_login", "Authenticate"} == TOLD
    assert "experimental_guest_login" in PAGE


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_documented(name: str) -> None:
    parameters = list(inspect.signature(CALLS[name]).parameters.values())[1:]
    named = [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    assert [each for each in named if not re.search(rf"\b{each}\b", PAGE)] == []
