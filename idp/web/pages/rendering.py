"""How a view answers: a page, a page with faults, or a redirect (always 303: RFC 9700 section 4.12)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Response, make_response, redirect, render_template, request, url_for
from markupsafe import Markup

from idp.errors import Busy, ExpiredError, InvalidInputError, Refusal, Throttled
from idp.oidc import interaction
from idp.oidc.interaction import Interaction
from idp.web import forms, texts
from idp.web.pages import brand, moments
from idp.web.pages.parked import id_of
from idp.web.texts import text, wait

# A redirect carries one of these codes; nothing that a link from elsewhere holds is ever shown.
NOTICES = {
    "registered": "notice.registered",
    "password-changed": "notice.password_changed",
    "session-ended": "notice.session_ended",
    "sessions-ended": "notice.sessions_ended",
    "address-confirmed": "notice.address_confirmed",
    "address-proven": "notice.address_proven",
    "address-changed": "notice.address_changed",
    "address-requested": "notice.address_requested",
    "address-kept": "notice.address_kept",
    "mail-sent": "notice.mail_sent",
    "password-reset": "notice.password_reset",
    "profile-saved": "notice.profile_saved",
    "app-removed": "notice.app_removed",
    "account-kept": "notice.account_kept",
}

_SHOWN_MOST = 320  # characters


@dataclass(frozen=True)
class Faults:
    """What is wrong with a form.

    Attributes:
        fields: sentences for each field, in the order of the form.
        general: sentences that concern no single field.
        blamed: the field to look at first for the general ones, if any.
    """

    fields: Mapping[str, Sequence[Markup]] = field(default_factory=dict)
    general: Sequence[Markup] = ()
    blamed: str = ""

    def __bool__(self) -> bool:
        return bool(self.fields or self.general)

    @classmethod
    def of(cls, refusal: InvalidInputError) -> "Faults":
        """Show what a function of `accounts` found."""
        return cls(fields={name: [texts.told(each) for each in found] for name, found in refusal.faults.items()})


NO_FAULTS = Faults()


def faults_of_token() -> Faults:
    """Check that this browser was given the form; who kept a page open for too long sees it again, and why."""
    try:
        forms.check_csrf()
    except ExpiredError:
        return Faults(general=[text("form.too_old")])
    return NO_FAULTS


def required(**fields: tuple[str, str]) -> Faults:
    """Name the fields that were left empty.

    Args:
        fields: what was typed in each, without blanks unless they count, and the key of the sentence that asks for it.
    """
    return Faults({name: [text(key)] for name, (typed, key) in fields.items() if not typed})


def form_again(refusal: Refusal, form: Callable[[Faults, int], Response]) -> Response:
    """Show a form once more, with what was wrong: beside the fields where it concerns them, else above all."""
    if isinstance(refusal, InvalidInputError):
        return form(Faults.of(refusal), refusal.status)
    if not isinstance(refusal, Throttled):
        return form(Faults(general=[texts.told(refusal.message)]), refusal.status)
    is_busy = isinstance(refusal, Busy)
    sentence = text("form.busy") if is_busy else text("form.throttled", wait=wait(refusal.retry_after))
    response = form(Faults(general=[sentence]), refusal.status)
    response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def template_context() -> dict[str, Any]:
    """Return what every template may use."""
    return {
        "ago": moments.ago,
        "brand": brand.current_brand(),
        "csrf_token": forms.csrf_token,
        "language": texts.language(),
        "moment": moments.moment,
        "notice": current_notice(),
        "text": text,
        "until": moments.until,
    }


def shown_again(typed: str) -> str:
    """Return what was typed, for the form to show again; what is far too long for any field is cut."""
    return typed[:_SHOWN_MOST]


def emphasised(name: str) -> Markup:
    """Set a name apart from the sentence around it."""
    return Markup("<strong>{}</strong>").format(name)


def current_notice() -> Markup | None:
    """Return the sentence that a redirect left for this page."""
    # Read by Flask, which takes any number of fields: who sent too many gets a page as well, which says so.
    key = NOTICES.get(request.args.get("notice", "")) if request.method == "GET" else None
    return text(key) if key else None


def page(template: str, status: int = 200, **filling: Any) -> Response:
    """Answer with a page; its forms and links carry the id of the request that waits for it, if one is `parked`."""
    filling = {"faults": NO_FAULTS, "interaction_id": id_of(filling.get("parked")), **filling}
    return make_response(render_template(template, **filling), status)


def see_other(view: str, **query: str | None) -> Response:
    """Send the browser to another page; parameters that are None are left out."""
    given: dict[str, Any] = {name: value for name, value in query.items() if value}
    return make_response(redirect(url_for(view, **given), 303))


def resume(parked: Interaction) -> Response:
    """Return to the dispatcher: it knows what comes next."""
    return make_response(redirect(request.script_root + interaction.resume_path(parked.id), 303))
