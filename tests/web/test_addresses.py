"""Addresses of our own pages: built from a table where nothing in them varies, and the same as Werkzeug's."""

from dataclasses import replace

import pytest
from flask import Flask, url_for


def fixed_endpoints(app):
    return {rule.endpoint for rule in app.url_map.iter_rules() if "<" not in rule.rule}


@pytest.mark.parametrize("root", ["", "/login"])
@pytest.mark.parametrize(
    "query", [{}, {"i": "a b&c=ä", "empty": "", "none": None, "number": 3}, {"next": "/account?x=1"}]
)
def test_addresses_are_those_of_werkzeug(app, root, query):
    with app.test_request_context("/", environ_overrides={"SCRIPT_NAME": root}) as context:
        adapter = Flask.create_url_adapter(app, context.request)
        for endpoint in fixed_endpoints(app):
            path, _, rest = adapter.build(endpoint, query).partition("?")
            ours, _, our_rest = url_for(endpoint, **query).partition("?")
            assert ours == path
            assert sorted(our_rest.replace("%2F", "/").split("&")) == sorted(rest.replace("%2F", "/").split("&"))


def test_what_varies_in_nothing_is_built_from_the_table(app):
    with app.test_request_context("/sign-in") as context:
        assert url_for("show_sign_in", v=1, none=None) == "/sign-in?v=1"
        assert context.url_adapter is None
        url_for("show_client_logo", **logo_of(app))
        assert context.url_adapter is not None


def test_pages_below_a_path_load_what_is_there_whoever_came_first(settings, make_app):
    browser = make_app(replace(settings, issuer="http://localhost:8000/login")).test_client()
    assert browser.get("/elsewhere").status_code == 404
    page = browser.get("/login/sign-in").text
    assert 'href="/login/brand/pages.css?v=' in page


def test_what_varies_and_what_flask_knows_is_left_to_flask(app):
    with app.test_request_context("/"):
        assert url_for("show_sign_in", _anchor="top").endswith("/sign-in#top")
        assert url_for("show_sign_in", _external=True).startswith("http")
        assert url_for("show_client_logo", **logo_of(app)).startswith("/")


def logo_of(app):
    (rule,) = [each for each in app.url_map.iter_rules() if each.endpoint == "show_client_logo"]
    return dict.fromkeys(rule.arguments, "x")
