"""What the API answers, as JSON Schema for its OpenAPI document; `schemas` has what it takes."""

from collections.abc import Mapping
from typing import Any

from idp.web.api.schemas import ADDRESS_PARTS, PROFILE_TEXTS

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_TIME: Schema = {"type": "integer", "description": "Seconds since the epoch."}


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_OPTIONAL = (*PROFILE_TEXTS, "address", "phone_number_verified")
_ME_MEMBERS: Schema = {
    "sub": {**_TEXT, "description": "Names the account to this app, for ever: as in the ID token."},
    "preferred_username": {**_TEXT, "description": "The user name."},
    "name": {**_TEXT, "description": "What to call the person."},
    **{name: {**_TEXT, "description": text} for name, text in PROFILE_TEXTS.items()},
    "address": _object(dict.fromkeys((*ADDRESS_PARTS, "formatted"), _TEXT), (*ADDRESS_PARTS, "formatted")),
    "phone_number_verified": {"type": "boolean"},
    "email": _TEXT,
    "email_verified": {"type": "boolean"},
    "roles": _TEXTS,
    "updated_at": _TIME,
    "client_id": {**_TEXT, "description": "The app that the token was given to."},
}
ME = _object(_ME_MEMBERS, _OPTIONAL)
ME_MOVING = _object({**_ME_MEMBERS, "pending_email": {**_TEXT, "description": "Waits to be confirmed."}}, _OPTIONAL)
REGISTRATION = _object(
    {
        "policy": {
            **_TEXT,
            "enum": ["open", "preauthorized", "closed"],
            "description": "The narrower of the provider's and this app's.",
        },
        "domains": {**_TEXTS, "description": "Addresses must belong to one of them; none for any."},
        "roles": {**_TEXTS, "description": "That this app may give."},
        "password_min_length": {"type": "integer"},
    }
)
NEW_USER = _object(
    {
        "email": _TEXT,
        "username": _TEXT,
        "name": _TEXT,
        "status": {
            **_TEXT,
            "enum": ["confirmation_mailed", "account_ready"],
            "description": "Whether the address is still to be proven: a right `code` has proven it.",
        },
    }
)
ISSUED = _object({"username": _TEXT, "email": _TEXT, "password": _TEXT})
USERNAMES = _object({"usernames": _TEXTS, "email": _TEXT})
NOTHING = _object({})
CODE = _object({"id": {**_TEXT, "description": "Names the code in `code_id`."}})
PROBLEM = _object(
    {
        "type": {**_TEXT, "const": "about:blank"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": {**_TEXT, "description": "Stable: what a program decides by."},
        "detail": {**_TEXT, "description": "A sentence that may be shown to people."},
        "faults": {
            "type": "object",
            "additionalProperties": _TEXTS,
            "description": "Sentences by the member that they are about.",
        },
    },
    ("faults",),
)

SCOPES: Mapping[str, str] = {
    "registration": "Register people.",
    "recovery": "Have links and user names mailed to people who forgot them.",
    "recovery:password": "Get one-time passwords and user names, and learn whether an account exists.",
}
_SECONDS: Schema = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
_REFUSALS: Mapping[int, tuple[str, str, Schema]] = {
    400: ("Malformed", "No JSON object, or a key that is none: `invalid_json`, `invalid_idempotency_key`.", {}),
    401: (
        "NoToken",
        "No token, or a dead one: `missing_token`, `invalid_token`. A token that is bound to a key, without a proof of "
        "it: `invalid_dpop_proof`, `use_dpop_nonce` (try again with the nonce of the header).",
        {"WWW-Authenticate": {"schema": _TEXT}, "DPoP-Nonce": {"schema": _TEXT}},
    ),
    403: (
        "NotPermitted",
        "The token or the policy does not permit this: `insufficient_scope`, `registration_refused`.",
        {},
    ),
    404: ("NotFound", "There is no such account, or it has no password: `not_found`.", {}),
    409: ("Conflict", "`already_exists`: the user name is taken. `idempotency_in_progress`: try again.", {}),
    413: ("TooLarge", "More than 64 KiB: `too_large`.", {}),
    415: ("NotJson", "`unsupported_media_type`.", {}),
    422: (
        "Invalid",
        "`faults` says what is wrong: `invalid_input`, `password_refused`, `wrong_code`; or `idempotency_key_reused`.",
        {},
    ),
    429: ("Throttled", "Too many attempts: `throttled`.", {"Retry-After": _SECONDS}),
    500: ("Failed", "A fault of the provider's: `server_error`.", {}),
    503: ("Busy", "`busy`, `not_ready`: try again later.", {}),
}
REFUSALS: Mapping[int, str] = {status: name for status, (name, _, _) in _REFUSALS.items()}


def refusal_responses() -> Schema:
    """Return the responses that operations refer to."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        name: {"description": text, **({"headers": headers} if headers else {}), "content": content}
        for name, text, headers in _REFUSALS.values()
    }
