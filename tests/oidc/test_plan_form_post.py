"""The OpenID Foundation's Form Post OP plan: every row of Basic with response_mode=form_post, errors included."""

import pytest

from tests.oidc.test_plan_basic import *  # noqa: F403 - each row of Basic is a row here, with the fixtures below


@pytest.fixture
def relying_party(relying_party):
    """Apps that want every answer posted to them."""

    def make(browser=None, **metadata):
        party = relying_party(browser, **metadata)
        party.defaults = {"response_mode": "form_post"}
        return party

    return make


def test_oidcc_discovery_lists_form_post(rp):
    assert "form_post" in rp.discovery["response_modes_supported"]
