"""Reading a person from claims."""

from __future__ import annotations

import pytest

from streamlit_bridge.identity import Identity
from streamlit_bridge.results import LoginResult
from streamlit_bridge.widgets.forbidden import escape_markdown


@pytest.mark.parametrize(
    ("claims", "username", "name"),
    [
        ({}, "s1", "s1"),
        ({"email": "a@b.example"}, "a@b.example", "a@b.example"),
        ({"preferred_username": "ada"}, "ada", "ada"),
        ({"preferred_username": "ada", "given_name": "Ada"}, "ada", "Ada"),
        ({"preferred_username": "ada", "given_name": "Ada", "family_name": "Lovelace"}, "ada", "Ada Lovelace"),
        ({"preferred_username": "ada", "name": "Countess", "given_name": "Ada"}, "ada", "Countess"),
        ({"preferred_username": 5, "name": ["x"]}, "s1", "s1"),
    ],
)
def test_names_fall_back(claims: dict[str, object], username: str, name: str) -> None:
    identity = Identity.from_claims({"sub": "s1", **claims})
    assert (identity.username, identity.name) == (username, name)
    assert LoginResult.from_identity(identity) == (name, True, username)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [(None, ()), ("admin", ()), (["admin", 5, None], ("admin",)), (("a", "b"), ("a", "b")), ({"admin": 1}, ())],
)
def test_roles_are_a_list_of_texts(roles: object, expected: tuple[str, ...]) -> None:
    assert Identity.from_claims({"sub": "s1", "roles": roles}).roles == expected


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": 5}])
def test_subject_is_needed(claims: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="subject"):
        Identity.from_claims(claims)


def test_roles_are_compared_exactly() -> None:
    identity = Identity.from_claims({"sub": "s1", "roles": ["editor"]})
    assert identity.has_any_role(())
    assert identity.has_any_role(("admin", "editor"))
    assert not identity.has_any_role(("Editor",))
    assert not identity.has_any_role(("edit",))


def test_markdown_is_escaped() -> None:
    assert escape_markdown("a*b [c](d) :red[e]") == r"a\*b \[c\]\(d\) \:red\[e\]"
    assert escape_markdown("<b> `c` $x$ ~~d~~ &amp; e_f") == r"\<b\> \`c\` \$x\$ \~\~d\~\~ \&amp; e\_f"
