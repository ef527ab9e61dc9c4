"""The errors under the dotted name that some apps of the 0.3 generation import them from."""

from streamlit_bridge.exceptions import *  # noqa: F403  # an alias: the list of names is kept in one module
from streamlit_bridge.exceptions import __all__ as __all__  # noqa: PLC0414  # exported, for who adds to it
