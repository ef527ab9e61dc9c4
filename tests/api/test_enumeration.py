"""What an app without `recovery:password` can tell about who has an account: nothing, by bytes, headers or work."""

import re

import pytest

from tests.api.conftest import PASSPHRASE

CASES = {
    "a password": ("recovery", "/recovery/password", {"username": "{}"}),
    "a password by address": ("recovery", "/recovery/password", {"username": "{}@example.org"}),
    "a user name": ("recovery", "/recovery/username", {"email": "{}@example.org"}),
    "a code for a password": ("recovery", "/codes", {"purpose": "password", "username": "{}"}),
    "a code for a user name": ("recovery", "/codes", {"purpose": "username", "email": "{}@example.org"}),
    "a code to register": ("registration", "/codes", {"purpose": "registration", "email": "{}@example.org"}),
    "an account": ("registration", "/users", {"email": "{}@example.org", "username": "zoe", "password": PASSPHRASE}),
    "an account by address": (
        "registration",
        "/users",
        {"email": "{}@example.org", "password": PASSPHRASE, "merge_username_email": True},
    ),
}


def _fill(body, name):
    return {key: value.format(name) if isinstance(value, str) else value for key, value in body.items()}


def _shape(statement):
    return re.sub(r"\s+", " ", re.sub(r"sa_savepoint_\d+", "savepoint", statement))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("with_key", [False, True])
def test_known_and_unknown_look_the_same(case, with_key, api_as, tea_house, make_user, counted):
    scope, path, body = CASES[case]
    caller = api_as(tea_house, scope)
    make_user("ida")
    headers = {"Idempotency_Key": "warm"} if with_key else {}
    caller.call("POST", path, {**_fill(body, "ona"), **({"username": "ona"} if path == "/users" else {})}, **headers)
    seen = {}
    for name in ("ida", "eva"):
        sent = _fill(body, name)
        if "username" in sent and path == "/users":
            sent["username"] = f"zoe-{name}"
        headers = {"Idempotency_Key": f"key-{name}"} if with_key else {}
        with counted() as traffic:
            response = caller.call("POST", path, sent, **headers)
        text = response.text.replace(name, "...")
        if path == "/codes":
            assert len(response.json.pop("id")) == 43
            text = ""
        told = {key: value for key, value in response.headers.items() if key not in ("Date", "X-Request-ID")}
        seen[name] = (response.status_code, text, told, [_shape(each) for each in traffic.statements])
    ours, theirs = seen["ida"], seen["eva"]
    assert ours[:3] == theirs[:3]
    assert len(ours[3]) == len(theirs[3]), _difference(ours[3], theirs[3])
    # Work that is kept and work that is undone differ by the name of one statement only.
    kept = {"RELEASE SAVEPOINT savepoint", "ROLLBACK TO SAVEPOINT savepoint"}
    assert [each for each in ours[3] if each not in kept] == [each for each in theirs[3] if each not in kept]


def _difference(ours, theirs):
    import difflib

    return "\n".join(difflib.unified_diff(ours, theirs, lineterm="", n=1))


@pytest.mark.parametrize("case", ["a password", "a user name", "an account"])
def test_as_many_passwords_are_hashed(case, api_as, tea_house, make_user, monkeypatch):
    from idp import crypto

    scope, path, body = CASES[case]
    caller = api_as(tea_house, scope)
    make_user("ida")
    counts = {}
    original = crypto.hash_password
    for name in ("ida", "eva"):
        hashed = []
        monkeypatch.setattr(crypto, "hash_password", lambda *args, hashed=hashed: hashed.append(1) or original(*args))
        sent = _fill(body, name) | ({"username": f"zoe-{name}"} if path == "/users" else {})
        assert caller.call("POST", path, sent).status_code == 202
        counts[name] = len(hashed)
    assert counts["ida"] == counts["eva"]
