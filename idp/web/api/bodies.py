"""Reads what a program sends: one JSON object, checked against a schema before anything looks at it.

The schemas are those of the OpenAPI document, so that what is promised and what is enforced cannot differ. They say
which members there are and of which type each is; what a value must be like is the accounts' own affair.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import request

from idp import strict_json
from idp.errors import InvalidInputError, Refusal

Schema = Mapping[str, Any]

FAULTS_MOST = 20
_TYPES: Mapping[str, tuple[type, str]] = {
    "string": (str, "text"),
    "boolean": (bool, "true or false"),
    "array": (list, "a list"),
    "object": (dict, "an object"),
    "null": (type(None), "null"),
}


class InvalidJson(Refusal):
    """The body is no JSON object; what is in one is judged by `InvalidInputError`."""

    code = "invalid_json"


class MediaTypeRefused(Refusal):
    """The body is not even said to be JSON."""

    code = "unsupported_media_type"
    status = 415


def read_body(schema: Schema) -> dict[str, Any]:
    """Return the members of the request's JSON object.

    Args:
        schema: of an object; the part of JSON Schema that `faults_of` knows.

    Raises:
        MediaTypeRefused: something else than JSON.
        InvalidJson: no JSON, or no object.
        InvalidInputError: names every member that is unknown, missing or of the wrong type.
    """
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise MediaTypeRefused("Send JSON, with the header Content-Type: application/json.")
    try:
        document = strict_json.read_object(request.get_data(), "body")
    except ValueError as fault:
        raise InvalidJson(str(fault)) from None
    faults: dict[str, list[str]] = {}
    for member, sentence in faults_of(schema, document):
        if member in faults or len(faults) < FAULTS_MOST:
            faults.setdefault(member, []).append(sentence)
    if faults:
        raise InvalidInputError(faults)
    return document


def faults_of(schema: Schema, value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Find what is wrong with a value: member name and sentence, one by one.

    Args:
        schema: `type`, and as the type may have it `properties`, `required`, `dependentRequired`, `items`, `maxItems`,
            `maxLength`, `enum`, `pattern`. An object has the members that its schema names, and no others.
        value: what was sent.
        name: of the member; members of an object in an object are named with a dot.
    """
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if not any(isinstance(value, _TYPES[each][0]) for each in types):
        yield name, f"Must be {' or '.join(_TYPES[each][1] for each in types)}."
    elif isinstance(value, dict):
        yield from _faults_of_object(schema, value, name)
    elif isinstance(value, list):
        if len(value) > schema["maxItems"]:
            yield name, f"Must have at most {schema['maxItems']} entries."
        for each in value[: schema["maxItems"]]:
            yield from faults_of(schema["items"], each, name)
    elif isinstance(value, str):
        yield from _faults_of_text(schema, value, name)


def _faults_of_object(schema: Schema, value: Mapping[str, object], name: str) -> Iterator[tuple[str, str]]:
    prefix = f"{name}." if name else ""
    known = schema["properties"]
    for member in value:
        if member not in known:
            yield prefix + strict_json.shown(member), "There is no such member here."
    for member in schema.get("required", ()):
        if member not in value:
            yield prefix + member, "This member is needed."
    for member, others in schema.get("dependentRequired", {}).items():
        for other in others:
            if member in value and other not in value:
                yield prefix + other, f"This member is needed beside {member}."
    for member, member_schema in known.items():
        if member in value:
            yield from faults_of(member_schema, value[member], prefix + member)


def _faults_of_text(schema: Schema, value: str, name: str) -> Iterator[tuple[str, str]]:
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        yield name, "Holds something that is no character."
    elif len(value) > schema.get("maxLength", len(value)):
        yield name, f"Must have at most {schema['maxLength']} characters."
    elif value not in schema.get("enum", (value,)):
        yield name, f"Must be one of: {', '.join(schema['enum'])}."
    elif not re.search(schema.get("pattern", ""), value):
        yield name, "Has the wrong form."
