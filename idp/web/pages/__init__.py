"""The pages for people: sign in, register, recover, choose an account, agree to what an app sees, look after oneself.

Every page that an app's request brought up carries that request's id and nothing else of it, and ends by returning to
the dispatcher of the protocol.
"""

from flask import Flask

from idp.web.direct import Endpoint, as_view
from idp.web.pages import (
    account,
    apps,
    brand,
    change_email,
    choose_account,
    client_logo,
    consent,
    deletion,
    device,
    download,
    forgotten,
    mail_sent,
    outbox,
    password,
    profile,
    register,
    rendering,
    reset_password,
    sessions,
    sign_in,
    sign_out,
    verify_email,
)

ROUTES = (
    ("GET", "/", account.show_front_door),
    ("GET", "/.well-known/change-password", password.lead_to_form),
    ("GET", "/register", register.show_register),
    ("POST", "/register", register.submit_register),
    ("GET", "/mail-sent", mail_sent.show_mail_sent),
    ("GET", "/verify-email", verify_email.show_verify_email),
    ("POST", "/verify-email", verify_email.submit_verify_email),
    ("GET", "/verify-email/resend", verify_email.show_resend),
    ("POST", "/verify-email/resend", verify_email.submit_resend),
    ("GET", "/forgot-password", forgotten.show_forgot_password),
    ("POST", "/forgot-password", forgotten.submit_forgot_password),
    ("GET", "/forgot-username", forgotten.show_forgot_username),
    ("POST", "/forgot-username", forgotten.submit_forgot_username),
    ("GET", "/reset-password", reset_password.show_reset_password),
    ("POST", "/reset-password", reset_password.submit_reset_password),
    ("GET", "/confirm-email", change_email.show_confirm_email),
    ("POST", "/confirm-email", change_email.submit_confirm_email),
    ("GET", "/choose-account", choose_account.show_choose_account),
    ("POST", "/choose-account", choose_account.submit_choose_account),
    ("GET", "/consent", consent.show_consent),
    ("POST", "/consent", consent.submit_consent),
    ("GET", "/device", device.show_device),
    ("POST", "/device", device.submit_device),
    ("GET", "/device/done", device.show_device_done),
    ("GET", "/keep-account", deletion.show_keep_account),
    ("POST", "/keep-account", deletion.submit_keep_account),
    ("GET", "/account", account.show_account),
    ("GET", "/account/profile", profile.show_profile),
    ("POST", "/account/profile", profile.submit_profile),
    ("GET", "/account/email", change_email.show_email),
    ("POST", "/account/email", change_email.submit_email),
    ("POST", "/account/email/revoke", change_email.submit_call_off),
    ("GET", "/account/password", password.show_password),
    ("POST", "/account/password", password.submit_password),
    ("GET", "/account/sessions", sessions.show_sessions),
    ("POST", "/account/sessions", sessions.submit_sessions),
    ("GET", "/account/apps", apps.show_apps),
    ("POST", "/account/apps", apps.submit_apps),
    ("GET", "/account/data", download.download_data),
    ("GET", "/account/delete", deletion.show_delete),
    ("POST", "/account/delete", deletion.submit_delete),
    ("POST", "/account/delete/revoke", deletion.submit_keep),
    ("POST", "/sign-out", sign_out.submit_sign_out),
    ("GET", "/signed-out", sign_out.show_signed_out),
    ("GET", "/outbox", outbox.show_outbox),
    ("GET", "/outbox/<mail_id>", outbox.show_outbox_message),
    ("GET", "/outbox/<mail_id>/html", outbox.show_outbox_html),
    ("GET", "/brand/pages.css", brand.show_stylesheet),
    ("GET", "/brand/theme.css", brand.show_theme),
    ("GET", "/brand/logo", brand.show_logo),
    ("GET", "/brand/icon.svg", brand.show_icon),
    ("GET", "/brand/client/<client_id>", client_logo.show_client_logo),
)
# Those that may answer without a page: they are called without Flask around them (`idp.web.direct`).
DIRECT: dict[tuple[str, str], Endpoint] = {
    ("GET", "/sign-in"): sign_in.show_sign_in,
    ("POST", "/sign-in"): sign_in.submit_sign_in,
}


def register_pages(app: Flask) -> None:
    """Give the application its pages."""
    app.context_processor(rendering.template_context)
    app.add_template_filter(rendering.emphasised)
    app.add_template_global(client_logo.client_logo_url)  # macros see nothing of a page's own context
    app.add_template_global(brand.initial_of)
    for method, path, view in ROUTES:
        app.add_url_rule(path, view_func=view, methods=[method])
    for (method, path), endpoint in DIRECT.items():
        app.add_url_rule(path, endpoint.__name__, as_view(endpoint), methods=[method])
