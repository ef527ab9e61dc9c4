"""What an app may know before it shows a registration form."""

from flask import Response, jsonify

from idp.accounts import registration
from idp.web import context
from idp.web.api.bearer import required_app


def show_registration() -> Response:
    """Answer with the policy in force for the calling app."""
    rules = required_app("registration").client.registration_rules
    return jsonify(
        {
            "policy": registration.effective_policy(context.settings(), rules),
            "domains": list(rules.domains),
            "roles": list(rules.roles),
            "password_min_length": context.settings().password_min_length,
        }
    )
