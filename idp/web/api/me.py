"""The account of the person whom a token stands for: also how an app learns that a session has ended."""

from flask import Response, jsonify

from idp.accounts import sessions
from idp.oidc import claims
from idp.oidc import scopes as known_scopes
from idp.web import context
from idp.web.api.bearer import required_token

_NAMES = known_scopes.claims_of(("profile", "email", "roles"))


def show_me() -> Response:
    """Answer with the account's data as they are now. Asking counts as activity in a living browser session."""
    token, grant = required_token("account")
    if not grant["is_offline"]:  # such a grant outlives its session, and must not bring it back to life
        sessions.touch(context.database(), grant["session_id"], grant["last_seen_at"])
    account = {"sub": grant["user_id"], **claims.build_claims(grant, _NAMES)}
    account["roles"] = account.get("roles", [])
    account["client_id"] = token.client_id
    response = jsonify(account)
    response.headers["Cache-Control"] = "no-store"
    return response
