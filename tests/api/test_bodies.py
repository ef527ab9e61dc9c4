"""Bodies: JSON objects in UTF-8, each member once, none that is unknown, of the right type; every fault at once."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.web.api import ROUTES, bodies, schemas
from idp.web.exchange import BODY_MOST
from tests.api.conftest import refusal
from tests.house import pages

BODIES = [(method, path.replace("<code_id>", "x")) for method, path, _ in ROUTES if method != "GET"]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def send(caller, data, path="/users", method="POST", content_type="application/json", **more):
    """Send raw bytes."""
    headers = {"Authorization": f"Bearer {caller.token}"}
    return caller.send(method, path, data=data, content_type=content_type, headers=headers, **more)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{'email': 'a@example.org'}",
        b'{"email": "a@example.org",}',
        b'{"email": NaN}',
        b'{"email": Infinity}',
        b'{"email": -Infinity}',
        b'{"email": "a@example.org", "email": "b@example.org"}',
        b'{"a": [{"x": 1, "x": 1}]}',
        b'\xef\xbb\xbf{"email": "a@example.org"}',
        b'{"email": "\xff"}',
        '{"email": "ü@example.org"}'.encode("latin-1"),
        '{"email": "a@example.org"}'.encode("utf-16"),
        b"[" * 30_000,
        b'{"a":' * 9_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b"[]",
        b"null",
        b'"text"',
        b"1",
        b"email=a%40example.org",
    ],
)
def test_what_is_no_json_object(registrar, data):
    assert refusal(send(registrar, data)) == (400, "invalid_json")


def test_the_faults_are_told_as_the_documentation_shows(registrar):
    shown = re.search(r"```json\n(.*?)```", pages.section(pages.read("api.md"), "## Bodies"), re.DOTALL)
    response = send(registrar, b'{"username": "eve", "email": 5}')
    assert response.json == json.loads(shown[1])
    assert list(response.json["faults"]) == list(json.loads(shown[1])["faults"])


def test_a_member_twice_is_named(registrar):
    response = send(registrar, b'{"roles": [], "roles": []}')
    assert response.json["detail"] == "The member roles occurs twice."


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/merge-patch+json",
        "application/problem+json",
        "json",
    ],
)
def test_other_media_types(registrar, content_type):
    response = send(registrar, b'{"email": "a@example.org"}', content_type=content_type)
    assert refusal(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"]
)
def test_json_by_any_spelling(registrar, content_type):
    assert refusal(send(registrar, b"{}", content_type=content_type)) == (422, "invalid_input")


def test_too_large(registrar):
    response = send(registrar, b" " * (BODY_MOST + 1))
    assert refusal(response) == (413, "too_large")
    assert response.json["title"] == "Content Too Large"  # RFC 9110's words, whatever Python's are


def test_every_fault_at_once(registrar):
    body = {
        "email": 1,
        "username": None,
        "roles": ["guest", 7],
        "domains": "example.org",
        "preauthorized": "yes",
        "captcha": "x",
        "code_id": "abc",
    }
    response = registrar.call("POST", "/users", body)
    assert refusal(response) == (422, "invalid_input")
    assert response.json["faults"] == {
        "captcha": ["There is no such member here."],
        "password": ["This member is needed."],
        "code": ["This member is needed beside code_id."],
        "email": ["Must be text."],
        "username": ["Must be text."],
        "roles": ["Must be text."],
        "domains": ["Must be a list."],
        "preauthorized": ["Must be true or false."],
    }


def test_faults_in_an_object_in_the_object(as_ada):
    body = {"address": {"locality": 1, "planet": "Earth"}, "nickname": ["x"]}
    response = as_ada.call("PATCH", "/me", body)
    assert response.json["faults"] == {
        "nickname": ["Must be text or null."],
        "address.planet": ["There is no such member here."],
        "address.locality": ["Must be text or null."],
    }
    response = as_ada.call("PATCH", "/me", {"address": "here"})
    assert response.json["faults"] == {"address": ["Must be an object or null."]}


def test_thousands_of_unknown_members_are_not_all_told(registrar):
    response = registrar.call("POST", "/users", {f"m{number}": 1 for number in range(3_000)})
    assert len(response.json["faults"]) == bodies.FAULTS_MOST


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "x\udfff"])
@pytest.mark.parametrize("member", ["email", "username", "password", "code", "language", "given_name"])
def test_what_is_no_character(registrar, member, text):
    body = {"email": "a@example.org", "password": "x", "code_id": "x", "code": "x", member: text}
    response = registrar.call("POST", "/users", body)
    assert refusal(response) == (422, "invalid_input")
    assert response.json["faults"] == {member: ["Holds something that is no character."]}


def test_what_is_no_character_in_a_members_name(registrar):
    response = send(registrar, b'{"\\ud800\\u0000\\u202e": 1}')
    assert "???" in response.json["faults"]
    response.get_data(as_text=True).encode("utf-8")


def test_limits(registrar):
    body = {"email": "a" * 321, "password": "p" * 4_097, "roles": ["r"] * 51}
    faults = registrar.call("POST", "/users", body).json["faults"]
    assert faults == {
        "email": ["Must have at most 320 characters."],
        "password": ["Must have at most 4096 characters."],
        "roles": ["Must have at most 50 entries."],
    }
    faults = registrar.call("POST", "/codes", {"purpose": "party"}).json["faults"]
    assert faults == {"purpose": ["Must be one of: registration, password, username."]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
SCHEMAS = [
    schema
    for name, schema in vars(schemas).items()
    if name.isupper() and not name.startswith("_") and isinstance(schema, dict) and "properties" in schema
]


@settings(max_examples=200, deadline=None)
@given(value=JSON, schema=st.sampled_from(SCHEMAS))
def test_the_checker_agrees_with_json_schema(value, schema):
    from jsonschema import Draft202012Validator

    if isinstance(value, dict):
        value |= dict.fromkeys(list(schema["properties"])[: len(value)], next(iter(value.values()), None))
    ours = not list(bodies.faults_of(schema, value))
    theirs = Draft202012Validator(schema).is_valid(value)
    assert ours == theirs or any("\ud800" <= c <= "\udfff" for c in json.dumps(value, ensure_ascii=False))


@QUICK
@given(call=st.sampled_from(BODIES), value=JSON, data=st.data())
def test_nothing_makes_it_fail(as_ada, registrar, recoverer, call, value, data):
    method, path = call
    caller = as_ada if path.startswith("/me") else recoverer if "recovery" in path else registrar
    if isinstance(value, dict):
        names = [
            "email",
            "username",
            "password",
            "code",
            "code_id",
            "current_password",
            "new_password",
            "nickname",
            "purpose",
        ]
        for name in data.draw(st.lists(st.sampled_from(names), max_size=4, unique=True)):
            value[name] = data.draw(st.text(max_size=30) | JSON)
    caller.call(method, path, value)


@QUICK
@given(data=st.binary(max_size=200), content_type=st.sampled_from(["application/json", "text/json", ""]))
def test_no_bytes_make_it_fail(registrar, data, content_type):
    assert send(registrar, data, content_type=content_type).status_code in (400, 415, 422)
