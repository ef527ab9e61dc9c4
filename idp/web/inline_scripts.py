"""The few scripts that pages carry within themselves: the page's policy names each by its hash, and no other runs.

They are written for any browser (ES5), and what they do is no secret: nothing is filled into them.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

_FOLDER = Path(__file__).parent / "static"


@dataclass(frozen=True)
class InlineScript:
    """A script as a page carries it.

    Attributes:
        content: for the inside of a script element.
        source: how a policy names it (CSP level 2 section 4.2.5).
    """

    content: Markup
    source: str


@cache
def inline_script(name: str) -> InlineScript:
    """Return a script.

    Args:
        name: of its file in the folder `static`.
    """
    content = (_FOLDER / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return InlineScript(Markup(content), f"'sha256-{digest}'")  # noqa: S704 - a file of ours
