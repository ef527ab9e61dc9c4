"""Make an account for oneself, where the operator admits that."""

from flask import Response

from idp.accounts import registration
from idp.accounts.users import Person
from idp.errors import InvalidInputError, RegistrationRefused, Throttled
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.web import context, forms
from idp.web.pages.parked import find_parked, id_of
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, page, resume, see_other
from idp.web.texts import english, text, wait

_SHOWN_MOST = 320
_NOBODY = Person("", "")


def show_register() -> Response:
    """Show the form, or that registration is closed."""
    parked = find_parked()
    try:
        registration.check_policy(context.settings())
    except RegistrationRefused:
        return _closed(parked)
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
    if faults := faults_of_token():
        return _form(parked, person, faults, 400)
    if parked and forms.field("action") == "cancel":
        interaction.note_denial(context.database(), parked.id)
        return resume(parked)
    try:
        registration.register(
            context.database(), context.settings(), context.visitor(), person, forms.field("password")
        )
    except InvalidInputError as refusal:
        return _form(parked, person, Faults.of(refusal), refusal.status)
    except RegistrationRefused as refusal:
        if context.settings().registration == "closed":
            return _closed(parked)
        return _form(parked, person, Faults(general=[english(refusal.message)]), refusal.status)
    except Throttled as refusal:
        sentence = text("register.throttled", wait=wait(refusal.retry_after))
        response = _form(parked, person, Faults(general=[sentence]), refusal.status)
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    return see_other("show_sign_in", i=id_of(parked), notice="registered")


def _form(
    parked: Interaction | None, person: Person = _NOBODY, faults: Faults = NO_FAULTS, status: int = 200
) -> Response:
    return page(
        "register.html",
        status,
        parked=parked,
        interaction_id=id_of(parked),
        person={name: value[:_SHOWN_MOST] for name, value in vars(person).items()},
        faults=faults,
        password_min_length=context.settings().password_min_length,
    )


def _closed(parked: Interaction | None) -> Response:
    return page("registration_closed.html", 403, parked=parked, interaction_id=id_of(parked))
