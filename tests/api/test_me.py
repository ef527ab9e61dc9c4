"""One's own account: read, changed, and the password."""

import pytest

from idp.accounts import email_change, profile, throttle
from idp.web.api import schemas
from tests.api.conftest import PASSPHRASE, Api, refusal
from tests.factories import EVERY_CLAIM, PASSWORD


def test_what_is_told(as_ada, ada, tea_house):
    response = as_ada.call("GET", "/me")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    told = response.json
    assert isinstance(told.pop("updated_at"), int)
    assert told == {
        "sub": ada.id,
        "preferred_username": "ada",
        "name": "Ada Lovelace",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "email": "ada@example.org",
        "email_verified": True,
        "roles": [],
        "client_id": tea_house.metadata.client_id,
    }


def test_everything_that_is_known(app, tea_house, make_user):
    make_user("grace", roles=("member", "admin"), **EVERY_CLAIM)
    told = Api(app, tea_house.log_in("grace", scope="openid account").access_token).call("GET", "/me").json
    assert told["roles"] == ["admin", "member"]
    assert told["address"]["locality"] == "London"
    assert told["address"]["formatted"].startswith("12 St James's Square\n")
    assert told["phone_number_verified"] is True
    for name in schemas.PROFILE_TEXTS.keys() & EVERY_CLAIM.keys():
        assert told[name] == EVERY_CLAIM[name]


def test_every_field_of_the_profile_can_be_changed():
    assert {*schemas.PROFILE_TEXTS, *schemas.ADDRESS_PARTS} == set(profile.FIELDS)


def test_a_change_is_seen_at_once(as_ada, app, tea_house, ada):
    tokens = tea_house.log_in("ada", scope="openid profile account")
    response = Api(app, tokens.access_token).call("PATCH", "/me", {"given_name": "Augusta", "nickname": "Countess"})
    assert response.status_code == 200
    assert response.json["name"] == "Augusta Lovelace"
    assert response.json == {**as_ada.call("GET", "/me").json}
    assert tea_house.userinfo(tokens)["nickname"] == "Countess"


def test_what_is_left_out_stays_and_null_clears(as_ada):
    as_ada.call("PATCH", "/me", {"nickname": "Countess", "website": "https://ada.example.org/", "locale": "en_GB"})
    told = as_ada.call("PATCH", "/me", {"nickname": None, "family_name": "  "}).json
    assert "nickname" not in told
    assert "family_name" not in told
    assert (told["given_name"], told["website"], told["locale"]) == ("Ada", "https://ada.example.org/", "en-GB")


def test_the_postal_address(as_ada):
    told = as_ada.call("PATCH", "/me", {"address": {"locality": "London", "country": "UK"}}).json
    assert told["address"] == {"locality": "London", "country": "UK", "formatted": "London\nUK"}
    told = as_ada.call("PATCH", "/me", {"address": {"country": None}}).json
    assert told["address"] == {"locality": "London", "formatted": "London"}
    assert "address" not in as_ada.call("PATCH", "/me", {"address": None}).json


def test_nothing_to_change(as_ada):
    before = as_ada.call("GET", "/me").json
    response = as_ada.call("PATCH", "/me", {})
    assert (response.status_code, response.json) == (200, before)


def test_all_faults_at_once_and_nothing_changed(as_ada, mailbox):
    before = as_ada.call("GET", "/me").json
    body = {
        "given_name": "Augusta",
        "website": "javascript:alert(1)",
        "birthdate": "yesterday",
        "address": {"locality": "x" * 101},
        "email": "nonsense",
        "current_password": PASSWORD,
    }
    response = as_ada.call("PATCH", "/me", body)
    assert refusal(response) == (422, "invalid_input")
    assert set(response.json["faults"]) == {"website", "birthdate", "address.locality", "email"}
    assert as_ada.call("GET", "/me").json == before
    assert mailbox() == []


@pytest.mark.parametrize(
    "body", [{"sub": "x"}, {"roles": ["admin"]}, {"email_verified": True}, {"username": "x"}, {"name": "x"}]
)
def test_what_cannot_be_changed(as_ada, body):
    assert refusal(as_ada.call("PATCH", "/me", body)) == (422, "invalid_input")


# -- The address ----------------------------------------------------------------------


def test_a_new_address_waits_for_confirmation(as_ada, mailbox, db, settings):
    body = {"email": "countess@example.org", "current_password": PASSWORD, "nickname": "Countess", "language": "de"}
    response = as_ada.call("PATCH", "/me", body)
    assert response.status_code == 202
    assert response.json["pending_email"] == "countess@example.org"
    assert response.json["email"] == "ada@example.org"
    assert response.json["nickname"] == "Countess"
    (confirm, _, text), (told, old, _) = sorted(mailbox(), key=lambda mail: mail[0], reverse=True)
    assert (confirm, told, old) == ("confirm_new_address", "address_change_requested", "ada@example.org")
    token = text.split("token=")[1].split()[0]
    email_change.confirm_change(db, settings, _visitor(), token)
    db.commit()
    now = as_ada.call("GET", "/me").json
    assert (now["email"], now["email_verified"]) == ("countess@example.org", True)


