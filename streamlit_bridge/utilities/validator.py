"""``Validator`` under the dotted name that some apps of the 0.3 generation import it from."""

from streamlit_bridge.validator import Validator

__all__ = ["Validator"]
