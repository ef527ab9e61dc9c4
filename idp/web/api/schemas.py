"""The bodies that the API takes, as JSON Schema: what it enforces, and what its OpenAPI document promises.

A schema names members and types. What a user name, an address or a password must be like is said by `idp.accounts`, to
pages and programs alike; the lengths here only keep nonsense out.
"""

from typing import Any

from idp.accounts.names import EMAIL_MOST

Schema = dict[str, Any]

_TYPED_MOST = 320  # characters of what people type as a name; rules with sentences of their own come before
_ENTRIES_MOST = 50


def _text(description: str, most: int = _TYPED_MOST, **more: Any) -> Schema:
    # The pattern says what no database stores; `bodies` refuses it in every text.
    return {"type": "string", "maxLength": most, "pattern": r"^[^\u0000]*$", "description": description, **more}


def _texts(description: str, most: int = _TYPED_MOST) -> Schema:
    items = {"type": "string", "maxLength": most}
    return {"type": "array", "items": items, "maxItems": _ENTRIES_MOST, "description": description}


def _object(properties: Schema, required: tuple[str, ...] = (), **more: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
        **more,
    }


_PASSWORD_MOST = 4_096  # the policy's own limit is lower, and says so
_LANGUAGE = _text("Language of the mail, such as `de` or `de-AT`; English where there is no translation.", 35)
_EMAIL = _text("The person's address.")
_CODE = {
    "code_id": _text("Names the mailed code.", 100),
    "code": _text("The six digits, as typed.", 32),
}
_CODE_WHOLE = {"code_id": ["code"], "code": ["code_id"]}

ADDRESS_PARTS = ("street_address", "locality", "region", "postal_code", "country")
PROFILE_TEXTS = {
    "given_name": "First name.",
    "family_name": "Last name.",
    "middle_name": "Middle name.",
    "nickname": "What friends say.",
    "profile": "Web address of a page about the person.",
    "picture": "Web address of a picture.",
    "website": "Web address of a site of theirs.",
    "gender": "As the person says it.",
    "birthdate": "YYYY-MM-DD, or 0000-MM-DD, or YYYY; DD.MM.YYYY is taken as the first.",
    "zoneinfo": "Time zone, such as Europe/Berlin.",
    "locale": "Language tag, such as en-GB.",
    "phone_number": "Telephone number, in the international form.",
}


def _clearable(description: str) -> Schema:
    return {**_text(description, 2_000), "type": ["string", "null"]}


PROFILE_CHANGES = _object(
    {
        **{name: _clearable(f"{text} null clears it.") for name, text in PROFILE_TEXTS.items()},
        "address": {
            **_object({name: _clearable("null clears it.") for name in ADDRESS_PARTS}),
            "type": ["object", "null"],
            "description": "Postal address; what is left out stays. null clears all of it.",
        },
        "email": _text("A new address: it counts once the link mailed there was followed."),
        "current_password": _text("Goes with a new address.", _PASSWORD_MOST),
        "language": _LANGUAGE,
    },
    dependentRequired={"email": ["current_password"], "current_password": ["email"]},
)
PASSWORD_CHANGE = _object(
    {
        "current_password": _text("The password so far.", _PASSWORD_MOST),
        "new_password": _text("The new one.", _PASSWORD_MOST),
        "language": _LANGUAGE,
    },
    ("current_password", "new_password"),
)
NEW_USER = _object(
    {
        "email": _EMAIL,
        "username": _text("May be left out where the address is the user name."),
        "given_name": _text("First name."),
        "family_name": _text("Last name."),
        "password": _text("A password of the person's own choice.", _PASSWORD_MOST),
        "roles": _texts("Roles for the new account; only those that the operator lets this app give."),
        "preauthorized": {
            "type": "boolean",
            "description": "true admits listed addresses only; false, or left out, whom the policy admits.",
        },
        "domains": _texts("Admit addresses of these domains only. This narrows the operator's own rule.", EMAIL_MOST),
        "merge_username_email": {"type": "boolean", "description": "The address is the user name."},
        **_CODE,
        "language": _LANGUAGE,
    },
    ("email", "password"),
    dependentRequired=_CODE_WHOLE,
)
FORGOTTEN_PASSWORD = _object(
    {"username": _text("User name, or address."), **_CODE, "language": _LANGUAGE},
    ("username",),
    dependentRequired=_CODE_WHOLE,
)
FORGOTTEN_USERNAME = _object(
    {"email": _EMAIL, **_CODE, "language": _LANGUAGE}, ("email",), dependentRequired=_CODE_WHOLE
)
NEW_CODE = _object(
    {
        "purpose": {
            "type": "string",
            "enum": ["registration", "password", "username"],
            "description": "What the code will be shown for.",
        },
        "email": _text("Where to mail it, for `registration` and `username`."),
        "username": _text("Whose address to mail it to, for `password`: user name, or address."),
        "language": _LANGUAGE,
    },
    ("purpose",),
)
CODE_GUESS = _object({"code": _text("The six digits, as typed.", 32)}, ("code",))
