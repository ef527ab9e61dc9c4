"""Make an account for oneself, where the operator admits that: by oneself, from an app, or by an invitation."""

from functools import partial

from flask import Response
from markupsafe import Markup

from idp.accounts import preauthorization, registration
from idp.accounts.preauthorization import Preauthorized
from idp.accounts.registration import NO_RULES, RegistrationRules
from idp.accounts.users import Person
from idp.errors import AlreadyExistsError, ExpiredError, InvalidInputError, RegistrationRefused, Throttled
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.settings import RegistrationPolicy
from idp.web import context, forms, texts
from idp.web.pages import mail_sent, mailed_link
from idp.web.pages.parked import find_parked, id_of
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, form_again, page, resume, shown_again
from idp.web.texts import text

_NOBODY = Person("", "")


def show_register() -> Response:
    """Show the form, or that registration is closed."""
    parked = find_parked()
    if policy_for(parked) == "closed":
        return _closed(parked)
    if mailed_link.token():
        return _form(parked)
    hint = (parked.request.login_hint or "") if parked else ""
    return _form(parked, Person("", hint) if "@" in hint else Person(hint, ""))


def submit_register() -> Response:
    """Make the account. The answer is the same whether or not the address is known here already."""
    parked = find_parked()
    person = Person(
        username=forms.field("username"),
        email=forms.field("email"),
        given_name=forms.field("given_name"),
        family_name=forms.field("family_name"),
    )
    form = partial(_form, parked, person)
    if faults := faults_of_token():
        return form(faults, 400)
    if parked and forms.field("action") == "cancel":
        interaction.note_denial(context.database(), parked.id)
        return resume(parked)
    invitation_token = mailed_link.token()
    try:
        registration.register(
            context.database(),
            context.settings(),
            context.visitor(),
            person,
            forms.field("password"),
            rules=rules_of(parked),
            invitation_token=invitation_token,
            language=texts.language(),
            form=forms.name_of_sent(),
        )
    except ExpiredError:
        return mailed_link.gone(remedy="invitation")
    except RegistrationRefused as refusal:
        return _closed(parked) if policy_for(parked) == "closed" else form_again(refusal, form)
    except (AlreadyExistsError, InvalidInputError, Throttled) as refusal:
        return form_again(refusal, form)
    if invitation_token:
        return mailed_link.lead_to_sign_in("registered")
    return mail_sent.lead_to_mailbox(mail_sent.REGISTERED, person.email, id_of(parked))


def rules_of(parked: Interaction | None) -> RegistrationRules:
    """Return what the operator set for the app that the person comes from."""
    return parked.client.registration_rules if parked else NO_RULES


def policy_for(parked: Interaction | None) -> RegistrationPolicy:
    """Return who may register here, for the app that the person comes from."""
    return registration.effective_policy(context.settings(), rules_of(parked))


def _form(
    parked: Interaction | None, person: Person = _NOBODY, faults: Faults = NO_FAULTS, status: int = 200
) -> Response:
    token, invitation = mailed_link.token(), None
    if token:
        try:
            invitation = preauthorization.peek_invitation(context.database(), token)
        except ExpiredError:
            return mailed_link.gone(remedy="invitation")
    shown = {name: shown_again(value) for name, value in vars(person).items()}
    if invitation:
        shown["email"] = invitation.email
    return page(
        "register.html",
        status,
        parked=parked,
        person=shown,
        token=token,
        invitation=invitation,
        email_hint=_hint_of_address(parked, invitation),
        faults=faults,
        password_min_length=context.settings().password_min_length,
    )


def _hint_of_address(parked: Interaction | None, invitation: Preauthorized | None) -> Markup | None:
    """Say beforehand which addresses are admitted."""
    if invitation:
        return text("register.invited")
    domains = parked.client.registration_domains if parked else ()
    if policy_for(parked) == "preauthorized":
        return text("register.preauthorized")
    return text("register.domains", domains=", ".join(domains)) if domains else None


def _closed(parked: Interaction | None) -> Response:
    return page("registration_closed.html", 403, parked=parked)
