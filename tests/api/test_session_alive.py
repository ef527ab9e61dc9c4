"""GET /api/v1/me as apps poll it: is the session still alive, and does asking keep it so?"""

import pytest

from idp.accounts import passwords, users
from idp.accounts.sessions import TOUCH_EVERY
from idp.accounts.visitor import OPERATOR
from idp.models import BrowserSession
from tests.relying_party import Tokens

PATH = "/api/v1/me"


@pytest.fixture
def ada(make_user):
    """A person with roles."""
    return make_user("ada", roles=("writer", "admin"))


@pytest.fixture
def rp(relying_party, ada):
    """An app that asks for the account scope."""
    return relying_party()


@pytest.fixture
def tokens(rp):
    """Tokens that permit to ask."""
    return rp.log_in(scope="openid account")


def ask(rp, tokens: Tokens | str | None, **headers: str):
    """Call the API with an access token."""
    if tokens is not None:
        token = tokens if isinstance(tokens, str) else tokens.access_token
        headers["Authorization"] = f"Bearer {token}"
    return rp.browser.get(PATH, headers=headers)


def problem_of(response, status: int) -> str:
    """Return the code of a problem document, checked for its form (RFC 9457, RFC 6750 section 3)."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    assert response.json["status"] == status
    assert response.json["title"]
    assert response.json["detail"]
    code = response.json["code"]
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    assert (f'error="{code}"' in challenge) == (code != "missing_token")  # section 3.1
    assert 'scope="account"' in challenge
    return code


def test_the_account_is_described(rp, tokens, ada):
    response = ask(rp, tokens)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json == {
        "sub": ada.id,
        "client_id": rp.metadata.client_id,
        "name": "Ada Lovelace",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "preferred_username": "ada",
        "email": "ada@example.org",
        "email_verified": True,
        "roles": ["admin", "writer"],
        "updated_at": ada.updated_at,
    }


def test_who_has_no_roles_has_an_empty_list(rp, make_user):
    make_user("bob")
    assert ask(rp, rp.log_in("bob", scope="openid account")).json["roles"] == []


def test_it_tells_what_is_true_now(rp, tokens, ada, db):
    ada.family_name = "King"
    db.add(ada)
    db.commit()
    assert ask(rp, tokens).json["name"] == "Ada King"


def test_an_id_token_is_no_access_token(rp, tokens):
    assert problem_of(ask(rp, tokens.id_token), 401) == "invalid_token"


def test_it_is_dead_after_sign_out(rp, tokens):
    rp.log_out(tokens.id_token)
    assert problem_of(ask(rp, tokens), 401) == "invalid_token"


def test_it_is_dead_when_the_account_is_disabled(rp, tokens, db, ada):
    users.disable_user(db, OPERATOR, ada.id)
    db.commit()
    assert problem_of(ask(rp, tokens), 401) == "invalid_token"


def test_it_is_dead_when_the_password_was_changed(rp, tokens, db, settings, ada):
    passwords.set_password(db, settings, OPERATOR, ada.id, "another fine old password")
    db.commit()
    assert problem_of(ask(rp, tokens), 401) == "invalid_token"


def test_it_is_dead_when_it_was_given_back(rp, tokens):
    rp.revoke(tokens.access_token)
    assert problem_of(ask(rp, tokens), 401) == "invalid_token"


def test_it_is_dead_when_it_expired(rp, clock, settings, tokens):
    clock.advance(settings.access_token_lifetime)
    assert problem_of(ask(rp, tokens), 401) == "invalid_token"


def test_asking_is_activity_written_at_most_every_five_minutes(relying_party, ada, clock, db):
    rp = relying_party(access_token_lifetime=3_600)
    tokens = rp.log_in(scope="openid account")
    session = db.query(BrowserSession).one()
    began = session.last_seen_at
    seen = []
    for _ in range(2 * TOUCH_EVERY // 60):
        clock.advance(60)
        assert ask(rp, tokens).status_code == 200
        db.refresh(session)
        seen.append(session.last_seen_at - began)
    assert TOUCH_EVERY == 300
    assert seen == [0, 0, 0, 0, 300, 300, 300, 300, 300, 600]


def test_asking_keeps_a_session_alive(relying_party, ada, clock, settings):
    rp = relying_party(is_access_token_session_bound=True)
    tokens = rp.log_in(scope="openid account")
    for _ in range(3):
        clock.advance(settings.session_idle_lifetime - 1)
        assert ask(rp, tokens).status_code == 200
    clock.advance(settings.session_idle_lifetime)
    assert ask(rp, tokens).status_code == 401


def test_an_app_that_looks_of_its_own_accord_keeps_no_session_alive(relying_party, ada, clock, settings):
    rp = relying_party(is_access_token_session_bound=True)
    tokens = rp.log_in(scope="openid account")
    clock.advance(settings.session_idle_lifetime - 1)
    assert ask(rp, tokens, **{"Idp-Passive": "1"}).status_code == 200
    clock.advance(1)
    assert ask(rp, tokens, **{"Idp-Passive": "1"}).status_code == 401
