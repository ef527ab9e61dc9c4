"""Where somebody goes after signing in without an app: one of our own pages, never what a link says."""

from idp.oidc.device_authorization import VERIFICATION_PATH
from idp.oidc.user_codes import normal_user_code
from idp.web import forms

DEFAULT = "show_account"
# Path to view: a fixed list, so that no link can send people elsewhere after they trusted us with a password.
DESTINATIONS = {
    "/account": "show_account",
    "/account/profile": "show_profile",
    "/account/email": "show_email",
    "/account/password": "show_password",
    "/account/apps": "show_apps",
    "/account/sessions": "show_sessions",
    "/account/delete": "show_delete",
    VERIFICATION_PATH: "show_device",
}


def requested_path() -> str | None:
    """Return the page that the request names, if it is one of ours."""
    path = forms.given("next")
    return path if path in DESTINATIONS else None


def requested_view() -> str:
    """Return the view of the page that the request names, or of the account's home."""
    return DESTINATIONS.get(forms.given("next"), DEFAULT)


def goes_along() -> dict[str, str]:
    """Return what the browser carries to that page: the code of a device that somebody began to connect, or nothing."""
    user_code = normal_user_code(forms.given("user_code"))
    return {"user_code": user_code} if user_code and requested_path() == VERIFICATION_PATH else {}
