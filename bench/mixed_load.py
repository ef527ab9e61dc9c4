"""What people and apps do all day, every answer checked: the right person, the right nonce, and ended means ended."""

import base64
import hashlib
import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet
from wire import Answer, NoAnswerError, Wire

from instance import PASSWORD, REDIRECT_URI, Instance

SCOPE = "openid profile email offline_access"
LEEWAY = 5  # seconds
# How often each thing is done, of a thousand. A password costs two hundred times what a token does.
SHARES: Mapping[str, int] = {
    "sso login": 420,
    "userinfo": 190,
    "introspection": 190,
    "refresh": 140,
    "sign-in": 20,
    "sign-out": 16,
    "revocation": 10,
    "registration": 6,
    "wrong password": 5,
    "used again": 3,
}


class WrongAnswerError(Exception):
    """An answer that is not true."""


class FailedError(Exception):
    """No answer, or one that says to come back."""


@dataclass
class Person:
    """An account, and the one browser in which it is signed in."""

    number: int
    cookies: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    access_token: str = ""
    refresh_token: str = ""
    used_token: str = ""
    is_signed_in: bool = False

    def forget(self) -> None:
        """Begin anew: a new browser, no tokens."""
        self.cookies, self.is_signed_in = {}, False
        self.access_token = self.refresh_token = self.used_token = ""

    @property
    def username(self) -> str:
        """The account's name."""
        return f"p{self.number}"

    @property
    def address(self) -> str:
        """A network of one's own, as far as the provider can tell."""
        return f"10.{self.number >> 8 & 255}.{self.number & 255}.7"


