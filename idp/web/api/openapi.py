"""The API's own description (OpenAPI 3.1), written by hand: one entry a route, in the order of the routes."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from flask import Response

from idp.settings import Settings
from idp.web import context
from idp.web.api import answers, schemas
from idp.web.api.codes import RECOVERY_SCOPES
from idp.web.api.idempotency import HEADER, KEY_PATTERN
from idp.web.api.me import PASSIVE

_PERSON = "person"  # who may call: a person by an app, or an app for itself
_APP = "app"


def _operation(
    operation_id: str,
    summary: str,
    answers_: Mapping[int, tuple[str, Mapping[str, Any] | None]],
    *,
    scopes: tuple[str, ...] = (),
    who: str = _APP,
    body: Mapping[str, Any] | None = None,
    refusals: tuple[int, ...] = (),
    is_repeatable: bool = False,
    description: str = "",
) -> dict[str, Any]:
    """Describe one operation; what all that take a token or a body answer comes by itself."""
    statuses = {*refusals, *((401, 403) if scopes else ()), *((400, 413, 415, 422, 429) if body else ())}
    parameters = [{"$ref": "#/components/parameters/IdempotencyKey"}] if is_repeatable else []
    if is_repeatable:
        statuses |= {409}
    responses = {str(status): _answer(text, schema) for status, (text, schema) in answers_.items()}
    for status in sorted({*statuses, 500, 503}):
        responses[str(status)] = {"$ref": f"#/components/responses/{answers.REFUSALS[status]}"}
    return {
        "operationId": operation_id,
        "summary": summary,
        **({"description": description} if description else {}),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}} if body else {}),
        "responses": responses,
        "security": [{who: [scope]} for scope in scopes],
    }


def _answer(text: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"description": text, **({"content": {"application/json": {"schema": schema}}} if schema else {})}


_CODE_ID = {
    "name": "code_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[A-Za-z0-9_-]+$"},
}
_PASSIVE = {
    "name": PASSIVE,
    "in": "header",
    "description": "With `1`, asking does not count as activity: the session grows idle all the same.",
    "schema": {"type": "string", "enum": ["1"]},
}

OPERATIONS: Mapping[tuple[str, str], dict[str, Any]] = {
    ("GET", "/me"): {
        **_operation(
            "showMe", "The account as it is now", {200: ("The account.", answers.ME)}, scopes=("account",), who=_PERSON
        ),
        "parameters": [_PASSIVE],
    },
    ("PATCH", "/me"): _operation(
        "changeMe",
        "Change the account",
        {
            200: ("Changed.", answers.ME),
            202: ("A link was mailed to the new address; until it is followed the old one stands.", answers.ME_MOVING),
        },
        scopes=("account",),
        who=_PERSON,
        body=schemas.PROFILE_CHANGES,
        refusals=(404,),
        description="What is left out stays, null clears. With faults in any member nothing is changed.",
    ),
    ("POST", "/me/password"): _operation(
        "changePassword",
        "Change the password",
        {204: ("Changed. All other sessions of the account have ended.", None)},
        scopes=("account",),
        who=_PERSON,
        body=schemas.PASSWORD_CHANGE,
        refusals=(404,),
    ),
    ("GET", "/registration"): _operation(
        "showRegistration",
        "Who may register by this app",
        {200: ("The policy in force.", answers.REGISTRATION)},
        scopes=("registration",),
    ),
    ("POST", "/users"): _operation(
        "createUser",
        "Register somebody",
        {202: ("Taken down. The answer is the same for an address that has an account.", answers.NEW_USER)},
        scopes=("registration",),
        body=schemas.NEW_USER,
        is_repeatable=True,
    ),
    ("POST", "/recovery/password"): _operation(
        "recoverPassword",
        "Help somebody whose password is forgotten",
        {
            200: ("With `recovery:password`: a one-time password, to be changed at next sign-in.", answers.ISSUED),
            202: ("With `recovery`: a link was mailed, if there is such an account.", answers.NOTHING),
        },
        scopes=RECOVERY_SCOPES,
        body=schemas.FORGOTTEN_PASSWORD,
        refusals=(404,),
        is_repeatable=True,
    ),
    ("POST", "/recovery/username"): _operation(
        "recoverUsername",
        "Help somebody whose user name is forgotten",
        {
            200: ("With `recovery:password`: the user names.", answers.USERNAMES),
            202: ("With `recovery`: they were mailed, if there is such an account.", answers.NOTHING),
        },
        scopes=RECOVERY_SCOPES,
        body=schemas.FORGOTTEN_USERNAME,
        refusals=(404,),
        is_repeatable=True,
    ),
    ("POST", "/codes"): _operation(
        "sendCode",
        "Mail a six-digit code",
        {202: ("Mailed, if there is anybody to mail it to.", answers.CODE)},
        scopes=("registration", *RECOVERY_SCOPES),
        body=schemas.NEW_CODE,
        is_repeatable=True,
        description="The purpose says which scope is needed. The code is good for ten minutes and five guesses.",
    ),
    ("POST", "/codes/{code_id}"): {
        **_operation(
            "checkCode",
            "Check a code without using it up",
            {204: ("The digits are right.", None)},
            scopes=("registration", *RECOVERY_SCOPES),
            body=schemas.CODE_GUESS,
        ),
        "parameters": [_CODE_ID],
    },
    ("GET", "/openapi.json"): _operation("showDocument", "This document", {200: ("OpenAPI 3.1.", {"type": "object"})}),
}


def build_document(settings: Settings) -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = operation
    flow = {"tokenUrl": settings.url("/oauth/token"), "scopes": dict(answers.SCOPES)}
    discovery = {
        "type": "openIdConnect",
        "openIdConnectUrl": settings.url("/.well-known/openid-configuration"),
        "description": "An access token that a person's sign-in gave an app, with the scope `account`.",
    }
    key = {
        "name": HEADER,
        "in": "header",
        "description": "A retry within a day with the same key and body gets the same answer.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Account API",
            "version": "1",
            "summary": "Accounts of this provider, for apps.",
            "description": "Bearer tokens of this provider only. Refusals are problem documents (RFC 9457) with a "
            "stable `code`.",
        },
        "servers": [{"url": settings.url("/api/v1")}],
        "paths": paths,
        "components": {
            "parameters": {"IdempotencyKey": key},
            "responses": answers.refusal_responses(),
            "schemas": {"Problem": answers.PROBLEM},
            "securitySchemes": {
                _PERSON: discovery,
                _APP: {"type": "oauth2", "flows": {"clientCredentials": flow}},
            },
        },
    }


def show_document() -> Response:
    """Serve the document."""
    return Response(_as_json(context.settings()), mimetype="application/json")


@cache
def _as_json(settings: Settings) -> bytes:
    return json.dumps(build_document(settings), indent=1).encode()
