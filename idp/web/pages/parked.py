"""The app's request that brought a person to a page: the page knows its id, the database knows the rest."""

from idp.accounts.sessions import CurrentSession
from idp.errors import ExpiredError
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.web import context, forms, texts
from idp.web.texts import text


def find_parked(*, denied: bool | None = None) -> Interaction | None:
    """Return the request that waits for this page, or None when the person came by themselves.

    Args:
        denied: as for `interaction.open_interaction`.

    Raises:
        ExpiredError: it is unknown, over, or was made in another browser.
    """
    interaction_id = forms.given("i")
    if not interaction_id:
        return None
    digest = context.visitor().browser_digest
    parked = interaction.open_interaction(context.database(), context.provider(), interaction_id, digest, denied=denied)
    texts.prefer(parked.request.ui_locales)
    return parked


def need_parked(*, denied: bool | None = None) -> Interaction:
    """Return the request that waits for this page.

    Args:
        denied: as for `interaction.open_interaction`.

    Raises:
        ExpiredError: there is none.
    """
    parked = find_parked(denied=denied)
    if parked is None:
        raise ExpiredError(text("form.no_request"))
    return parked


def settled_session() -> CurrentSession | None:
    """Return the session in which somebody may answer an app, or None: then the dispatcher knows what comes first."""
    session = context.current_session()
    return None if session is None or session.must_change_password else session


def id_of(parked: Interaction | None) -> str | None:
    """Return what a link or form carries along."""
    return parked.id if parked else None
