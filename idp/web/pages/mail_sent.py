"""Check your mailbox: said after everything that ends in a mail, in the same words whoever asked.

What was typed goes to the page sealed, and for this browser only: it is no address in a URL that others may read, and
nobody can make the page say something by a link.
"""

from dataclasses import dataclass

from flask import Response

from idp import crypto
from idp.errors import NotReadyError
from idp.web import context, forms
from idp.web.pages.parked import find_parked
from idp.web.pages.rendering import page, see_other

REGISTERED, PENDING, RESENT, RESET, REMINDER = "registered", "pending", "resent", "reset", "reminder"
_PURPOSE = "what was typed before a mail"
_TYPED_MOST = 254  # characters


@dataclass(frozen=True)
class Letter:
    """A mail that the person waits for, if there is anybody to get it.

    Attributes:
        kind: one of the constants above.
        typed: the address or user name that was asked for.
    """

    kind: str = ""
    typed: str = ""


NO_LETTER = Letter()


def lead_to_mailbox(kind: str, typed: str, interaction_id: str | None, notice: str | None = None) -> Response:
    """Send the browser to the page after a form."""
    return see_other("show_mail_sent", i=interaction_id, letter=_seal(Letter(kind, typed)), notice=notice)


def show_mail_sent() -> Response:
    """Say where to look, and what to do if nothing comes."""
    parked = find_parked()
    sealed = forms.given("letter")
    return page(
        "mail_sent.html",
        parked=parked,
        letter=open_letter(sealed),
        sealed=sealed,
        has_outbox=context.settings().mail_route == "outbox",
    )


def open_letter(sealed: str) -> Letter:
    """Return what this browser is waiting for; nothing when it is another's, or made up."""
    try:
        plain = crypto.unseal(context.settings().secret_key, _PURPOSE, sealed)
    except NotReadyError:
        return NO_LETTER
    browser, kind, typed = plain.split("\n", 2)
    return Letter(kind, typed) if crypto.are_equal(browser, context.visitor().browser_digest) else NO_LETTER


def _seal(letter: Letter) -> str:
    typed = letter.typed.strip()[:_TYPED_MOST].encode("utf-8", "replace").decode()
    plain = f"{context.visitor().browser_digest}\n{letter.kind}\n{typed}"
    return crypto.seal(context.settings().secret_key, _PURPOSE, plain)
