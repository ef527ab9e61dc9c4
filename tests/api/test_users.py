"""Registration by an app: what it may admit, what it may give, and what it is told."""

import pytest
from sqlalchemy import select

from idp.accounts import preauthorization, roles
from idp.accounts.visitor import OPERATOR
from idp.models import User
from tests.api.conftest import PASSPHRASE, refusal

EVE = {
    "email": "eve@example.org",
    "username": "eve",
    "given_name": "Eve",
    "family_name": "Adams",
    "password": PASSPHRASE,
}


@pytest.fixture
def find(db):
    """Find a user by name."""

    def find(username):
        db.rollback()
        return db.scalars(select(User).where(User.username_key == username)).first()

    return find


def test_what_an_app_may_know_first(registrar, settings):
    response = registrar.call("GET", "/registration")
    assert response.json == {
        "policy": "open",
        "domains": [],
        "roles": ["guest", "member"],
        "password_min_length": settings.password_min_length,
    }


def test_the_policy_told_is_the_narrower_one(api_as, relying_party):
    client = relying_party(
        grant_types=("client_credentials",),
        redirect_uris=(),
        scopes=("registration",),
        registration_policy="preauthorized",
        registration_domains=("example.org",),
    )
    told = api_as(client, "registration").call("GET", "/registration").json
    assert (told["policy"], told["domains"], told["roles"]) == ("preauthorized", ["example.org"], [])


def test_somebody_registers(registrar, find, mailbox):
    response = registrar.call("POST", "/users", EVE)
    assert response.status_code == 202
    assert response.json == {
        "email": "eve@example.org",
        "username": "eve",
        "name": "Eve Adams",
        "status": "confirmation_mailed",
    }
    assert find("eve").is_registration_pending
    assert [(kind, to) for kind, to, _ in mailbox()] == [("verify_address", "eve@example.org")]


def test_the_language_of_the_mail(registrar, mailbox):
    registrar.call("POST", "/users", {**EVE, "language": "de-AT"})
    registrar.call("POST", "/users", {**EVE, "email": "mal@example.org", "username": "mal", "language": "tlh"})
    german, english = (text for _, _, text in mailbox())
    assert german.split()[0] != english.split()[0]


@pytest.mark.parametrize(
    ("tag", "too_short", "not_admitted"),
    [
        ("de-AT, en;q=0.5", "Nehmen Sie mindestens 10 Zeichen.", "Mit einer Adresse dieser Domain"),
        ("tlh", "Use at least 10 characters:", "Email domain is not allowed"),
        (None, "Use at least 10 characters:", "Email domain is not allowed"),
    ],
)
def test_the_language_of_a_refusal(registrar, tag, too_short, not_admitted):
    asked = {} if tag is None else {"Accept_Language": tag}
    problem = registrar.call("POST", "/users", {**EVE, "password": "x"}, **asked).json
    assert problem["faults"]["password"][0].startswith(too_short)
    assert problem["detail"] == " ".join(problem["faults"]["password"])
    problem = registrar.call("POST", "/users", {**EVE, "domains": ["example.com"]}, **asked).json
    assert problem["detail"].startswith(not_admitted)


def test_names_may_be_missing(registrar):
    response = registrar.call("POST", "/users", {"email": EVE["email"], "username": "eve", "password": PASSPHRASE})
    assert response.json["name"] == "eve"


def test_a_taken_name_is_told(registrar, ada):
    for name in ("ada", "ADA"):
        response = registrar.call("POST", "/users", {**EVE, "username": name})
        assert refusal(response) == (409, "already_exists")
        assert "username" in response.json["faults"]


def test_a_taken_address_is_told_to_its_owner_only(registrar, ada, mailbox, find):
    response = registrar.call("POST", "/users", {**EVE, "email": "ada@example.org"})
    assert response.status_code == 202
    assert response.json["status"] == "confirmation_mailed"
    assert find("eve") is None
    assert [(kind, to) for kind, to, _ in mailbox()] == [("address_already_registered", "ada@example.org")]


