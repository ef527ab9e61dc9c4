"""A demo app: a public page, a members' page, the account widgets and a page for administrators, with single sign-on.

Run it with ``streamlit run`` and the path that ``find_main_script`` returns.
"""

from pathlib import Path


def find_main_script() -> Path:
    """Return the path of the demo's main script, for ``streamlit run``."""
    return Path(__file__).with_name("main.py")
