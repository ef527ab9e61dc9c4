"""Connect a device that shows no browser (RFC 8628 section 3.3): type its code, sign in, allow or deny.

The code is looked at only for somebody who is signed in, and then the page says what could be a trick (section 5.4):
whoever sends people a code, or a link that holds one, wants to be let into their account.
"""

from functools import partial

from flask import Response, url_for

from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.errors import Throttled
from idp.oidc import device_approval
from idp.oidc.device_approval import WaitingDevice, find_waiting
from idp.oidc.device_authorization import VERIFICATION_PATH
from idp.oidc.user_codes import normal_user_code
from idp.web import context, forms
from idp.web.pages.consent import changed, description_of, disclosures, lasts
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, form_again, page, see_other, shown_again
from idp.web.texts import text

OUTCOMES = ("allowed", "denied")


def show_device() -> Response:
    """Show the form for the code; or, to who is signed in and has typed one, the device that waits for an answer."""
    typed = _typed()
    return _look_up(typed) if typed else _form("")


def submit_device() -> Response:
    """Take the code, or the answer to a device that waits under it."""
    typed = _typed()
    if faults := faults_of_token():
        return _form(typed, faults, 400)
    if normal_user_code(typed) is None:
        sentence = text("device.code_malformed") if typed.strip() else text("device.code_missing")
        return _form(typed, Faults({"user_code": [sentence]}), 422)
    action = forms.field("action")
    if action not in ("allow", "deny"):
        return see_other("show_device", user_code=normal_user_code(typed))
    return _look_up(typed, action)


def show_device_done() -> Response:
    """Say how it ended, and where to go on."""
    outcome = forms.given("outcome")
    return page("device_done.html", outcome=outcome) if outcome in OUTCOMES else see_other("show_device")


def _look_up(typed: str, action: str = "") -> Response:
    """Find the device for somebody who is signed in; ask, or do what they say."""
    session = context.current_session()
    user_code = normal_user_code(typed)
    if session is None:
        return see_other("show_sign_in", next=VERIFICATION_PATH, user_code=user_code)
    if session.must_change_password:
        return see_other("show_password", next=VERIFICATION_PATH, user_code=user_code)
    db, provider, visitor = context.database(), context.provider(), context.visitor()
    try:
        found = find_waiting(db, provider, visitor, session, typed)
    except Throttled as refusal:
        return form_again(refusal, partial(_form, typed))
    if isinstance(found, WaitingDevice):
        if action == "allow" and forms.field("described") != description_of(found.client):
            return _question(found, session, changed(found.client), 409)
        if action == "allow":
            outcome = device_approval.approve(db, provider, visitor, session, found)
            if outcome is None:
                full = text("device.full", app=found.client.client_name)
                return _question(found, session, Faults(general=[full]), 409)
            return see_other("show_device_done", outcome=outcome)
        if action == "deny":
            device_approval.deny(db, visitor, session, found)
            return see_other("show_device_done", outcome="denied")
        return _question(found, session)
    if found is not None and action:  # a button was pressed twice, or another one in another tab
        return see_other("show_device_done", outcome=found)
    return _form(typed, Faults({"user_code": [text("device.code_unknown")]}), 422)


def _typed() -> str:
    return shown_again(forms.given("user_code"))


def _form(typed: str, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    return page("device.html", status, user_code=normal_user_code(typed) or typed, faults=faults)


def _question(
    device: WaitingDevice, session: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200
) -> Response:
    network = context.visitor().network
    return page(
        "device_confirm.html",
        status,
        device=device,
        client=device.client,
        session=session,
        disclosures=disclosures(device.scopes, frozenset(), session.user_id),
        lasts=lasts(device.client, device.scopes),
        described=description_of(device.client),
        faults=faults,
        is_same_network=network != "" and Visitor(address=device.address or "").network == network,
        sign_in_again=url_for("show_sign_in", other="1", next=VERIFICATION_PATH, user_code=device.user_code),
    )
