"""Links that came by mail: their secret is read here, and here it is said when one is good no more."""

from flask import Response

from idp.accounts import one_time_links
from idp.oidc import interaction
from idp.web import context, forms
from idp.web.pages.rendering import page, see_other


def token() -> str:
    """Return the secret that the link, or the form behind it, carries."""
    return forms.given(one_time_links.PARAMETER)


def gone(*, remedy: str) -> Response:
    """Say that a link is good no more, and what helps.

    Args:
        remedy: `verify`, `reset`, `change` or `invitation`.
    """
    return page("link_gone.html", 400, remedy=remedy)


def lead_to_sign_in(notice: str) -> Response:
    """Go on to sign-in: for the app that this browser came from, if one still waits."""
    waiting = interaction.find_waiting(context.database(), context.visitor().browser_digest)
    is_signed_in = context.current_session() is not None
    return see_other("show_sign_in", i=waiting, other="1" if is_signed_in else None, notice=notice)
