"""Sign in with a user name or an address, and a password."""

from functools import partial

from idp import clock
from idp.accounts import names, sign_in
from idp.accounts.sessions import CurrentSession
from idp.errors import AddressUnverified, SignInRefused, Throttled
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.oidc.subjects import subject_of
from idp.web import context, forms
from idp.web.answers import GoOn, Page
from idp.web.pages import destinations, mail_sent
from idp.web.pages.parked import find_parked, id_of
from idp.web.pages.register import policy_for
from idp.web.pages.rendering import (
    NO_FAULTS,
    Faults,
    faults_of_token,
    form_again,
    page,
    required,
    see_other,
    shown_again,
)
from idp.web.texts import text


def show_sign_in() -> Page:
    """Show the form; who is signed in already and was sent by no app needs none."""
    parked = find_parked()
    session = context.current_session()
    if parked is None and session is not None and not _is_for_another():
        return _leave()
    return _form(parked, _suggestion(parked))


def submit_sign_in() -> GoOn | Page:
    """Check the password, start a session, go on to where the person came from."""
    is_cancelled = forms.field("action") == "cancel"
    parked = find_parked(denied=is_cancelled)
    username, password = forms.field("username"), forms.field("password")
    if faults := faults_of_token():
        session = None if is_cancelled else _person_again(parked)
        if session is None or not _is_name_of(session, username):
            return _form(parked, username, faults, 400)
        if parked and parked.session_id == session.id and clock.now() - session.auth_time < interaction.AGAIN_WITHIN:
            interaction.note_sign_in(context.database(), parked.id, session.id)  # the button was pressed once more
        return _go_on(parked)  # or somebody signed in in another tab
    if parked and is_cancelled:
        interaction.note_denial(context.database(), parked.id)
        return _go_on(parked)
    if faults := required(
        username=(username.strip(), "sign_in.identifier_missing"), password=(password, "sign_in.password_missing")
    ):
        return _form(parked, username, faults, 422)
    before = context.current_session()
    try:
        token, session_id = sign_in.sign_in(
            context.database(),
            context.settings(),
            context.visitor(),
            username,
            password,
            replaces=before.id if before else None,
        )
    except SignInRefused:
        # 422 and not 401: that would promise an HTTP authentication scheme (RFC 9110 section 15.5.2).
        return _form(parked, username, Faults(general=[text("sign_in.refused")], blamed="password"), 422)
    except AddressUnverified:
        return Page(partial(mail_sent.lead_to_mailbox, mail_sent.PENDING, username, id_of(parked)))
    except Throttled as refusal:
        form = partial(_form, parked, username)
        return Page(partial(form_again, refusal, lambda faults, status: form(faults, status).render()))
    context.hand_over_session(token)
    if parked:
        interaction.note_sign_in(context.database(), parked.id, session_id)
    return _go_on(parked)


def _go_on(parked: Interaction | None) -> GoOn | Page:
    """Have the dispatcher answer at once: who signs in far away is spared one way there and back."""
    return GoOn(interaction.resume_path(parked.id)) if parked else _leave()


def _leave() -> Page:
    """Go on to the page of ours that the person wanted, where no app sent them."""
    return Page(partial(see_other, destinations.requested_view(), **destinations.goes_along()))


def _form(parked: Interaction | None, username: str, faults: Faults = NO_FAULTS, status: int = 200) -> Page:
    filled = partial(
        page,
        "sign_in.html",
        status,
        parked=parked,
        next_path=destinations.requested_path(),
        goes_along=destinations.goes_along(),
        username=shown_again(username),
        is_other="1" if _is_for_another() else None,
        faults=faults,
        is_again=_person_again(parked) is not None,
        may_register=policy_for(parked) != "closed",
    )
    return Page(filled)


def _suggestion(parked: Interaction | None) -> str:
    """Whom the form is filled in for: whom the app names, or who is asked to prove themselves once more."""
    hint = parked.request.login_hint if parked else None
    session = _person_again(parked)
    return hint or (session.username if session else "")


def _person_again(parked: Interaction | None) -> CurrentSession | None:
    """Who is signed in and to prove it once more; nobody when another account is asked for, by person or app."""
    session = context.current_session()
    if session is None or _is_for_another():
        return None
    if parked and not parked.request.admits(subject_of(context.settings(), parked.client, session.user_id)):
        return None
    return session


def _is_for_another() -> bool:
    """Tell whether another account is to sign in than the one that is."""
    return bool(forms.given("other"))


def _is_name_of(session: CurrentSession, typed: str) -> bool:
    return names.username_key(typed) in (names.username_key(session.username), names.email_key(session.email))
