"""What the account API in memory is made of: people, messages, and answers with the provider's codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SHORTEST_PASSWORD: Final = 12


@dataclass
class FakePerson:
    """One account: what ``GET /me`` tells, and the password."""

    claims: dict[str, object]
    password: str


@dataclass(frozen=True)
class FakeMail:
    """A message that the provider would have sent; ``code`` holds the six digits, if it is about a code."""

    kind: str
    recipient: str
    code: str = ""


@dataclass(frozen=True)
class FakeAnswer:
    """One HTTP answer."""

    status: int
    document: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def with_full_name(claims: dict[str, object]) -> dict[str, object]:
    """Put first and last name together; changes the claims in place and returns them."""
    claims["name"] = f"{claims['given_name']} {claims['family_name']}".strip()
    return claims


def refuse(status: int, code: str, detail: str = "", **more: object) -> FakeAnswer:
    """Build a refusal with the provider's code for it."""
    return FakeAnswer(status, {"type": "about:blank", "status": status, "code": code, "detail": detail, **more})


def find_fault(name: str, sentence: str) -> FakeAnswer:
    """Build a refusal because of one field."""
    return refuse(422, "invalid_input", "", faults={name: [sentence]})


def refuse_password(name: str) -> FakeAnswer:
    """Build a refusal that lists the rules which a password does not meet."""
    rules = [f"Use at least {SHORTEST_PASSWORD} characters.", "This password is easy to guess."]
    return refuse(422, "password_refused", "Please choose another password.", faults={name: rules})
