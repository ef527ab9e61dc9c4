"""Forgotten passwords and user names, for people who ask an app.

What an app may learn is its token's scope: with `recovery` the provider mails the person and the app is told nothing;
with `recovery:password` the app gets a one-time password, or the names, and learns that there is no such account.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Response, jsonify

from idp.accounts import recovery
from idp.errors import NotFoundError
from idp.web import context
from idp.web.api import schemas
from idp.web.api.bearer import CallingApp, required_app
from idp.web.api.bodies import read_body
from idp.web.api.codes import RECOVERY_SCOPES, CodeUse
from idp.web.api.idempotency import once

TELLING_SCOPE = "recovery:password"


def recover_password() -> Response:
    """Help somebody whose password is forgotten."""
    app = required_app(*RECOVERY_SCOPES)
    members = read_body(schemas.FORGOTTEN_PASSWORD)
    return once(app.client.client_id, partial(_recover_password, app, members))


def recover_username() -> Response:
    """Help somebody whose user name is forgotten."""
    app = required_app(*RECOVERY_SCOPES)
    members = read_body(schemas.FORGOTTEN_USERNAME)
    return once(app.client.client_id, partial(_recover_username, app, members))


def _recover_password(app: CallingApp, members: Mapping[str, Any]) -> Response:
    db, settings, identifier = context.database(), context.settings(), members["username"]
    language = members.get("language", "en")
    code = CodeUse.of(app, "password", members)
    code.check()
    if TELLING_SCOPE not in app.scopes:
        recovery.request_password_reset(db, settings, app.visitor, identifier, language)
        code.claim(recovery.find_address(db, identifier))
        return _mailed()
    issued = recovery.issue_temporary_password(db, settings, app.visitor, identifier, language)
    if issued is None:
        raise NotFoundError("There is no account with this user name.")
    username, email, password = issued
    code.claim(email)
    return jsonify({"username": username, "email": email, "password": password})


def _recover_username(app: CallingApp, members: Mapping[str, Any]) -> Response:
    db, settings, email = context.database(), context.settings(), members["email"]
    code = CodeUse.of(app, "username", members)
    code.check()
    if TELLING_SCOPE not in app.scopes:
        recovery.remind_usernames(db, settings, app.visitor, email, members.get("language", "en"))
        code.claim(email)
        return _mailed()
    found = recovery.find_usernames(db, settings, app.visitor, email)
    if not found:
        raise NotFoundError("There is no account with this address.")
    code.claim(email)
    return jsonify({"usernames": [username for username, _ in found], "email": found[0][1]})


def _mailed() -> Response:
    answer = jsonify({})
    answer.status_code = 202
    return answer
