"""What a login may cost: statements and commits, counted."""

import pytest

from tests.request_objects import public_jwks, signed

MOST_STATEMENTS = 2  # one to look, one to write
MOST_COMMITS = 1


def assert_affordable(rp, counted, further=0, **changes):
    """A signed-in browser comes from an app and the app redeems the code.

    Args:
        further: statements that what the app gets costs besides.
    """
    with counted() as traffic:
        answer = rp.ask(**changes)
        response = rp.request_tokens(answer.code)
    assert response.status_code == 200
    shown = "\n\n".join(traffic.statements)
    assert len(traffic.statements) <= MOST_STATEMENTS + further, shown
    assert traffic.commits <= MOST_COMMITS
    return response.json


def test_a_trusted_app_with_claims_in_the_id_token(relying_party, ada, counted):
    rp = relying_party(has_id_token_claims=True)
    rp.log_in(scope="openid profile email roles")
    assert_affordable(rp, counted, further=1, scope="openid profile email roles")


def test_an_app_with_remembered_consent(stranger, counted):
    stranger.log_in(scope="openid profile email")
    assert_affordable(stranger, counted, scope="openid profile email")


def test_an_app_as_streamlit_needs_it(relying_party, ada, counted):
    rp = relying_party(
        has_id_token_claims=True,
        is_access_token_session_bound=True,
        is_pkce_required=True,
        grant_types=("authorization_code",),
    )
    rp.log_in(scope="openid profile email roles account")
    assert_affordable(rp, counted, further=1, scope="openid profile email roles account")


def test_an_app_that_gets_a_refresh_token(rp, counted):
    rp.log_in(scope="openid offline_access")
    assert "refresh_token" in assert_affordable(rp, counted, further=1, scope="openid offline_access")


def test_a_refresh(rp, counted):
    tokens = rp.refresh(rp.log_in(scope="openid offline_access").refresh_token)
    with counted() as traffic:
        response = rp.request_refresh(tokens.refresh_token)
    assert response.status_code == 200
    assert len(traffic.statements) == 3, traffic.statements  # one to look, one for each token
    assert traffic.commits == 1


@pytest.mark.parametrize(("is_own", "most"), [(True, 1), (False, 2)])
def test_an_introspection(rp, relying_party, counted, is_own, most):
    token = rp.log_in(scope="openid").access_token
    asking = rp if is_own else relying_party()
    asking.introspect(token)
    with counted() as traffic:
        assert asking.introspect(token)["active"] is is_own
    assert len(traffic.statements) == most, traffic.statements


def test_an_answer_that_is_posted_costs_no_more(rp, counted):
    rp.log_in()
    assert_affordable(rp, counted, response_mode="form_post")


def test_a_request_that_was_pushed(rp, counted):
    rp.log_in()
    request_uri = rp.push()
    with counted() as traffic:
        answer = rp.read_answer(rp.send_pushed(request_uri))
        assert rp.request_tokens(answer.code).status_code == 200
    assert len(traffic.statements) <= MOST_STATEMENTS + 1, traffic.statements
    assert traffic.commits <= MOST_COMMITS + 1  # the request is claimed by the browser that brings it


def test_a_request_that_waits_for_somebody_is_charged_and_parked_at_once(rp, counted):
    rp.send()
    with counted() as traffic:
        assert rp.send().status_code == 303
    assert len(traffic.statements) == 3, traffic.statements  # the app's version, the charge, the request
    assert traffic.commits == 1


def test_pushing_costs_two_statements(rp, counted):
    rp.push()
    with counted() as traffic:
        rp.push()
    assert len(traffic.statements) == 2, traffic.statements
    assert traffic.commits == 1


def test_a_signed_request_costs_no_more(relying_party, ada, counted):
    rp = relying_party(jwks=public_jwks())
    rp.log_in()
    with counted() as traffic:
        answer = rp.read_answer(rp.send_object(signed))
        assert rp.request_tokens(answer.code).status_code == 200
    assert len(traffic.statements) <= MOST_STATEMENTS, traffic.statements


@pytest.mark.parametrize("path", ["/oauth/jwks", "/.well-known/openid-configuration"])
def test_public_documents_never_touch_the_database(rp, counted, path):
    rp.fetch(path)
    with counted() as traffic:
        for _ in range(3):
            rp.fetch(path)
    assert traffic.statements == []
    assert traffic.commits == 0


def test_userinfo_costs_one_statement(rp, counted):
    tokens = rp.log_in(scope="openid profile")
    with counted() as traffic:
        rp.userinfo(tokens)
    assert len(traffic.statements) == 1


def test_a_refusal_before_anything_is_known_costs_one_statement(rp, counted):
    with counted() as traffic:
        assert rp.send(client_id="nobody").status_code == 400
    assert len(traffic.statements) == 1
