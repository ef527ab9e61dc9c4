"""Forms: protection against forged ones, and their fields as text.

A form carries a token that is a MAC over the browser's own secret and the session's id: it cannot be made by another
site, nor carried from one browser or session to another (OWASP CSRF prevention: signed double submit).
"""

from idp import crypto
from idp.errors import ExpiredError
from idp.web import context
from idp.web.exchange import current
from idp.web.texts import text

CSRF_FIELD = "csrf_token"
_PURPOSE = "csrf"
_SENT = "forms that were sent"


def csrf_token() -> str:
    """Return the token for the forms of this response."""
    context.ensure_browser_token()
    return _expected_token()


def check_csrf() -> None:
    """Refuse a form that this browser was not given.

    Raises:
        ExpiredError: the token is missing, foreign, or of an ended session.
    """
    if not context.browser_token() or not crypto.are_equal(field(CSRF_FIELD), _expected_token()):
        raise ExpiredError(text("form.too_old"), detail="csrf token missing or wrong")


def field(name: str) -> str:
    """Return a field of the form as text without NUL characters; empty when it is missing."""
    return current().form.get(name, "").replace("\x00", "")


def has_field(name: str) -> bool:
    """Tell whether the form holds a field, filled in or not."""
    return name in current().form


def name_of_sent() -> str:
    """Return a name for the form as this browser sent it, to know one that it sends twice.

    Its token is in it, so no other browser can send the same (what an app sends has none, and is told apart by whoever
    asks); a MAC, because there may be a password in it as well.
    """
    return crypto.mac(context.settings().secret_key, _SENT, current().body()).hex()


def given(name: str) -> str:
    """Return what the address or else the form says, likewise: a page's form repeats what led to it."""
    exchange = current()
    return (exchange.query.get(name) or exchange.form.get(name, "")).replace("\x00", "")


def _expected_token() -> str:
    """Return what a form of this browser and its session carries."""
    return crypto.mac(context.settings().secret_key, _PURPOSE, _binding()).hex()


def _binding() -> bytes:
    session = context.current_session()
    return f"{context.browser_token()}\n{session.id if session else ''}".encode("utf-8", "surrogatepass")