def test_a_new_address_that_is_asked_for_twice_is_told_once(as_ada, mailbox, clock):
    body = {"email": "countess@example.org", "current_password": PASSWORD}
    for mails in (2, 2, 4):
        assert as_ada.call("PATCH", "/me", body).json["pending_email"] == "countess@example.org"
        assert len(mailbox()) == mails
        clock.advance(throttle.AGAIN_WITHIN // 2)


def test_a_new_address_needs_the_password(as_ada, mailbox):
    response = as_ada.call("PATCH", "/me", {"email": "countess@example.org"})
    assert response.json["faults"] == {"current_password": ["This member is needed beside email."]}
    body = {"email": "countess@example.org", "current_password": "wrong", "nickname": "Countess"}
    response = as_ada.call("PATCH", "/me", body)
    assert refusal(response) == (422, "invalid_input")
    assert response.json["faults"] == {"current_password": ["Password is incorrect."]}
    assert "nickname" not in as_ada.call("GET", "/me").json
    assert mailbox() == []


def test_the_same_address(as_ada):
    response = as_ada.call("PATCH", "/me", {"email": "Ada@Example.org", "current_password": PASSWORD})
    assert response.json["faults"] == {"email": ["New and current values are the same."]}


def test_an_address_that_is_taken_is_told_to_its_owner_only(as_ada, make_user, mailbox):
    make_user("eve")
    response = as_ada.call("PATCH", "/me", {"email": "eve@example.org", "current_password": PASSWORD})
    assert (response.status_code, response.json["pending_email"]) == (202, "eve@example.org")
    assert {(kind, to) for kind, to, _ in mailbox()} == {
        ("address_already_registered", "eve@example.org"),
        ("address_change_requested", "ada@example.org"),
    }


# -- The password ---------------------------------------------------------------------


def test_the_password_changes_and_this_session_goes_on(
    as_ada, app, tea_house, ada, make_client, relying_party, mailbox
):
    elsewhere = relying_party(scopes=("openid", "account"), grant_types=("authorization_code",))
    other = Api(app, elsewhere.log_in("ada", scope="openid account").access_token)
    response = as_ada.call("POST", "/me/password", {"current_password": PASSWORD, "new_password": PASSPHRASE})
    assert (response.status_code, response.data) == (204, b"")
    assert as_ada.call("GET", "/me").status_code == 200
    assert refusal(other.call("GET", "/me")) == (401, "invalid_token")
    assert [(kind, to) for kind, to, _ in mailbox()] == [("password_changed", "ada@example.org")]
    tea_house.browser.delete_cookie("idp_session")
    assert tea_house.log_in("ada", PASSPHRASE).claims["sub"] == ada.id


@pytest.mark.parametrize(
    ("current", "new", "code", "field", "sentence"),
    [
        ("wrong", PASSPHRASE, "invalid_input", "current_password", "Password is incorrect."),
        (PASSWORD, PASSWORD, "invalid_input", "new_password", "New and current passwords are the same."),
        (PASSWORD, "short", "password_refused", "new_password", "Use at least 10 characters"),
        (PASSWORD, "lovelace", "password_refused", "new_password", "Use at least 10 characters"),
        (PASSWORD, "", "password_refused", "new_password", "Use at least 10 characters"),
        ("", "", "invalid_input", "current_password", "Password is incorrect."),
    ],
)
def test_a_password_that_is_refused(as_ada, current, new, code, field, sentence):
    response = as_ada.call("POST", "/me/password", {"current_password": current, "new_password": new})
    assert refusal(response) == (422, code)
    assert response.json["faults"][field][0].startswith(sentence)
    assert as_ada.call("GET", "/me").status_code == 200


def test_guessing_the_password_slows_down(as_ada, settings):
    body = {"current_password": "wrong", "new_password": PASSPHRASE}
    for _ in range(settings.throttle_account_burst):
        assert as_ada.call("POST", "/me/password", body).status_code == 422
    assert refusal(as_ada.call("POST", "/me/password", body)) == (429, "throttled")
    body = {"email": "countess@example.org", "current_password": PASSWORD}
    assert refusal(as_ada.call("PATCH", "/me", body)) == (429, "throttled")


def _visitor():
    from idp.accounts.visitor import SYSTEM

    return SYSTEM
