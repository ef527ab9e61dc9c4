"""`docs/streamlit.md` tells of every call of the bridge, and of every argument."""

import inspect
import re
import tomllib

import pytest

from streamlit_bridge import Authenticate
from tests.house import pages
from tests.house.pages import section, tables

PAGE = pages.read("streamlit.md")
EVERY_CALL = section(PAGE, "## Every call")
TOLD = {row[0]: " ".join(row[1:]) for row in tables(EVERY_CALL)[1:]}
WIDGETS = list(TOLD)[list(TOLD).index("login") :]
# What widgets have in common, and what they take and do not use.
OF_WIDGETS = [line for line in EVERY_CALL.splitlines() if line.startswith("- ")]
OF_WIDGETS += [row[0] for row in tables(section(PAGE, "## What differs from streamlit-authenticator"))]
OF_ALL_CALLS = section(PAGE, "## How soon an app notices") + section(PAGE, "## In another language")
CALLS = {
    name: call for name, call in inspect.getmembers(Authenticate, inspect.isfunction) if not name.startswith("_")
} | {"Authenticate": Authenticate.__init__}


def test_the_oldest_streamlit_that_is_named_is_the_one_that_is_demanded() -> None:
    extras = tomllib.loads((pages.ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = re.search(r"needs Streamlit ([\d.]+) or newer", PAGE)
    assert named
    assert f"streamlit[auth]>={named[1]}" in extras["streamlit"]


def test_every_call_is_documented_and_no_other() -> None:
    """`experimental_guest_login` shows nothing, and stands among what differs."""
    assert CALLS.keys() - {"experimental_guest_login", "Authenticate"} == TOLD.keys()
    assert "experimental_guest_login" in PAGE


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_documented_where_its_call_is(name: str) -> None:
    parameters = list(inspect.signature(CALLS[name]).parameters.values())[1:]
    named = [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    told = " ".join([TOLD.get(name, OF_ALL_CALLS), *(OF_WIDGETS if name in WIDGETS else ())])
    assert [each for each in named if not re.search(rf"\b{each}\b", told)] == []
