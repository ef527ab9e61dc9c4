"""An authorization response as HTTP: a redirect, or a page with a form that the browser posts to the client."""

import base64
import hashlib

from flask import Response, make_response, render_template
from markupsafe import Markup

from idp.oidc.authorization_response import FormPost, Redirect
from idp.web.answers import Answer, Page, see_other
from idp.web.security import CONTENT_SECURITY_POLICY

# Who has JavaScript goes on at once; who has none presses the button. Understood by every browser since ES3.
SUBMIT_SCRIPT = 'document.getElementById("authorization-response").submit();'
_SCRIPT_DIGEST = base64.b64encode(hashlib.sha256(SUBMIT_SCRIPT.encode()).digest()).decode()
# The one page with a script: this very one, known by its hash. form-action is left out as everywhere.
FORM_POST_POLICY = f"{CONTENT_SECURITY_POLICY}; script-src 'sha256-{_SCRIPT_DIGEST}'"


def answer(response: Redirect | FormPost) -> Answer | Page:
    """Send the browser back to the client."""
    if isinstance(response, Redirect):
        return see_other(response.location)
    return Page(lambda: _form_post(response))


def _form_post(response: FormPost) -> Response:
    page = make_response(render_template("form_post.html", response=response, script=Markup(SUBMIT_SCRIPT)))  # noqa: S704
    page.headers["Content-Security-Policy"] = FORM_POST_POLICY
    page.headers["Cache-Control"] = "no-store"
    # With no-referrer, as everywhere else, browsers post with `Origin: null`, and apps that look at it refuse that.
    page.headers["Referrer-Policy"] = "strict-origin"
    return page
