"""Every parameter, header, method and body of every endpoint of the protocol, spoiled (RFC 9700 section 4, OWASP).

The endpoints are those that the application has, and the parameters those that its source reads: whatever is added is
attacked without being named here.
"""

import base64
import json
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oidc.hostile.attacking import MARK, VALUES, assert_harmless, parameter_names, protocol_rules

FORM = "application/x-www-form-urlencoded"
quickly = settings(max_examples=30, suppress_health_check=list(HealthCheck))
NAMES = st.sampled_from(parameter_names()).map(str.encode)
SPOILED = st.one_of(
    st.sampled_from(VALUES),
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda t: t.encode("utf-8", "surrogatepass")),
)
HEADER_VALUES = (
    *("", " ", "x" * 9_000, "\xff\xfe", '"', "a, b", "Basic", "Basic \xff", "Basic Og==", "Bearer", "DPoP \xff"),
    *("Bearer idp_at_" + "x" * 43, "Bearer ..", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer a b", ";q=;,,"),
    *(f"<script>{MARK}</script>", "*/*;q=nan", "bytes=0-1", 'W/"x"', "gzip;q=9", "de-\xff", "\xc4\xb0"),
    "Basic " + base64.b64encode(b"a\x00b:\xff\xfe").decode(),
    "Basic " + base64.b64encode(b"%00:%ff").decode(),
)  # fmt: skip
HEADERS = (
    *("AUTHORIZATION", "DPOP", "COOKIE", "HOST", "ORIGIN", "REFERER", "USER_AGENT", "ACCEPT", "ACCEPT_LANGUAGE"),
    *("X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "IF_NONE_MATCH", "RANGE", "ACCEPT_ENCODING"),
    *("X_HTTP_METHOD_OVERRIDE", "X_ORIGINAL_URL", "CONTENT_ENCODING", "EXPECT", "TE", "IDEMPOTENCY_KEY"),
)  # fmt: skip


@pytest.fixture(params=[False, True], ids=["nobody", "ada"])
def victim(target, request):
    """The app, and a browser in which nobody is signed in, or Ada."""
    if request.param:
        target.log_in()
    return target


def encoded(pairs):
    """Encode parameters that need not be text."""
    return "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in pairs)


def sound(rp, path, method):
    """Return what a sound request to an endpoint holds at least, so that spoiled ones get beyond its front door."""
    asked = [(name.encode(), value.encode()) for name, value in rp.authorization_parameters().items()]
    own = [(b"client_id", rp.metadata.client_id.encode()), (b"client_secret", (rp.secret or "").encode())]
    if path.startswith("/oauth/authorize"):
        return asked
    if path.startswith("/oauth/par"):
        return [*own, *(pair for pair in asked if pair[0] != b"client_id")]
    return own if method == "POST" and not path.startswith(("/oauth/userinfo", "/oauth/end-session", "/device")) else []


def send(rp, path, method, pairs):
    """Send parameters in the query, or in a form where the method has a body."""
    if method == "POST":
        return rp.browser.post(path, data=encoded(pairs), content_type=FORM)
    return rp.browser.open(path, method=method, query_string=encoded(pairs))


def test_there_is_much_to_attack(app):
    """The walk finds what there is."""
    found = {path for path, _ in protocol_rules(app)}
    assert {"/oauth/authorize", "/oauth/par", "/oauth/token", "/oauth/register", "/oauth/end-session"} <= found
    assert {"code_verifier", "client_assertion", "post_logout_redirect_uri", "request_uri"} <= set(parameter_names())


def test_spoiled_parameters(victim):
    """Mutation of every parameter: one or two values of a sound request spoiled, doubled or left out."""

    def attack(path, method):
        @quickly
        @given(
            st.lists(st.tuples(NAMES, SPOILED, st.sampled_from(["replace", "double", "drop"])), min_size=1, max_size=2)
        )
        def spoil(wanted):
            pairs = sound(victim, path, method)
            for name, value, how in wanted:
                kept = pairs if how == "double" else [pair for pair in pairs if pair[0] != name]
                pairs = kept if how == "drop" else [*kept, (name, value)]
            assert_harmless(send(victim, path, method, pairs), victim)

        spoil()

    for path, method in protocol_rules(victim.browser.application):
        attack(path, method)


def test_spoiled_grants(target):
    """Mutation of the token request, for every grant that discovery names."""

    def attack(grant_type):
        @quickly
        @given(st.lists(st.tuples(NAMES, SPOILED), max_size=4))
        def spoil(wanted):
            pairs = [*sound(target, "/oauth/token", "POST"), (b"grant_type", grant_type.encode()), *wanted]
            response = send(target, "/oauth/token", "POST", pairs)
            assert_harmless(response, target)
            assert response.status_code in (400, 401, 413)  # the last: two of the longest values at once

        spoil()

    for grant_type in target.discovery["grant_types_supported"]:
        attack(grant_type)


def test_spoiled_headers(victim):
    """Mutation of every header that is read, and of some that other servers read."""

    def attack(path, method):
        @settings(quickly, max_examples=15)
        @given(st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(HEADER_VALUES), min_size=1, max_size=2))
        def spoil(headers):
            browser = victim.browser.application.test_client(use_cookies="COOKIE" not in headers)
            environ = {f"HTTP_{name}": value for name, value in headers.items()}
            sent = encoded(sound(victim, path, method))
            given = {"data": sent, "content_type": FORM} if method == "POST" else {"query_string": sent}
            response = browser.open(path, method=method, environ_overrides=environ, **given)
            assert_harmless(response, victim)

        spoil()

    for path, method in protocol_rules(victim.browser.application):
        attack(path, method)


@pytest.mark.parametrize(
    "kind",
    [
        *(FORM, "application/json", "multipart/form-data; boundary=x", "text/plain", "application/xml", ""),
        *("a/b; charset=\xff", FORM + "; charset=utf-16"),
    ],
)
def test_bodies_of_another_kind(target, kind):
    """JSON in forms, forms in JSON, nested without end, cut in the middle, and with numbers where lists belong."""
    bodies = (
        *(b"", b"{}", b"[]", b"null", b'"x"', b"1", b"[" * 30_000, b'{"a":' * 9_000, b"\xff\xfe{}", b"{\x00}", b'{"a"'),
        *(b'{"redirect_uris": 1}', b'{"redirect_uris": [1, null]}', b'{"redirect_uris": {"a": []}, "jwks": 5}'),
        *(b'{"client_id": "x", "client_id": "y"}', b'{"redirect_uris": ["https://a.test/"], "default_max_age": 1e9}'),
        *(b'{"redirect_uris": ["\\ud800"], "client_name": "\\u0000"}', b'{"grant_type": "client_credentials"}'),
        *(b"a" * 60_000, b"a=1&" * 200, b"=&=&;=%", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--x--"),
    )  # fmt: skip
    for path, method in protocol_rules(target.browser.application):
        if method in ("POST", "PUT"):
            for body in bodies:
                assert_harmless(target.browser.open(path, method=method, data=body, content_type=kind), target)


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE", "CONNECT", "x", "GET2"]
)
def test_wrong_methods(target, method):
    """A method that an endpoint does not have changes nothing, and is answered 405 (RFC 9110 section 15.5.6)."""
    rules = set(protocol_rules(target.browser.application))
    for path in {path for path, _ in rules}:
        if (path, method) not in rules:
            response = target.browser.open(path, method=method)
            assert response.status_code == 405
            assert_harmless(response, target)


def test_spoiled_registrations(target):
    """Mutation of every member of a client's metadata (RFC 7591 section 5): a wrong type, a hostile text, nesting."""
    from idp.oidc.client_document import OF_SOFTWARE

    texts = st.sampled_from(VALUES).map(lambda value: value.decode("utf-8", "replace"))
    value = st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**70), 2**70),
            st.floats(allow_nan=False),
            texts,
            st.text(max_size=5),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
        max_leaves=4,
    )
    members = st.sampled_from(sorted({*OF_SOFTWARE, "scope", "client_id", "client_secret", "software_statement", "x"}))

    @settings(quickly, max_examples=80)
    @given(st.dictionaries(members, value, min_size=1, max_size=3))
    def attack(changes):
        document = json.dumps({"redirect_uris": ["https://new.example.org/callback"], **changes})
        for raw in (document.encode(), document.encode("utf-8", "replace")):
            response = target.browser.post("/oauth/register", data=raw, content_type="application/json")
            assert response.status_code in (201, 400, 429), response.text
            assert_harmless(response, target)

    attack()


def test_nothing_that_is_sent_becomes_markup(target):
    """Cross-site scripting by any parameter of any page (OWASP): what comes back is text."""
    hostile = [value for value in VALUES if MARK.encode() in value]
    pages = [rule for rule in target.browser.application.url_map.iter_rules() if "GET" in (rule.methods or ())]
    fields = [
        *parameter_names(),
        "i",
        "next",
        "notice",
        "outcome",
        "user_code",
        "username",
        "email",
        "lang",
        "v",
        "token",
    ]
    for rule in pages:
        path = rule.rule.partition("<")[0] + ("x" if rule.arguments else "")
        for value in hostile:
            query = encoded([(name.encode(), value) for name in fields])
            assert_harmless(target.browser.get(path, query_string=query), target)
    for path in (
        "/%3Cscript%3Ehostile-mark%3C/script%3E",
        "/oauth/authorize/%22%3E%3Cimg%20src=x%20onerror=hostile-mark%3E",
    ):
        assert_harmless(target.browser.get(path), target)
