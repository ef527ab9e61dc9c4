"""A strict relying party: drives whole journeys through the provider, and believes nothing that it has not checked."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from joserfc import jwe, jws
from joserfc.jwk import Key, KeySet, OctKey
from werkzeug.test import Client, TestResponse

from idp import clock
from idp.oidc.clients import ClientMetadata
from idp.oidc.signatures import registry
from tests.factories import PASSWORD

LEEWAY = 5  # seconds
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
USUAL_ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "oct": "HS256"}
SIGNATURES = [f"{kind}{size}" for kind in ("RS", "PS", "ES", "HS") for size in (256, 384, 512)] + ["EdDSA", "Ed25519"]


class Forms(HTMLParser):
    """The forms of a page with their fields and buttons."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms, inputs and buttons."""
        given = dict(attrs)
        if tag == "form":
            self.found.append({"action": given.get("action") or "", "fields": {}, "buttons": [], "inputs": {}})
        elif self.found and tag == "input" and given.get("name"):
            self.found[-1]["fields"][given["name"]] = given.get("value") or ""
            self.found[-1]["inputs"][given["name"]] = given
        elif self.found and tag == "button":
            self.found[-1]["buttons"].append(given)


def the_form(page: str) -> dict[str, Any]:
    """Return the main form of a page: the one with a button of ours, or the first."""
    forms = Forms(page).found
    assert forms, f"no form on the page: {page[:400]}"
    wanted = {"login-submit", "consent-allow", "logout-confirm"}
    return next((form for form in forms if any(button.get("id") in wanted for button in form["buttons"])), forms[0])