class Mixed:
    """The people, the apps, and everything that they do.

    Args:
        instance: the provider; its server runs.
        people: how many there are.
        seed: of what is left to chance.
        desks: the apps that register people.
    """

    def __init__(self, instance: Instance, people: int, seed: int, desks: Sequence[Mapping[str, str]]) -> None:
        self.instance = instance
        self.desks = desks
        self.wire = Wire(instance.issuer)
        self.chance = random.Random(seed)
        self.idle = [Person(number) for number in range(people)]
        self.lock = threading.Lock()
        self.registered: list[str] = []
        self.subjects: dict[int, str] = {}
        self._desk_tokens: dict[str, tuple[str, float]] = {}  # token and until when it is used, by app
        keys = self.wire.call("GET", "/oauth/jwks", address="10.255.0.1")
        self.keys = KeySet.import_key_set(json.loads(keys.body))
        self.operations: Mapping[str, Callable[[Person], None]] = {
            "sso login": self.log_in,
            "userinfo": self.ask_userinfo,
            "introspection": self.introspect,
            "refresh": self.refresh,
            "sign-in": self.sign_in,
            "sign-out": self.sign_out,
            "revocation": self.revoke,
            "registration": self.register,
            "wrong password": self.try_wrong_password,
            "used again": self.use_again,
        }

    def choose(self) -> str:
        """Return what comes next."""
        return self.chance.choices(list(SHARES), list(SHARES.values()))[0]

    def do(self, name: str) -> str:
        """Do one thing, as somebody who is free and can do it; returns what was done in the end.

        Raises:
            WrongAnswerError: an answer is not true.
            FailedError: there is none.
        """
        with self._somebody(name) as (person, name_done):
            self.operations[name_done](person)
            return name_done

    @contextmanager
    def _somebody(self, name: str) -> Iterator[tuple[Person, str]]:
        """Take somebody who is free. Whoever is not signed in, or has no tokens, does what is needed for that first."""
        with self.lock:
            at = self.chance.randrange(len(self.idle))
            if name == "sign-in":  # rather somebody who has signed out
                at = next((n for n, each in enumerate(self.idle) if not each.is_signed_in), at)
            person = self.idle.pop(at)
        needs_tokens = name in ("userinfo", "introspection", "refresh", "revocation", "used again")
        if name not in ("sign-in", "registration", "wrong password") and not person.is_signed_in:
            name = "sign-in"
        elif needs_tokens and not person.access_token:
            name = "sso login"
        elif name == "used again" and not person.used_token:
            name = "refresh"
        try:
            yield person, name
        except (WrongAnswerError, FailedError):
            person.forget()
            raise
        finally:
            with self.lock:
                self.idle.append(person)

    # -- What is done ---------------------------------------------------------------------

    def sign_in(self, person: Person) -> None:
        """Log in to the app in a new browser: the app sends it to the provider, which asks for the password."""
        person.cookies, person.is_signed_in, person.access_token = {}, False, ""
        self._log_in(person, with_password=True)
        person.is_signed_in = True

    def log_in(self, person: Person) -> None:
        """Log in by single sign-on."""
        self._log_in(person, with_password=False)

    def _log_in(self, person: Person, *, with_password: bool) -> None:
        verifier, nonce, state = secrets.token_urlsafe(32), secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode({
            "response_type": "code", "client_id": self.instance.web["client_id"], "redirect_uri": REDIRECT_URI,
            "scope": SCOPE, "state": state, "nonce": nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        })  # fmt: skip
        answer = self._browse(person, "GET", f"/oauth/authorize?{query}")
        if with_password:
            answer = self._give_password(person, answer)
        given = parse_qs(urlsplit(answer.location).query)
        if not answer.location.startswith(REDIRECT_URI) or "code" not in given:
            raise WrongAnswerError(f"no code: {answer.status} {answer.location[:200]}")
        if given.get("state") != [state] or given.get("iss") != [self.instance.issuer]:
            raise WrongAnswerError(f"not what was sent: {given.get('state')} {given.get('iss')}")
        form = {"grant_type": "authorization_code", "code": given["code"][0], "redirect_uri": REDIRECT_URI}
        self._take(person, self._token({**form, "code_verifier": verifier}), nonce)

    def _give_password(self, person: Person, answer: Answer) -> Answer:
        if answer.status != 303 or "/sign-in" not in answer.location:
            raise WrongAnswerError(f"nobody asks for the password: {answer.status} {answer.location[:200]}")
        page = self._browse(person, "GET", answer.location)
        form = {"username": person.username, "password": PASSWORD, "csrf_token": page.hidden("csrf_token")}
        if interaction := page.hidden("i"):
            form["i"] = interaction
        answer = self._browse(person, "POST", "/sign-in", form)
        if answer.status != 303:
            raise WrongAnswerError(f"the right password is refused: {answer.status} {answer.location[:200]}")
        # Where the answer to the app cannot be had at once, the browser is sent to it.
        return self._browse(person, "GET", answer.location) if "/oauth/authorize/" in answer.location else answer

    def refresh(self, person: Person) -> None:
        """Use the refresh token."""
        used, person.refresh_token = person.refresh_token, ""
        answer = self._token({"grant_type": "refresh_token", "refresh_token": used})
        person.used_token = used
        self._take(person, answer, None)

    def ask_userinfo(self, person: Person) -> None:
        """Ask who that is."""
        answer = self._call("GET", "/oauth/userinfo", person.address, bearer=person.access_token)
        told = json.loads(answer.body) if answer.status == 200 else {}
        expected = (person.subject, person.username, f"{person.username}@example.org")
        if (told.get("sub"), told.get("preferred_username"), told.get("email")) != expected:
            raise WrongAnswerError(f"userinfo of {expected}: {answer.status} {told}")

    def introspect(self, person: Person) -> None:
        """Ask whether the access token is good."""
        told = self._introspect(person.access_token)
        if told.get("active") is not True or told.get("sub") != person.subject:
            raise WrongAnswerError(f"introspection of a good token of {person.subject}: {told}")

    def sign_out(self, person: Person) -> None:
        """Sign out; the cookie of before must open nothing."""
        page = self._browse(person, "GET", "/account")
        if page.status != 200 or person.username.encode() not in page.body:
            raise WrongAnswerError(f"the account page of {person.username}: {page.status}")
        before = dict(person.cookies)
        answer = self._browse(person, "POST", "/sign-out", {"csrf_token": page.hidden("csrf_token")})
        if answer.status != 303:
            raise WrongAnswerError(f"sign-out: {answer.status}")
        person.is_signed_in = False
        if self.wire.call("GET", "/account", address=person.address, cookies=before).status == 200:
            raise WrongAnswerError("a session that was signed out of is alive")
        person.cookies = {}

    def revoke(self, person: Person) -> None:
        """Give the refresh token back: neither it nor the access token is good any more."""
        form = {"token": person.refresh_token, **self._client()}
        if self._call("POST", "/oauth/revoke", "10.255.0.2", form=form).status != 200:
            raise WrongAnswerError("revocation is refused")
        access_token, refresh_token = person.access_token, person.refresh_token
        person.access_token = person.refresh_token = person.used_token = ""
        self._check_dead(access_token, refresh_token, "revoked")

    def use_again(self, person: Person) -> None:
        """Use a refresh token twice, as a thief would: refused, and all that came of it ends."""
        used, current = person.used_token, person.refresh_token
        access_token = person.access_token
        person.access_token = person.refresh_token = person.used_token = ""
        if self._token({"grant_type": "refresh_token", "refresh_token": used}).status != 400:
            raise WrongAnswerError("a refresh token is used twice")
        self._check_dead(access_token, current, "stolen")

    def _check_dead(self, access_token: str, refresh_token: str, why: str) -> None:
        if (told := self._introspect(access_token)) != {"active": False}:
            raise WrongAnswerError(f"introspection of a {why} token: {told}")
        if self._call("GET", "/oauth/userinfo", "10.255.0.3", bearer=access_token).status != 401:
            raise WrongAnswerError(f"userinfo takes a {why} token")
        if self._token({"grant_type": "refresh_token", "refresh_token": refresh_token}).status != 400:
            raise WrongAnswerError(f"a {why} refresh token is good")

    def register(self, _person: Person) -> None:
        """Register a new account by an app."""
        email = f"n{secrets.token_hex(6)}@example.org"
        body = {"username": email.partition("@")[0], "email": email, "password": PASSWORD}
        address = f"10.{self.chance.randrange(256)}.{self.chance.randrange(256)}.{self.chance.randrange(256)}"
        answer = self._call("POST", "/api/v1/users", address, bearer=self._desk(), json_body=body)
        if answer.status != 202:
            raise WrongAnswerError(f"registration: {answer.status} {answer.body[:200]!r}")
        with self.lock:
            self.registered.append(email)

    def try_wrong_password(self, person: Person) -> None:
        """Try a wrong password, from another browser and another network."""
        cookies: dict[str, str] = {}
        address = f"10.{self.chance.randrange(256)}.{self.chance.randrange(256)}.9"
        page = self._call("GET", "/sign-in", address, cookies=cookies)
        form = {"username": person.username, "password": "wrong", "csrf_token": page.hidden("csrf_token")}
        answer = self._call("POST", "/sign-in", address, cookies=cookies, form=form)
        if answer.status not in (422, 429):
            raise WrongAnswerError(f"a wrong password: {answer.status} {answer.location}")
        if self._call("GET", "/account", address, cookies=cookies).status == 200:
            raise WrongAnswerError("a wrong password opens the account")

    # -- How it is asked --------------------------------------------------------------------

    def _take(self, person: Person, answer: Answer, nonce: str | None) -> None:
        """Check tokens that came, and keep them.

        Args:
            nonce: what the ID token must have; None for a refresh, which has none or the first one.
        """
        if answer.status != 200:
            raise WrongAnswerError(f"no tokens: {answer.status} {answer.body[:200]!r}")
        tokens = json.loads(answer.body)
        claims = jwt.decode(tokens["id_token"], self.keys, algorithms=["RS256"]).claims
        now = time.time()
        expected = (self.instance.issuer, self.instance.web["client_id"])
        audience = claims["aud"] if isinstance(claims["aud"], str) else claims["aud"][0]
        if (claims["iss"], audience) != expected or not claims["iat"] - LEEWAY <= now < claims["exp"]:
            raise WrongAnswerError(f"ID token: {claims}")
        if nonce is not None and claims.get("nonce") != nonce:
            raise WrongAnswerError(f"nonce {claims.get('nonce')} for {nonce}")
        known = self.subjects.setdefault(person.number, claims["sub"])
        if claims["sub"] != known:
            raise WrongAnswerError(f"an ID token of somebody else: {claims['sub']} for {known}")
        person.subject = known
        person.access_token, person.refresh_token = tokens["access_token"], tokens["refresh_token"]
        if nonce is not None:
            person.used_token = ""

    def _client(self) -> dict[str, str]:
        web = self.instance.web
        return {"client_id": web["client_id"], "client_secret": web["client_secret"]}

    def _token(self, form: Mapping[str, str]) -> Answer:
        return self._call("POST", "/oauth/token", "10.255.0.2", form={**form, **self._client()})

    def _introspect(self, token: str) -> dict[str, object]:
        answer = self._call("POST", "/oauth/introspect", "10.255.0.2", form={"token": token, **self._client()})
        if answer.status != 200:
            raise WrongAnswerError(f"introspection: {answer.status} {answer.body[:200]!r}")
        told: dict[str, object] = json.loads(answer.body)
        return told

    def _desk(self) -> str:
        """Return the access token of a registering app, a new one every few minutes."""
        desk = self.chance.choice(self.desks)
        with self.lock:
            token, until = self._desk_tokens.get(desk["client_id"], ("", 0.0))
        if time.monotonic() < until:
            return token
        form = {"grant_type": "client_credentials", "scope": "registration"}
        client = {"client_id": desk["client_id"], "client_secret": desk["client_secret"]}
        answer = self._call("POST", "/oauth/token", "10.255.0.4", form={**form, **client})
        if answer.status != 200:
            raise WrongAnswerError(f"client credentials: {answer.status} {answer.body[:200]!r}")
        token = str(json.loads(answer.body)["access_token"])
        with self.lock:
            self._desk_tokens[desk["client_id"]] = token, time.monotonic() + 120
        return token

    def _browse(self, person: Person, method: str, target: str, form: Mapping[str, str] | None = None) -> Answer:
        return self._call(method, target, person.address, cookies=person.cookies, form=form)

    def _call(
        self,
        method: str,
        target: str,
        address: str,
        *,
        cookies: dict[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        bearer: str = "",
        json_body: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        body = b""
        if json_body is not None:
            body, headers["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        try:
            answer = self.wire.call(
                method, target, address=address, cookies=cookies, form=form, body=body, headers=headers
            )
        except NoAnswerError as fault:
            raise FailedError(str(fault)) from fault
        if answer.status >= 500:
            raise FailedError(f"{method} {target.partition('?')[0]}: {answer.status}")
        return answer


def names() -> Sequence[str]:
    """Return what is done, the most frequent first."""
    return sorted(SHARES, key=lambda name: -SHARES[name])