def test_faults(registrar):
    response = registrar.call("POST", "/users", {**EVE, "email": "nonsense", "username": "@!", "given_name": "<b>"})
    assert refusal(response) == (422, "invalid_input")
    assert set(response.json["faults"]) == {"email", "username", "given_name"}
    assert refusal(registrar.call("POST", "/users", {**EVE, "password": "short"})) == (422, "password_refused")
    without_name = {key: value for key, value in EVE.items() if key != "username"}
    assert set(registrar.call("POST", "/users", without_name).json["faults"]) == {"username"}


def test_the_address_as_user_name(registrar, find):
    body = {key: value for key, value in EVE.items() if key != "username"}
    response = registrar.call("POST", "/users", {**body, "merge_username_email": True})
    assert response.json["username"] == "eve@example.org"
    assert find("eve@example.org").email == "eve@example.org"
    same = {**EVE, "username": "Eve@example.org", "merge_username_email": True}
    assert registrar.call("POST", "/users", same).status_code == 202
    response = registrar.call("POST", "/users", {**EVE, "merge_username_email": True})
    assert set(response.json["faults"]) == {"username"}


def test_roles(registrar, db, find):
    assert registrar.call("POST", "/users", {**EVE, "roles": ["guest"]}).status_code == 202
    assert list(roles.roles_of(db, find("eve").id)) == ["guest"]
    response = registrar.call("POST", "/users", {**EVE, "roles": ["guest", "admin"]})
    assert refusal(response) == (422, "invalid_input")
    assert set(response.json["faults"]) == {"roles"}


def test_only_listed_addresses(registrar, db, find):
    response = registrar.call("POST", "/users", {**EVE, "preauthorized": True})
    assert refusal(response) == (403, "registration_refused")
    assert response.json["detail"].startswith("User not pre-authorized to register")
    preauthorization.preauthorize(db, OPERATOR, "Eve@example.org", roles=("member",))
    db.commit()
    assert registrar.call("POST", "/users", {**EVE, "preauthorized": True}).status_code == 202
    assert list(roles.roles_of(db, find("eve").id)) == ["member"]


def test_an_app_cannot_widen_the_policy(api_as, relying_party):
    client = relying_party(
        grant_types=("client_credentials",),
        redirect_uris=(),
        scopes=("registration",),
        registration_policy="preauthorized",
    )
    response = api_as(client, "registration").call("POST", "/users", {**EVE, "preauthorized": False})
    assert refusal(response) == (403, "registration_refused")


def test_closed(api_as, relying_party):
    client = relying_party(
        grant_types=("client_credentials",), redirect_uris=(), scopes=("registration",), registration_policy="closed"
    )
    assert refusal(api_as(client, "registration").call("POST", "/users", EVE)) == (403, "registration_refused")


def test_domains(registrar):
    response = registrar.call("POST", "/users", {**EVE, "domains": ["example.com"]})
    assert refusal(response) == (403, "registration_refused")
    assert response.json["detail"].startswith("Email domain is not allowed to register")
    assert registrar.call("POST", "/users", {**EVE, "domains": ["example.com", "EXAMPLE.org"]}).status_code == 202


# -- Throttles --------------------------------------------------------------------------


def test_one_address_slows_down_by_itself(registrar):
    for number in range(5):
        assert registrar.call("POST", "/users", {**EVE, "username": f"eve{number}"}).status_code == 202
    assert refusal(registrar.call("POST", "/users", EVE)) == (429, "throttled")
    assert registrar.call("POST", "/users", {**EVE, "email": "mal@example.org"}).status_code == 202


def test_one_app_slows_down_without_the_others(registrar, api_as, relying_party, client, settings):
    other = api_as(
        relying_party(grant_types=("client_credentials",), redirect_uris=(), scopes=("registration",)), "registration"
    )
    for number in range(settings.throttle_address_burst):
        name = f"eve{number}"
        body = {**EVE, "username": name, "email": f"{name}@example.org", "preauthorized": True}
        assert registrar.call("POST", "/users", body).status_code == 403
    assert refusal(registrar.call("POST", "/users", EVE)) == (429, "throttled")
    assert other.call("POST", "/users", EVE).status_code == 202
