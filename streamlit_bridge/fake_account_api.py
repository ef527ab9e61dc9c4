"""A provider's account API in memory, for the tests of apps: see ``streamlit_bridge.testing``.

It knows a handful of people, checks passwords and codes, and keeps what it would have mailed in a list.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qs

import httpx

from streamlit_bridge.fake_answers import (
    SHORTEST_PASSWORD,
    FakeAnswer,
    FakeMail,
    FakePerson,
    find_fault,
    refuse,
    refuse_password,
    with_full_name,
)

ISSUER: Final = "https://provider.invalid"
METADATA_PATH: Final = "/.well-known/openid-configuration"
API_PATH: Final = "/api/v1"


class FakeAccountApi:
    """The state of the fake; tests change it and read ``people``, ``mails`` and ``calls`` afterwards.

    Attributes:
        people: the accounts by user name.
        granted_scopes: what the operator granted to the app itself; add "recovery:password" to let it learn more.
        preauthorized: addresses on the provider's list, in lower case.
        mails: what was mailed so far.
        calls: method, path and body of each call of the account API.
        next_answers: answers that replace the next ones for a method and path, such as a refusal.
    """

    def __init__(self, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.people: dict[str, FakePerson] = {}
        self.granted_scopes: set[str] = {"registration", "recovery"}
        self.preauthorized: set[str] = set()
        self.mails: list[FakeMail] = []
        self.calls: list[tuple[str, str, dict[str, object]]] = []
        self.next_answers: dict[tuple[str, str], list[FakeAnswer]] = {}
        self._tokens: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        self._remembered: dict[str, FakeAnswer] = {}

    def add_person(
        self, username: str, *, email: str, password: str, name: str = "", roles: str | Iterable[str] = ()
    ) -> FakePerson:
        """Add an account.

        Parameters:
            username, email, password: of the account.
            name: first and last name, by default the capitalised user name.
            roles: the role or roles.
        """
        given_name, _, family_name = (name or username.capitalize()).partition(" ")
        claims: dict[str, object] = {"sub": f"test-{username}", "preferred_username": username, "email": email}
        claims |= {"given_name": given_name, "family_name": family_name, "email_verified": True}
        claims["roles"] = [roles] if isinstance(roles, str) else list(roles)
        person = FakePerson(with_full_name(claims), password)
        self.people[username] = person
        return person

    def let_in(self, username: str, token: str | None = None) -> str:
        """Return an access token for somebody, as after a sign-in."""
        token = token or f"at_{secrets.token_urlsafe(16)}"
        self._tokens[token] = username
        return token

    def describe(self) -> dict[str, object]:
        """Return the discovery document."""
        paths = {"token_endpoint": "/token", "account_api_endpoint": API_PATH, "account_management_uri": "/account"}
        return {"issuer": self.issuer, **{name: f"{self.issuer}{path}" for name, path in paths.items()}}

    def serve(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an httpx client; made for ``httpx.MockTransport``."""
        path = request.url.path
        if path == METADATA_PATH:
            answer = FakeAnswer(200, self.describe())
        elif path == "/token":
            answer = self.grant(parse_qs(request.content.decode()).get("scope", [""])[0])
        else:
            answer = self.answer(request.method, path.removeprefix(API_PATH), request.headers, request.content)
        return httpx.Response(answer.status, headers=dict(answer.headers), json=answer.document)

    def grant(self, scope: str) -> FakeAnswer:
        """Answer a request for a token of the app itself."""
        if scope not in self.granted_scopes:
            return FakeAnswer(400, {"error": "invalid_scope"})
        token = f"ct_{secrets.token_urlsafe(16)}"
        self._tokens[token] = f"scope {scope}"
        return FakeAnswer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": scope})

    def answer(self, method: str, path: str, headers: Mapping[str, str], content: bytes) -> FakeAnswer:
        """Answer a call of the account API.

        Parameters:
            method: the HTTP method.
            path: the path below the API's own.
            headers: the request's headers.
            content: the request's body.
        """
        body = json.loads(content) if content else {}
        self.calls.append((method, path, body))
        if self.next_answers.get((method, path)):
            return self.next_answers[method, path].pop(0)
        owner = self._tokens.get(headers.get("Authorization", "").removeprefix("Bearer "))
        if owner is None:
            return refuse(401, "invalid_token")
        key = headers.get("Idempotency-Key", "")
        if key in self._remembered:
            return self._remembered[key]
        answer = self._route(method, path, owner, body)
        if key:
            self._remembered[key] = answer
        return answer

    def _route(self, method: str, path: str, owner: str, body: dict[str, object]) -> FakeAnswer:
        scope = owner.removeprefix("scope ")
        match method, path.strip("/").split("/"):
            case "GET", ["me"] if owner in self.people:
                return FakeAnswer(200, self.people[owner].claims)
            case "PATCH", ["me"] if owner in self.people:
                return self._change(self.people[owner], body)
            case "POST", ["me", "password"] if owner in self.people:
                return self._change_password(self.people[owner], body)
            case "POST", ["users"] if scope == "registration":
                return self._register(body)
            case "POST", ["recovery", "password"] if scope.startswith("recovery"):
                return self._recover_password(scope, body)
            case "POST", ["recovery", "username"] if scope.startswith("recovery"):
                return self._recover_username(scope, body)
            case "POST", ["codes"] if owner not in self.people:
                return self._mail_code(body)
            case "POST", ["codes", code_id]:
                right = self._codes.get(code_id) == body.get("code")
                return FakeAnswer(204) if right else refuse(422, "wrong_code")
        return refuse(403, "insufficient_scope")

    def _change(self, person: FakePerson, body: dict[str, object]) -> FakeAnswer:
        if "email" not in body:
            person.claims.update(body)
            with_full_name(person.claims)
            return FakeAnswer(200, person.claims)
        if body.get("current_password") != person.password:
            return find_fault("current_password", "Password is incorrect.")
        self.mails.append(FakeMail("confirm_new_address", str(body["email"])))
        return FakeAnswer(202, {**person.claims, "pending_email": body["email"]})

    def _change_password(self, person: FakePerson, body: dict[str, object]) -> FakeAnswer:
        if body.get("current_password") != person.password:
            return find_fault("current_password", "Password is incorrect.")
        if len(str(body.get("new_password"))) < SHORTEST_PASSWORD:
            return refuse_password("new_password")
        person.password = str(body["new_password"])
        return FakeAnswer(204)

    def _register(self, body: dict[str, object]) -> FakeAnswer:
        email, username = str(body["email"]).lower(), str(body["username"])
        domains = body.get("domains")
        if isinstance(domains, list) and domains and email.partition("@")[2] not in map(str.lower, domains):
            return refuse(403, "registration_refused", "Email domain is not allowed to register")
        if body.get("preauthorized") and email not in self.preauthorized:
            detail = "User not pre-authorized to register. Please ask the operator to list your address."
            return refuse(403, "registration_refused", detail)
        if len(str(body.get("password"))) < SHORTEST_PASSWORD:
            return refuse_password("password")
        if username in self.people:
            return refuse(409, "already_exists", "The user name is taken.")
        if not self._is_code_right(body):
            return refuse(422, "wrong_code")
        name = f"{body.get('given_name', '')} {body.get('family_name', '')}".strip()
        if "code_id" not in body:
            self.mails.append(FakeMail("verify_address", email))
        if email not in {person.claims["email"] for person in self.people.values()}:
            self.preauthorized.discard(email)
            roles = body.get("roles")
            self.add_person(
                username,
                email=email,
                password=str(body["password"]),
                name=name,
                roles=map(str, roles) if isinstance(roles, list) else (),
            )
        status = "account_ready" if "code_id" in body else "confirmation_mailed"
        return FakeAnswer(202, {"email": email, "username": username, "name": name, "status": status})

    def _recover_password(self, scope: str, body: dict[str, object]) -> FakeAnswer:
        person = self.people.get(str(body["username"]))
        if not self._is_code_right(body):
            return refuse(422, "wrong_code")
        if scope == "recovery":
            if person is not None:
                self.mails.append(FakeMail("reset_password", str(person.claims["email"])))
            return FakeAnswer(202, {})
        if person is None:
            return refuse(404, "not_found")
        person.password = secrets.token_urlsafe(12)
        claims = person.claims
        document = {"username": claims["preferred_username"], "email": claims["email"], "password": person.password}
        return FakeAnswer(200, document)

    def _recover_username(self, scope: str, body: dict[str, object]) -> FakeAnswer:
        email = str(body["email"]).lower()
        found = [username for username, person in self.people.items() if person.claims["email"] == email]
        if not self._is_code_right(body):
            return refuse(422, "wrong_code")
        if scope == "recovery":
            self.mails += [FakeMail("forgotten_usernames", email)] if found else []
            return FakeAnswer(202, {})
        return FakeAnswer(200, {"usernames": found, "email": email}) if found else refuse(404, "not_found")

    def _mail_code(self, body: dict[str, object]) -> FakeAnswer:
        code_id, code = secrets.token_urlsafe(8), f"{secrets.randbelow(1_000_000):06}"
        self._codes[code_id] = code
        person = self.people.get(str(body.get("username")))
        recipient = str(body.get("email") or (person.claims["email"] if person else ""))
        self.mails.append(FakeMail("one_time_code", recipient, code))
        return FakeAnswer(202, {"id": code_id})

    def _is_code_right(self, body: dict[str, object]) -> bool:
        return "code_id" not in body or self._codes.pop(str(body["code_id"]), None) == body.get("code")
