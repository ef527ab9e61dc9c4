"""The pages for people: sign in, register, choose an account, agree to what an app sees, look after the account.

Every page that an app's request brought up carries that request's id and nothing else of it, and ends by returning to
the dispatcher of the protocol.
"""

from flask import Flask

from idp.web.pages import (
    account,
    brand,
    choose_account,
    consent,
    password,
    register,
    rendering,
    sessions,
    sign_in,
    sign_out,
)

ROUTES = (
    ("GET", "/", account.show_front_door),
    ("GET", "/sign-in", sign_in.show_sign_in),
    ("POST", "/sign-in", sign_in.submit_sign_in),
    ("GET", "/register", register.show_register),
    ("POST", "/register", register.submit_register),
    ("GET", "/choose-account", choose_account.show_choose_account),
    ("POST", "/choose-account", choose_account.submit_choose_account),
    ("GET", "/consent", consent.show_consent),
    ("POST", "/consent", consent.submit_consent),
    ("GET", "/account", account.show_account),
    ("GET", "/account/password", password.show_password),
    ("POST", "/account/password", password.submit_password),
    ("GET", "/account/sessions", sessions.show_sessions),
    ("POST", "/account/sessions", sessions.submit_sessions),
    ("POST", "/sign-out", sign_out.submit_sign_out),
    ("GET", "/signed-out", sign_out.show_signed_out),
    ("GET", "/brand/pages.css", brand.show_stylesheet),
    ("GET", "/brand/theme.css", brand.show_theme),
    ("GET", "/brand/logo", brand.show_logo),
    ("GET", "/brand/icon.svg", brand.show_icon),
)


def register_pages(app: Flask) -> None:
    """Give the application its pages."""
    app.context_processor(rendering.template_context)
    app.add_template_filter(rendering.emphasised)
    for method, path, view in ROUTES:
        app.add_url_rule(path, view_func=view, methods=[method])
