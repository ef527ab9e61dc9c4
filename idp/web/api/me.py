"""The account of the person whom a token stands for: also how an app learns that a session has ended."""

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request

from idp.accounts import email_change, names, passwords, profile
from idp.errors import refuse_faults
from idp.oidc import claims, token_status
from idp.oidc import scopes as known_scopes
from idp.oidc.presented_token import AccessRefused
from idp.oidc.subjects import subject_of
from idp.storage.statements import Row
from idp.web import context, forms
from idp.web.api import schemas
from idp.web.api.bearer import CallingPerson, TokenRefused, required_person
from idp.web.api.bodies import read_body

PASSIVE = "Idp-Passive"  # with the value 1 the app asks of its own accord, and nobody need be there
_CLAIMS = known_scopes.claims_shown(("account",))


def show_me() -> Response:
    """Answer with the account's data as they are now.

    Asking counts as activity in a living browser session, unless the app says that nobody did anything.
    """
    person = required_person()
    is_passive = request.headers.get(PASSIVE) == "1"
    # A grant that is offline outlives its session, and must not bring it back to life.
    if not (is_passive or person.grant["is_offline"]):
        context.note_activity(person.grant["session_id"], person.grant["last_seen_at"])
    return jsonify(_describe(person, person.grant))


def change_me() -> Response:
    """Change what is named; a new address only begins to change. With any fault nothing is changed."""
    person, db = required_person(), context.database()
    members = read_body(schemas.PROFILE_CHANGES)
    changes = _fields_of(members)
    checked = {name: profile.check_field(name, value)[1] for name, value in changes.items()}
    faults = {_member_of(name): [fault] for name, fault in checked.items() if fault}
    if "email" in members:
        faults["email"] = names.check_email(members["email"])[1]
    refuse_faults(faults)
    pending = ""
    if "email" in members:  # before the rest: a wrong password must leave all as it is
        pending = email_change.request_change(
            db,
            context.settings(),
            person.visitor,
            person.user_id,
            members["email"],
            members["current_password"],
            _language(person, members),
            f"{person.grant['grant_id']} {forms.name_of_sent()}",
        )
    if changes:
        profile.update_profile(db, person.visitor, person.user_id, changes)
    answer = jsonify(_describe(person, _reread(person)) | ({"pending_email": pending} if pending else {}))
    answer.status_code = 202 if pending else 200
    return answer


def change_password() -> Response:
    """Change the password. All other sessions of the account end; the one that the token hangs on goes on."""
    person = required_person()
    members = read_body(schemas.PASSWORD_CHANGE)
    passwords.change_password(
        context.database(),
        context.settings(),
        person.visitor,
        person.user_id,
        members["current_password"],
        members["new_password"],
        keep_session=person.grant["session_id"],
        language=_language(person, members),
    )
    return Response(status=204)


def _describe(person: CallingPerson, row: Row) -> dict[str, Any]:
    subject = subject_of(context.settings(), person.client, person.user_id)
    account = {"sub": subject, **claims.build_claims(row, _CLAIMS)}
    account["roles"] = account.get("roles", [])
    account["client_id"] = person.client.client_id
    return account


def _reread(person: CallingPerson) -> Row:
    row = token_status.find_grant(context.database(), context.settings(), person.grant["grant_id"])
    if row is None:
        raise TokenRefused(AccessRefused(401, "invalid_token", "The session has ended meanwhile.", "account"))
    return row


def _fields_of(members: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the profile's fields among the members; the postal address is an object of some (OIDC Core 5.1.1)."""
    fields = {name: members[name] for name in schemas.PROFILE_TEXTS if name in members}
    if "address" in members:
        fields |= dict.fromkeys(schemas.ADDRESS_PARTS) if members["address"] is None else members["address"]
    return fields


def _member_of(field: str) -> str:
    return f"address.{field}" if field in schemas.ADDRESS_PARTS else field


def _language(person: CallingPerson, members: Mapping[str, Any]) -> str:
    """Return the language of mails: as asked for, or the person's own."""
    return members.get("language") or person.grant["locale"] or "en"