@dataclass
class AuthorizationResponse:
    """What came back to the redirect URI, checked for state and issuer; and the claims of an ID token among it."""

    parameters: dict[str, str]
    claims: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The code; there must be one."""
        assert "code" in self.parameters, f"no code: {self.parameters}"
        return self.parameters["code"]

    @property
    def error(self) -> str | None:
        """The error, if it is one."""
        return self.parameters.get("error")


@dataclass
class Tokens:
    """A token response, checked."""

    response: dict[str, Any]
    claims: dict[str, Any] = field(default_factory=dict)

    @property
    def access_token(self) -> str:
        """The access token."""
        return str(self.response["access_token"])

    @property
    def refresh_token(self) -> str:
        """The refresh token; there must be one."""
        return str(self.response["refresh_token"])

    @property
    def id_token(self) -> str:
        """The ID token; there must be one."""
        return str(self.response["id_token"])


class RelyingParty:
    """One app and one browser in front of the provider.

    Args:
        browser: a test client with its cookies.
        issuer: whom to trust.
        metadata: how the app is registered.
        secret: its secret; None for a public client.
        key: its private key, where it proves itself by one.
    """

    def __init__(
        self, browser: Client, issuer: str, metadata: ClientMetadata, secret: str | None, key: Key | None = None
    ) -> None:
        self.browser = browser
        self.issuer = issuer
        self.metadata = metadata
        self.secret = secret
        self.key = key
        self.encryption_key: Key | None = None
        self.dpop_key: Key | None = None  # binds its tokens, where it has one
        self.dpop_nonce: str | None = None
        self.redirect_uri = metadata.redirect_uris[0] if metadata.redirect_uris else ""
        self.state = ""
        self.nonce: str | None = ""
        self.verifier: str | None = ""
        self.defaults: dict[str, str | None] = {}  # what it sends in every request beside the usual
        self.response_type = "code"
        self.response_mode = "query"
        self.discovery = self.fetch(urlsplit(issuer).path + "/.well-known/openid-configuration")
        assert self.discovery["issuer"] == issuer

    def in_another_browser(self) -> "RelyingParty":
        """Return the same app in front of the same provider, in a browser that shares nothing with this one."""
        browser = self.browser.application.test_client()  # type: ignore[attr-defined]
        return RelyingParty(browser, self.issuer, self.metadata, self.secret, self.key)

    # -- HTTP -------------------------------------------------------------------

    def path(self, endpoint: str) -> str:
        """Return the path of an endpoint that discovery names."""
        url = self.discovery[endpoint]
        assert url.startswith(self.issuer)
        return urlsplit(url).path

    def fetch(self, path: str) -> dict[str, Any]:
        """Get a JSON document."""
        response = self.browser.get(path)
        assert response.status_code == 200, response.text
        assert response.mimetype == "application/json"
        document: dict[str, Any] = json.loads(response.data)
        return document

    def keys(self) -> KeySet:
        """Return the provider's public keys."""
        return KeySet.import_key_set(self.fetch(self.path("jwks_uri")))  # type: ignore[arg-type]

    # -- The authorization request ------------------------------------------------

    def authorization_parameters(self, **changes: str | None) -> dict[str, str]:
        """Return a fresh, correct request; `name=None` leaves a parameter out."""
        self.state, self.nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.verifier = secrets.token_urlsafe(48)
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.metadata.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": s256(self.verifier),
            "code_challenge_method": "S256",
            **self.defaults,
            **changes,
        }
        sent = {name: value for name, value in parameters.items() if value is not None}
        self.state = sent.get("state", "")
        self.nonce = sent.get("nonce")
        if "code_challenge" not in sent:
            self.verifier = None
        self.response_type = sent.get("response_type", "")
        has_tokens = bool({"token", "id_token"} & set(self.response_type.split()))
        self.response_mode = default = "fragment" if has_tokens else "query"
        asked = sent.get("response_mode", default)
        if asked in ("query", "fragment", "form_post") and not (has_tokens and asked == "query"):
            self.response_mode = asked
        return sent

    def send(self, *, method: str = "GET", **changes: str | None) -> TestResponse:
        """Send an authorization request; returns the provider's first answer."""
        parameters = self.authorization_parameters(**changes)
        if method == "POST":
            return self.browser.post(self.path("authorization_endpoint"), data=parameters)
        return self.browser.get(
            self.path("authorization_endpoint"), query_string=urlencode(parameters, quote_via=quote)
        )

    def push(self, *, method: str = "", **changes: str | None) -> str:
        """Push an authorization request (RFC 9126); returns its `request_uri`."""
        response = self.request_push(method=method, **changes)
        assert response.status_code == 201, f"{response.status_code}: {response.text}"
        assert response.mimetype == "application/json"
        assert "no-store" in response.headers["Cache-Control"]
        answer = json.loads(response.data)
        assert set(answer) == {"request_uri", "expires_in"}
        assert isinstance(answer["expires_in"], int)
        assert answer["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
        return str(answer["request_uri"])

    def request_push(self, *, method: str = "", **changes: str | None) -> TestResponse:
        """Send a request to the pushed authorization request endpoint, whatever comes of it."""
        parameters = self.authorization_parameters(**changes)
        return self.post("pushed_authorization_request_endpoint", method, **parameters)

    def send_pushed(self, request_uri: str, **beside: str) -> TestResponse:
        """Send the browser with the reference to a pushed request."""
        sent = {"client_id": self.metadata.client_id, "request_uri": request_uri, **beside}
        return self.browser.get(self.path("authorization_endpoint"), query_string=urlencode(sent, quote_via=quote))

    def send_object(
        self, make: Callable[[dict[str, Any]], str], *, beside: Mapping[str, str] | None = None, **changes: str | None
    ) -> TestResponse:
        """Send an authorization request as a request object (RFC 9101).

        Args:
            make: signs the object's claims.
            beside: what stands beside the object; by default what OpenID Connect wants there.
        """
        claims = {"iss": self.metadata.client_id, "aud": self.issuer, **self.authorization_parameters(**changes)}
        outside = {name: str(claims[name]) for name in ("client_id", "response_type", "scope") if name in claims}
        sent = {**(outside if beside is None else beside), "request": make(claims)}
        return self.browser.get(self.path("authorization_endpoint"), query_string=urlencode(sent, quote_via=quote))

    def ask(self, **changes: str | None) -> AuthorizationResponse:
        """Send a request that needs nobody: the answer must come at once, without a page in between."""
        return self.read_answer(self.send(**changes))

    def follow(self, response: TestResponse) -> TestResponse:
        """Follow redirects inside the provider; stop at a page, or where the browser leaves for the app."""
        for _ in range(10):
            location = response.headers.get("Location", "")
            if response.status_code not in (302, 303) or not self.is_ours(location):
                return response
            assert response.status_code == 303
            target = urlsplit(location)
            response = self.browser.get(target.path + (f"?{target.query}" if target.query else ""))
        raise AssertionError("the provider redirects in circles")

    def is_ours(self, location: str) -> bool:
        """Tell whether a URL is the provider's."""
        is_path = location.startswith("/") and not location.startswith("//")
        return is_path or location == self.issuer or location.startswith(self.issuer + "/")

    def submit(self, page: TestResponse, button: str = "", **fields: str) -> TestResponse:
        """Fill in the page's form and send it, by the button with this id."""
        form = the_form(page.text)
        data = {**form["fields"], **fields}
        for given in form["buttons"]:
            if given.get("name") and (given.get("id") == button or given.get("value") == button):
                data[given["name"]] = given.get("value") or ""
        path = form["action"] or urlsplit(page.request.url).path
        return self.browser.post(path, data=data)

    def read_answer(self, response: TestResponse) -> AuthorizationResponse:
        """Check what the browser brings back to the app (RFC 6749 section 4.1.2, RFC 9207, OIDC Core section 3.3.2)."""
        pairs = self._read_form(response) if self.response_mode == "form_post" else self._read_redirect(response)
        answer = dict(pairs)
        assert len(answer) == len(pairs), f"repeated parameters: {pairs}"
        assert answer.get("state", "") == self.state
        assert answer["iss"] == self.issuer
        if "error" in answer:
            assert set(answer) <= {"error", "error_description", "state", "iss", "session_state"}
            assert is_printable(answer.get("error_description", ""))
            return AuthorizationResponse(answer)
        words = self.response_type.split()
        assert ("code" in answer) == ("code" in words), answer
        assert ("access_token" in answer) == ("token" in words), answer
        assert ("id_token" in answer) == ("id_token" in words), answer
        if "code" in answer:
            assert len(answer["code"]) >= 22
        if "access_token" in answer:
            assert answer["token_type"] == "Bearer"
            assert int(answer["expires_in"]) > 0
        claims = {}
        if "id_token" in answer:
            claims = self.check_id_token(
                answer["id_token"],
                access_token=answer.get("access_token"),
                nonce=self.nonce,
                code=answer.get("code"),
            )
        return AuthorizationResponse(answer, claims)

    def _read_redirect(self, response: TestResponse) -> list[tuple[str, str]]:
        """Return the parameters of a redirect: in the query or in the fragment, never in both."""
        if 'id="error-back"' in response.text:  # a page says first that the app is full
            assert response.status_code == 403
            assert "concurrent" in response.text
            location = unescape(re.findall(r'id="error-back" href="([^"]*)"', response.text)[0])
        else:
            assert response.status_code == 303, f"{response.status_code}: {response.text[:1500]}"
            location = response.headers["Location"]
        target = urlsplit(location)
        own = urlsplit(self.redirect_uri)
        assert (target.scheme, target.netloc, target.path) == (own.scheme, own.netloc, own.path), location
        registered = parse_qsl(own.query)
        if self.response_mode == "fragment":
            assert target.query == own.query, location
            return parse_qsl(target.fragment, keep_blank_values=True, strict_parsing=True)
        assert not target.fragment
        pairs = parse_qsl(target.query, keep_blank_values=True, strict_parsing=True)
        assert pairs[: len(registered)] == registered
        return pairs[len(registered) :]

    def _read_form(self, response: TestResponse) -> list[tuple[str, str]]:
        """Return the fields of a page that the browser posts to the app (OAuth 2.0 Form Post Response Mode)."""
        assert response.status_code == 200, f"{response.status_code}: {response.text[:1500]}"
        assert response.mimetype == "text/html"
        assert "no-store" in response.headers["Cache-Control"]
        (form,) = Forms(response.text).found
        assert form["action"] == self.redirect_uri
        assert 'method="post"' in response.text
        assert {given["type"] for given in form["inputs"].values()} == {"hidden"}
        (button,) = form["buttons"]  # for who has no JavaScript
        assert "hidden" not in button
        (script,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = response.headers["Content-Security-Policy"]
        assert f"script-src 'sha256-{digest}'" in policy
        assert "form-action" not in policy
        return list(form["fields"].items())

    # -- Journeys ---------------------------------------------------------------------

    def authorize(
        self,
        username: str = "ada",
        password: str = PASSWORD,
        *,
        sent: TestResponse | None = None,
        **changes: str | None,
    ) -> AuthorizationResponse:
        """Go all the way, as a willing person does: sign in, choose the account, allow."""
        response = self.follow(sent or self.send(**changes))
        for _ in range(6):
            if response.status_code in (303, 403) or is_posted_to_app(response):
                return self.read_answer(response)
            assert response.status_code == 200, f"{response.status_code}: {response.text[:1500]}"
            if 'id="login-submit"' in response.text:
                response = self.submit(response, "login-submit", username=username, password=password)
            elif 'id="consent-allow"' in response.text:
                response = self.submit(response, "consent-allow")
            else:
                response = self.submit(response, "continue")
            response = self.follow(response)
        raise AssertionError("no end to the pages")

    def log_in(self, username: str = "ada", password: str = PASSWORD, **changes: str | None) -> Tokens:
        """Authorize and redeem the code."""
        return self.redeem(self.authorize(username, password, **changes).code)

    def sign_in_page(self, **changes: str | None) -> TestResponse:
        """Ask for sign-in and stop at the page."""
        page = self.follow(self.send(**changes))
        assert page.status_code == 200, page.text[:1500]
        assert 'id="login-submit"' in page.text
        return page

    def sign_in(self, page: TestResponse, username: str = "ada", password: str = PASSWORD) -> TestResponse:
        """Fill in the sign-in page, and follow to the next page or to the app."""
        return self.follow(self.submit(page, "login-submit", username=username, password=password))

    # -- The token endpoint ------------------------------------------------------------

    def post(self, endpoint: str, method: str = "", **form: str | None) -> TestResponse:
        """Call an endpoint as this client; `method` is how it authenticates."""
        response = self._post(endpoint, method, form)
        if self.dpop_key is not None and self._learns_nonce(response, 400):
            response = self._post(endpoint, method, form)
        return response

    def _post(self, endpoint: str, method: str, form: dict[str, str | None]) -> TestResponse:
        method = method or self.metadata.token_endpoint_auth_method
        headers = {}
        data = {name: value for name, value in form.items() if value is not None}
        if method == "client_secret_basic":
            pair = f"{quote(self.metadata.client_id, safe='')}:{quote(self.secret or '', safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif method == "client_secret_post":
            data |= {"client_id": self.metadata.client_id, "client_secret": self.secret or ""}
        elif method == "none":
            data |= {"client_id": self.metadata.client_id}
        elif method in ("private_key_jwt", "client_secret_jwt"):
            data |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion(method)}
        if self.dpop_key is not None:
            headers["DPoP"] = self.proof("POST", self.discovery[endpoint])
        return self.browser.post(self.path(endpoint), data=data, headers=headers)

    def assertion(self, method: str = "", key: Key | None = None, algorithm: str = "", **changes: Any) -> str:
        """Make a client assertion (RFC 7523 section 2.2); `name=None` leaves a claim out, `header` adds to it.

        Args:
            key: signs it; by default the app's own key or its secret.
            algorithm: by default the usual one of that key.
        """
        if key is None:
            is_mac = (method or self.metadata.token_endpoint_auth_method) == "client_secret_jwt"
            key = OctKey.import_key(self.secret or "") if is_mac else self.key
        assert key is not None, "the app has no key"
        now = clock.now()
        client_id = self.metadata.client_id
        claims = {"iss": client_id, "sub": client_id, "aud": self.issuer, "jti": secrets.token_urlsafe(16)}
        claims |= {"iat": now, "exp": now + 60}
        header = {"alg": algorithm or USUAL_ALGORITHMS[key.key_type], **changes.pop("header", {})}
        if key.kid:
            header.setdefault("kid", key.kid)
        return sign(header, {**claims, **changes}, key)

    def proof(
        self, method: str, url: str, access_token: str | None = None, key: Key | None = None, **changes: Any
    ) -> str:
        """Make a DPoP proof (RFC 9449 section 4.2); `name=None` leaves a claim out, `header` adds to it."""
        key = key or self.dpop_key
        assert key is not None, "the app has no key for proofs"
        claims = {"htm": method, "htu": url, "iat": clock.now(), "jti": secrets.token_urlsafe(16)}
        claims |= {"nonce": self.dpop_nonce}
        if access_token is not None:
            claims["ath"] = base64url(hashlib.sha256(access_token.encode()).digest())
        header = {"typ": "dpop+jwt", "alg": USUAL_ALGORITHMS[key.key_type], "jwk": key.as_dict(private=False)}
        header |= changes.pop("header", {})
        return sign(header, {**claims, **changes}, key)

    def _learns_nonce(self, response: TestResponse, status: int) -> bool:
        """Remember the nonce that an answer brings; tell whether the request is to be repeated with it (section 8)."""
        if nonce := response.headers.get("DPoP-Nonce"):
            assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", nonce)
            self.dpop_nonce = nonce
        if response.status_code != status or not response.is_json or response.json.get("error") != "use_dpop_nonce":
            return False
        assert response.headers["DPoP-Nonce"]
        return True

    def request_tokens(self, code: str, **changes: str | None) -> TestResponse:
        """Send the token request for a code."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.post("token_endpoint", **form)

    def redeem(self, code: str) -> Tokens:
        """Redeem a code and check all that comes of it."""
        return self.read_tokens(self.request_tokens(code), nonce=self.nonce)

    def refresh(self, refresh_token: str, **changes: str | None) -> Tokens:
        """Refresh, and check all that comes of it."""
        return self.read_tokens(self.request_refresh(refresh_token, **changes))

    def request_refresh(self, refresh_token: str, **changes: str | None) -> TestResponse:
        """Send a refresh request."""
        form: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes}
        return self.post("token_endpoint", **form)

    def read_tokens(self, response: TestResponse, nonce: str | None = None) -> Tokens:
        """Check a token response (RFC 6749 section 5.1, OIDC Core section 3.1.3.3)."""
        assert response.status_code == 200, f"{response.status_code}: {response.text}"
        assert response.mimetype == "application/json"
        assert "no-store" in response.headers["Cache-Control"]
        answer: dict[str, Any] = json.loads(response.data)
        assert answer["token_type"] == ("DPoP" if self.dpop_key else "Bearer")
        assert isinstance(answer["expires_in"], int)
        assert answer["expires_in"] > 0
        assert len(answer["access_token"]) >= 22
        claims = {}
        if "openid" in answer.get("scope", "openid").split():
            claims = self.check_id_token(answer["id_token"], access_token=answer["access_token"], nonce=nonce)
        else:
            assert "id_token" not in answer
        return Tokens(answer, claims)

    def check_id_token(
        self, token: str, *, access_token: str | None, nonce: str | None, code: str | None = None
    ) -> dict[str, Any]:
        """Check an ID token as OIDC Core section 3.1.3.7 says, and more strictly where it leaves a choice."""
        if self.metadata.id_token_encrypted_response_alg:
            token = self.decrypt(token, "id_token")
        expected = self.metadata.id_token_signed_response_alg or "RS256"
        header = json.loads(decode(token.split(".", maxsplit=1)[0]))
        assert header["alg"] == expected
        keys = self.keys()
        assert header["kid"] in {key.kid for key in keys.keys}, "the kid is not published"
        key = next(key for key in keys.keys if key.kid == header["kid"])
        claims: dict[str, Any] = json.loads(jws.deserialize_compact(token, key, registry=registry([expected])).payload)
        assert claims["iss"] == self.issuer
        assert claims["aud"] == self.metadata.client_id
        assert 0 < len(claims["sub"]) <= 255
        assert claims["sub"].isascii()
        now = clock.now()
        assert abs(claims["iat"] - now) <= LEEWAY
        assert claims["exp"] > now
        assert isinstance(claims["auth_time"], int)
        assert claims["auth_time"] <= now + LEEWAY
        assert claims.get("nonce") == nonce
        assert claims.get("at_hash") == (half_hash(access_token, expected) if access_token else None)
        assert claims.get("c_hash") == (half_hash(code, expected) if code else None)
        assert claims["acr"]
        assert claims["amr"]
        check_values(claims)
        return claims

    def decrypt(self, token: str, what: str, *, content_type: str | None = "JWT") -> str:
        """Decrypt what only this app can read: with the algorithms that it is registered for, and no others."""
        assert self.encryption_key is not None, "the app has no key to decrypt with"
        algorithm = getattr(self.metadata, f"{what}_encrypted_response_alg")
        enc = getattr(self.metadata, f"{what}_encrypted_response_enc") or "A128CBC-HS256"
        opened = jwe.decrypt_compact(token, self.encryption_key, registry=jwe.JWERegistry(algorithms=[algorithm, enc]))
        header = opened.headers()
        assert (header["alg"], header["enc"]) == (algorithm, enc)
        assert header.get("kid") == self.encryption_key.kid
        assert header.get("cty") == content_type
        assert opened.plaintext is not None
        return opened.plaintext.decode()

    # -- What tokens open ------------------------------------------------------------------

    def request_userinfo(self, access_token: str, method: str = "GET") -> TestResponse:
        """Call the UserInfo endpoint with the token in the header; with a proof where it is bound to a key."""
        response = self._request_userinfo(access_token, method)
        if self.dpop_key is not None and self._learns_nonce(response, 401):
            response = self._request_userinfo(access_token, method)
        return response

    def _request_userinfo(self, access_token: str, method: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {access_token}"}
        if self.dpop_key is not None:
            proof = self.proof(method, self.discovery["userinfo_endpoint"], access_token)
            headers = {"Authorization": f"DPoP {access_token}", "DPoP": proof}
        return self.browser.open(self.path("userinfo_endpoint"), method=method, headers=headers)

    def userinfo(self, tokens: Tokens, method: str = "GET") -> dict[str, Any]:
        """Fetch claims and check that they are about the same person."""
        response = self.request_userinfo(tokens.access_token, method)
        assert response.status_code == 200, response.text
        assert response.mimetype == "application/json"
        claims: dict[str, Any] = json.loads(response.data)
        assert claims["sub"] == tokens.claims["sub"]
        check_values(claims)
        return claims

    def introspect(self, token: str) -> dict[str, Any]:
        """Ask whether a token is good."""
        response = self.post("introspection_endpoint", token=token)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = json.loads(response.data)
        assert isinstance(answer["active"], bool)
        return answer

    def revoke(self, token: str, **form: str | None) -> None:
        """Give a token back."""
        response = self.post("revocation_endpoint", token=token, **form)
        assert response.status_code == 200, response.text

    def is_good(self, tokens: Tokens) -> bool:
        """Tell whether an access token opens the UserInfo endpoint; if not, the refusal must have the right form."""
        response = self.request_userinfo(tokens.access_token)
        if response.status_code == 200:
            return True
        assert response.status_code == 401, response.text
        assert error_of(response) == "invalid_token"
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
        return False

    # -- Sign-out ------------------------------------------------------------------------

    def request_logout(self, *, method: str = "GET", **parameters: str | None) -> TestResponse:
        """Send the browser to the end session endpoint."""
        sent = {name: value for name, value in parameters.items() if value is not None}
        path = self.path("end_session_endpoint")
        return self.browser.post(path, data=sent) if method == "POST" else self.browser.get(path, query_string=sent)

    def log_out(self, id_token: str) -> None:
        """Sign out of the provider, as an app with an ID token does."""
        response = self.request_logout(id_token_hint=id_token)
        assert response.status_code == 303, response.text[:1500]
        assert response.headers["Location"] == self.issuer + "/signed-out"


def is_posted_to_app(response: TestResponse) -> bool:
    """Tell whether this is the page whose form goes to the app."""
    return response.status_code == 200 and 'id="authorization-response"' in response.text


def check_values(claims: dict[str, Any]) -> None:
    """Claims are left out rather than empty, and have the types of OIDC Core section 5.1."""
    for name, value in claims.items():
        assert value is not None, f"{name} is null"
        assert value not in ("", {}), f"{name} is empty"
    for name in ("email_verified", "phone_number_verified"):
        assert isinstance(claims.get(name, True), bool)
    assert isinstance(claims.get("updated_at", 0), int)
    assert isinstance(claims.get("address", {}), dict)


def error_of(response: TestResponse) -> str:
    """Return the OAuth error of a JSON answer, checked for its form (RFC 6749 section 5.2)."""
    assert response.mimetype == "application/json", response.text[:500]
    assert "no-store" in response.headers["Cache-Control"]
    answer: dict[str, Any] = json.loads(response.data)
    assert is_printable(answer.get("error_description", ""))
    return str(answer["error"])


def is_printable(description: str) -> bool:
    """Tell whether an error_description has only the characters that it may have (RFC 6749 sections 4.1.2.1, 5.2)."""
    return all(" " <= c <= "~" and c not in '"\\' for c in description)


@dataclass
class ShownError:
    """An error page: what a person sees where no app can be told."""

    code: str
    parameter: str
    description: str


def shown_error(response: TestResponse, status: int = 400) -> ShownError:
    """Return what an error page says; it must be one, and lead nowhere by itself."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:1500]}"
    assert "Location" not in response.headers
    assert 'id="error-page"' in response.text
    return ShownError(*(_text_of(response.text, f"error-{part}") for part in ("code", "parameter", "description")))


def _text_of(page: str, element_id: str) -> str:
    found = re.search(rf'id="{element_id}">(.*?)</(?:code|dd|p)>', page, re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", "", found.group(1))) if found else ""


def query_of(response: TestResponse) -> dict[str, list[str]]:
    """Return the query of a redirect."""
    return parse_qs(urlsplit(response.headers["Location"]).query)


def sign(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """Sign a JWT; claims that are None are left out."""
    payload = json.dumps({name: value for name, value in claims.items() if value is not None})
    registry = jws.JWSRegistry(algorithms=SIGNATURES, strict_check_header=False)
    registry.max_header_length = 10_000
    registry.get_alg = registry.algorithms.__getitem__  # type: ignore[method-assign]  # EdDSA without a warning
    return jws.serialize_compact(header, payload, key, registry=registry)


def base64url(raw: bytes) -> str:
    """Encode as a JWT's parts are."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def s256(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def half_hash(token: str, algorithm: str = "RS256") -> str:
    """Return at_hash or c_hash: half of the hash that the signature uses (OIDC Core section 3.1.3.6)."""
    whole = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(token.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
