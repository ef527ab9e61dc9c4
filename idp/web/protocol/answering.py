"""An authorization response as HTTP: a redirect, or a page with a form that the browser posts to the client."""

from flask import Response, make_response, render_template

from idp.oidc.authorization_response import FormPost, Redirect
from idp.web.answers import Answer, Page, see_other
from idp.web.inline_scripts import inline_script
from idp.web.security import CONTENT_SECURITY_POLICY


def answer(response: Redirect | FormPost) -> Answer | Page:
    """Send the browser back to the client."""
    if isinstance(response, Redirect):
        return see_other(response.location)
    return Page(lambda: _form_post(response))


def _form_post(response: FormPost) -> Response:
    script = inline_script("form_post.js")
    page = make_response(render_template("form_post.html", response=response, script=script.content))
    page.headers["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; script-src {script.source}"
    # With no-referrer, as everywhere else, browsers post with `Origin: null`, and apps that look at it refuse that.
    page.headers["Referrer-Policy"] = "strict-origin"
    return page
