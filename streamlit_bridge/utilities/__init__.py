"""The errors, ``Hasher`` and ``Validator`` under the package name that apps of the 0.4 generation import them from."""

from streamlit_bridge.exceptions import *  # noqa: F403  # an alias: the list of names is kept in one module
from streamlit_bridge.hasher import Hasher
from streamlit_bridge.utilities import exceptions, hasher, validator
from streamlit_bridge.validator import Validator

__all__ = ["Hasher", "Validator", "exceptions", "hasher", "validator"]
__all__ += exceptions.__all__
