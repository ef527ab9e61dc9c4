"""What an endpoint answers with, before it becomes bytes: `idp.web.direct` does that, in front of Flask."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response


@dataclass(slots=True)
class Answer:
    """An answer of ready bytes."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def see_other(location: str) -> Answer:
    """Redirect with 303: a form that was posted here is not posted on (RFC 9700 section 4.12)."""
    return Answer(303, [("Location", location)])


@dataclass(slots=True)
class Page:
    """An answer that a template makes, which needs Flask.

    Attributes:
        render: makes it.
    """

    render: Callable[[], "Response"]


@dataclass(slots=True)
class GoOn:
    """An answer that another endpoint has: this one has done its part, and that one knows what comes next.

    What was done is committed before.

    Attributes:
        path: where the browser would be sent, below the issuer's path.
    """

    path: str
