"""New accounts, for people who fill in a form of an app."""

from functools import partial
from typing import Any

from flask import Response, jsonify

from idp import sentences
from idp.accounts import names, registration
from idp.accounts.users import Person
from idp.errors import InvalidInputError
from idp.web import context
from idp.web.api import schemas
from idp.web.api.bearer import CallingApp, required_app
from idp.web.api.bodies import read_body
from idp.web.api.codes import CodeUse
from idp.web.api.idempotency import once

TAKEN = (sentences.USERNAME_TAKEN(),)


class UsernameTaken(InvalidInputError):
    """The one thing that must be told, or nobody could choose another name."""

    code = "already_exists"
    status = 409


def create_user() -> Response:
    """Register somebody. The answer is the same whether or not the address is known here already."""
    app = required_app("registration")
    members = read_body(schemas.NEW_USER)
    return once(app.client.client_id, partial(_register, app, members))


def _register(app: CallingApp, members: dict[str, Any]) -> Response:
    person = _person_of(members)
    code = CodeUse.of(app, "registration", members)
    code.check()
    try:
        registration.register(
            context.database(),
            context.settings(),
            app.visitor,
            person,
            members["password"],
            rules=app.client.registration_rules,
            roles=members.get("roles", ()),
            must_be_preauthorized=members.get("preauthorized", False),
            domains=members.get("domains", ()),
            is_address_proven=code.is_given,
            language=members.get("language", "en"),
        )
    except InvalidInputError as refusal:
        if refusal.faults == {"username": TAKEN}:
            raise UsernameTaken(refusal.faults) from None
        raise
    code.claim(person.email)
    answer = jsonify(
        {
            "email": person.email,
            "username": person.username,
            "name": names.full_name(person.given_name, person.family_name) or person.username,
            "status": "account_ready" if code.is_given else "confirmation_mailed",
        }
    )
    answer.status_code = 202
    return answer


def _person_of(members: dict[str, Any]) -> Person:
    """Return the person, tidied; with `merge_username_email` the address is the user name."""
    username = members.get("username", "")
    if members.get("merge_username_email"):
        if username and names.username_key(username) != names.username_key(members["email"]):
            raise InvalidInputError({"username": ["With merge_username_email the user name is the address."]})
        username = members["email"]
    person = Person(username, members["email"], members.get("given_name", ""), members.get("family_name", ""))
    return person.check()
