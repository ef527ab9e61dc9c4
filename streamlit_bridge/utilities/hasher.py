"""``Hasher`` under the dotted name that some apps of the 0.3 generation import it from."""

from streamlit_bridge.hasher import Hasher

__all__ = ["Hasher"]
