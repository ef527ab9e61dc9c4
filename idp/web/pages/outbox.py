"""The mailbox of a provider to try out: what would have been mailed if there were a mail server.

Every message in it may open an account, so it is for this machine only: the provider must be on it, the browser must be
on it, and must have asked for it by a name of this machine (a page elsewhere can let its own name point here).
"""

import re

from flask import Response, request
from markupsafe import Markup, escape

from idp.errors import NotFoundError
from idp.mail import outbox_folder
from idp.mail.outbox_folder import Written
from idp.setting_rules import is_loopback
from idp.web import context
from idp.web.front_door import CLAIMED_HOST
from idp.web.pages.rendering import page
from idp.web.texts import text

# The HTML part stands alone: no script, nothing from another host, no access to what belongs to these pages.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
_LINK = re.compile(r"https?://[^\s<>\"]+")
_ID = re.compile(r"[0-9a-f]{32}")


def show_outbox() -> Response:
    """List the messages, the newest first."""
    _check_local()
    return page("outbox.html", messages=outbox_folder.list_written(context.settings()), message=None)


def show_outbox_message(mail_id: str) -> Response:
    """Show one message as text, its links ready to be followed."""
    message = _find(mail_id)
    return page("outbox.html", message=message, content=linked(message.text))


def show_outbox_html(mail_id: str) -> Response:
    """Show one message as a mail program would."""
    response = Response(_find(mail_id).html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _SANDBOX
    return response


def linked(text: str) -> Markup:
    """Return a text as paragraphs whose links can be followed; all else in it is escaped."""
    paragraphs = (_linked(paragraph) for paragraph in text.strip().split("\n\n"))
    return Markup("\n").join(Markup("<p>{}</p>").format(each) for each in paragraphs)


def _linked(paragraph: str) -> Markup:
    parts, end = [], 0
    for found in _LINK.finditer(paragraph):
        parts += [escape(paragraph[end : found.start()]), Markup('<a href="{0}">{0}</a>').format(found[0])]
        end = found.end()
    return Markup("").join([*parts, escape(paragraph[end:])]).replace("\n", Markup("<br>"))


def _find(mail_id: str) -> Written:
    _check_local()
    message = outbox_folder.find_written(context.settings(), mail_id) if _ID.fullmatch(mail_id) else None
    if message is None:
        raise NotFoundError(text("error.not_found"))
    return message


def _check_local() -> None:
    """Check that mail goes to files, and that all concerned are on this machine.

    Raises:
        NotFoundError: there is no such page, as far as anybody else can tell.
    """
    host = re.sub(r":\d+$", "", request.environ[CLAIMED_HOST]).strip("[]")
    is_ours = context.settings().mail_route == "outbox"
    if not (is_ours and is_loopback(host) and is_loopback(request.remote_addr)):
        raise NotFoundError(text("error.not_found"))
