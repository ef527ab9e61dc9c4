"""What takes a mail on its way, and how that can fail: three kinds, because each asks for something else."""

import re
from typing import Protocol

from idp.errors import IdpError
from idp.mail.envelope import Envelope

REASON_MOST = 300  # characters
_READ_MOST = 2_000  # characters of what a server said, which may be made to take long to look through
# Mail servers name whom they do not know. Their filters quote what they dislike, be it a link that opens an account.
_PRIVATE = re.compile(r"\S*(?:://|%3A%2F%2F)\S*|[^\s<>]*(?:@|%40)[^\s<>]*|[\w=-]{24,}", re.IGNORECASE)


class TransportError(IdpError):
    """A mail did not go.

    Args:
        reason: what the other side said; links, addresses and long words are taken out: it ends in log and audit.
    """

    def __init__(self, reason: str) -> None:
        plain = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
        if len(plain) > _READ_MOST:  # without the last word, which may be half an address
            plain = plain[:_READ_MOST].rpartition(" ")[0]
        super().__init__(_PRIVATE.sub("(...)", plain)[:REASON_MOST])


class Unreachable(TransportError):
    """The way itself is closed: no connection, no trust, no sign-in. It concerns every mail, not this one."""


class NotNow(TransportError):
    """This mail was put off; it may go later."""


class NotEver(TransportError):
    """This mail will never go, however often it is tried."""


class Transport(Protocol):
    """A way for mails to take."""

    @property
    def is_open(self) -> bool:
        """Whether it takes mails now."""

    def open(self) -> None:
        """Make ready.

        Raises:
            Unreachable: the way is closed.
        """

    def hand_over(self, envelope: Envelope, name: str) -> None:
        """Hand a mail over; when this returns, the other side answers for it.

        Args:
            envelope: the mail.
            name: what the mail is called where it is kept in a file.

        Raises:
            NotNow: try again later.
            NotEver: do not.
            Unreachable: the way broke, and nobody knows how far the mail came.
        """

    def close(self) -> None:
        """Leave politely, if that is possible."""
