"""People who do things at random, remember what was acknowledged, and look whether it is still true."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import requests

from instance import AWAY, PASSWORD, REDIRECT_URI, Instance

KEPT = 4  # tokens and codes of each person that are kept for later
CODE_USABLE = 40  # seconds; codes live for a minute
PATIENCE = 45  # seconds that a request may take


class InDoubt(requests.ConnectionError):
    """No answer, or one that says to come back: what was asked for has happened, or has not."""


@dataclass
class Ledger:
    """What was acknowledged, and what must therefore be true."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    registered: set[str] = field(default_factory=set)
    signed_out: list[str] = field(default_factory=list)  # cookies that must open nothing

    def note(self, what: str, times: int = 1) -> None:
        """Count something that went as it should."""
        with self.lock:
            self.counts[what] += times

    def blame(self, what: str) -> None:
        """Note something that must not be."""
        with self.lock:
            self.wrong.append(what)


class Person:
    """Somebody who does things at random, and knows what was acknowledged.

    What a request was about when its answer did not come is in doubt, and forgotten. All else was acknowledged, and
    `look_back` looks whether it is still so: the session, refresh tokens and codes that nobody used, and that what was
    used up or ended stays so.

    Args:
        instance: the provider.
        ledger: where everything is noted.
        number: whose account.
        seed: of everything that is left to chance.
    """

    def __init__(self, instance: Instance, ledger: Ledger, number: int, seed: int) -> None:
        self.instance, self.ledger, self.number = instance, ledger, number
        self.chance = random.Random(seed * 1000 + number)
        self.browser = instance.new_browser()
        self.is_signed_in = False
        self.subject = ""
        self.access_token = ""  # the latest
        self.unused: list[str] = []  # refresh tokens
        self.used: list[str] = []
        self.unredeemed: list[tuple[float, str]] = []  # codes, and when they came
        self.redeemed: list[str] = []
        self.made = 0
        self.password = PASSWORD
        self.actions: tuple[Callable[[], None], ...] = (
            self.log_in, self.log_in, self.refresh, self.refresh, self.register, self.leave, self.ask
        )  # fmt: skip

    # -- Doing things ------------------------------------------------------------------

    def run(self, stop: threading.Event, pause: float = 0.0) -> None:
        """Do one thing after another.

        Args:
            stop: ends it, after the thing at hand.
            pause: seconds between two things.
        """
        while not stop.is_set():
            try:
                self.chance.choice(self.actions)()
            except AWAY:
                self.ledger.note("away")
                time.sleep(0.2)
            if pause:
                time.sleep(pause)

    def send(self, method: str, path: str, **more: object) -> requests.Response:
        """Send a request; an answer that is no fault is returned.

        Raises:
            InDoubt: there is none, or it says to come back.
        """
        answer = self.browser.request(
            method, self.instance.issuer + path, allow_redirects=False, timeout=PATIENCE, **more
        )  # type: ignore[arg-type]
        if answer.status_code == 503 and answer.headers.get("Retry-After"):
            self.ledger.note("told to come back")
            raise InDoubt("busy")
        if answer.status_code >= 500:
            self.ledger.blame(f"{method} {path}: {answer.status_code}")
            raise InDoubt(str(answer.status_code))
        return answer

    def sign_in(self) -> None:
        """Sign in with the password, in a browser that nobody used before."""
        self.browser = self.instance.new_browser()
        answer = self.send_password(self.password)
        if answer.status_code != 303:
            self.ledger.blame(f"the right password is refused: {answer.status_code}")
            raise InDoubt(str(answer.status_code))
        self.is_signed_in = True
        self.ledger.note("sign-in")

    def send_password(self, password: str) -> requests.Response:
        """Fill in the form for signing in, and return what comes."""
        page = self.send("GET", "/sign-in")
        form = {"username": f"p{self.number}", "password": password, "csrf_token": csrf_of(page)}
        return self.send("POST", "/sign-in", data=form)

    def log_in(self) -> None:
        """Log in by single sign-on; some codes are kept for later, and some are tried twice."""
        if not self.is_signed_in:
            self.sign_in()
        query = {"client_id": self.instance.web["client_id"], "redirect_uri": REDIRECT_URI, "response_type": "code"}
        answer = self.send(
            "GET",
            "/oauth/authorize",
            params={**query, "scope": "openid offline_access", "state": "s", "prompt": "none"},
        )
        given = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
        if "code" not in given:
            self.ledger.blame(f"no code for somebody who is signed in: {answer.status_code} {given}")
            self.is_signed_in = False
            return
        code = given["code"][0]
        self.ledger.note("code")
        if self.chance.random() < 0.2 and len(self.unredeemed) < KEPT:
            self.unredeemed.append((time.monotonic(), code))
            return
        self.redeem(code)
        if self.chance.random() < 0.2:
            self._try_redeemed_again()

    def redeem(self, code: str, after: str = "") -> None:
        """Redeem a code that must be good.

        Args:
            code: nobody has used it.
            after: what happened since, for the blame.
        """
        answer = self.token({"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI})
        if answer.status_code != 200:
            self.ledger.blame(f"a fresh code is refused{after}: {answer.text[:200]}")
            return
        self.ledger.note("login")
        self.redeemed = [*self.redeemed, code][-KEPT:]
        self._keep(answer)

    def _try_redeemed_again(self) -> None:
        """A second use is refused, and ends all that came of the first."""
        if not self.redeemed or not self.unused:
            return
        code, _ended = self.redeemed.pop(), self.unused.pop()  # the newest of both: it came of this code
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        if self.token(form).status_code == 200:
            self.ledger.blame("a code was redeemed twice")
        self.ledger.note("code tried twice")

    def token(self, form: dict[str, str]) -> requests.Response:
        """Ask the token endpoint, as the app."""
        web = self.instance.web
        return self.send(
            "POST", "/oauth/token", data={**form, "client_id": web["client_id"], "client_secret": web["client_secret"]}
        )

    def _keep(self, answer: requests.Response) -> None:
        tokens = answer.json()
        self.unused = [*self.unused, tokens["refresh_token"]][-KEPT:]
        self.access_token = tokens["access_token"]
        if self.chance.random() < 0.3:
            self._ask_userinfo(tokens["access_token"])

    def _ask_userinfo(self, access_token: str) -> None:
        answer = self.send("GET", "/oauth/userinfo", headers={"Authorization": f"Bearer {access_token}"})
        subject = answer.json().get("sub", "") if answer.status_code == 200 else ""
        self.subject = self.subject or subject
        if not subject or subject != self.subject:
            self.ledger.blame(f"userinfo of a fresh token: {answer.status_code} {subject} for {self.subject}")
        self.ledger.note("userinfo")

    def refresh(self, after: str = "") -> None:
        """Use the oldest of the refresh tokens that nobody used.

        Args:
            after: what happened since it came, for the blame.
        """
        if not self.unused:
            return
        token = self.unused.pop(0)
        answer = self.token({"grant_type": "refresh_token", "refresh_token": token})
        if answer.status_code != 200:
            self.ledger.blame(f"a refresh token that nobody used is refused{after}: {answer.text[:200]}")
            return
        self.ledger.note("refresh")
        self.used = [*self.used, token][-KEPT:]
        self._keep(answer)

    def register(self) -> None:
        """Use up a listed address; two people share each, and the one who is later is told the same."""
        desk = self.instance.machine
        form = {"grant_type": "client_credentials", "scope": "registration", "client_id": desk["client_id"]}
        token = self.send("POST", "/oauth/token", data={**form, "client_secret": desk["client_secret"]}).json()
        self.made += 1
        number = (self.number // 2) + self.made * self.instance.people
        email = f"new{number}@example.org"
        body = {"username": f"new{number}x{self.number}", "email": email, "password": PASSWORD}
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        answer = self.send("POST", "/api/v1/users", json=body, headers=bearer)
        if answer.status_code == 202:
            with self.ledger.lock:
                self.ledger.registered.add(email)
            self.ledger.note("registration")
        elif answer.status_code not in (403, 409, 422):
            self.ledger.blame(f"registration: {answer.status_code} {answer.text[:200]}")

    def ask(self) -> None:
        """Look at the own account."""
        if not self.is_signed_in:
            return
        page = self.send("GET", "/account")
        if page.status_code != 200:
            self.ledger.blame(f"the account of somebody who is signed in: {page.status_code}")
            self.is_signed_in = False
            return
        self.ledger.note("account")

    def leave(self) -> None:
        """Sign out, now and then."""
        if not self.is_signed_in or self.chance.random() < 0.7:
            return
        page = self.send("GET", "/account")
        if page.status_code != 200:
            self.ledger.blame(f"the account of somebody who is signed in: {page.status_code}")
            self.is_signed_in = False
            return
        cookie = self.browser.cookies.get(self.instance.session_cookie, "")
        self.is_signed_in = False
        # A code lives no longer than the session that it came of.
        self.unredeemed.clear()
        answer = self.send("POST", "/sign-out", data={"csrf_token": csrf_of(page)})
        if answer.status_code == 303:
            with self.ledger.lock:
                self.ledger.signed_out.append(cookie)
            self.ledger.note("sign-out")

    # -- Looking back --------------------------------------------------------------------

    def look_back(self, after: str) -> None:
        """Look whether everything that was acknowledged is still true; the server must be ready.

        Args:
            after: what happened meanwhile.
        """
        try:
            self._look_back(f" after {after}")
        except AWAY as fault:
            self.ledger.blame(f"no answer although it is ready, after {after}: {fault!r:.200}")

    def _look_back(self, after: str) -> None:
        if self.is_signed_in and self.send("GET", "/account").status_code != 200:
            self.ledger.blame(f"a session is lost{after}")
            self.is_signed_in = False
        self.ledger.note("looked back", 1 + len(self.unredeemed) + len(self.unused))
        now = time.monotonic()
        codes, self.unredeemed = self.unredeemed, []
        for came_at, code in codes:
            if now - came_at < CODE_USABLE:
                self.redeem(code, after)
        for _ in range(len(self.unused)):
            self.refresh(after)
        if self.used:
            # The second use of a token ends its whole family, the newest tokens too: start again.
            if self.token({"grant_type": "refresh_token", "refresh_token": self.used[-1]}).status_code == 200:
                self.ledger.blame(f"a refresh token is used twice{after}")
            self.used.clear()
            self.unused.clear()
        if self.redeemed:
            form = {"grant_type": "authorization_code", "code": self.redeemed[-1], "redirect_uri": REDIRECT_URI}
            if self.token(form).status_code == 200:
                self.ledger.blame(f"a code is redeemed twice{after}")
            self.redeemed.clear()
            self.unused.clear()


def csrf_of(page: requests.Response) -> str:
    """Return the token that a page's forms carry; nothing where it has none."""
    return page.text.partition('name="csrf_token" value="')[2].partition('"')[0]


def compare_ledger(instance: Instance, ledger: Ledger) -> None:
    """Compare what was acknowledged to anybody with the data."""
    listed = {each["email"] for each in json.loads(instance.command("user", "list", "--json"))}
    if missing := ledger.registered - listed:
        ledger.blame(f"{len(missing)} acknowledged registrations are missing: {sorted(missing)[:3]}")
    waiting = {each["email"] for each in json.loads(instance.command("preauthorize", "--list", "--json"))}
    if twice := ledger.registered & waiting:
        ledger.blame(f"{len(twice)} addresses have registered and are listed still: {sorted(twice)[:3]}")
    for cookie in ledger.signed_out[-200:]:
        cookies = {instance.session_cookie: cookie}
        answer = instance.new_browser().get(
            f"{instance.issuer}/account", cookies=cookies, allow_redirects=False, timeout=PATIENCE
        )
        if answer.status_code == 200:
            ledger.blame("a session that was signed out of is alive")
