"""Honest people and apps, who go on with their day while somebody attacks."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from attacking.instance import PASSWORD, REDIRECT_URI, Instance
from attacking.wire import Answer, Wire, csrf_token

CLEAN, SHARED = "127.20.0.1", "127.66.0.1"  # a network of nobody else's, and that of the attacker
TRIES = 3  # that somebody makes who is told when to come back


@dataclass
class Day:
    """What somebody went through.

    Attributes:
        seconds: how long each thing that went well took, with waiting and trying again.
        failures: how the others ended.
    """

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        """The part that went well."""
        done = len(self.seconds)
        return done / max(1, done + self.failures.total())

    def percentile(self, part: float) -> float:
        """Milliseconds that this part of what went well took at most."""
        if not self.seconds:
            return float("nan")
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1000


class Person:
    """Somebody who signs in.

    Args:
        instance: where.
        name: of the account.
        address: of their network.
        has_browser: whether they use one browser all the time; else each sign-in is from one that nobody knows.
    """

    def __init__(self, instance: Instance, name: str, address: str, *, has_browser: bool) -> None:
        self.wire, self.name, self.address, self.has_browser = instance.wire(), name, address, has_browser
        self.cookies: dict[str, str] = {}
        self.pause = 1.0

    def act(self) -> str:
        """Sign in; who is told to come back does so. Returns what went wrong."""
        page = self.wire.send("GET", "/sign-in", self.address, cookies=self._browser())
        if page.status != 200:
            return f"page {page.status}"
        cookies = self._browser() | page.cookies
        form = {"username": self.name, "password": PASSWORD, "csrf_token": csrf_token(page.text)}
        told = ""
        for _ in range(TRIES):
            answer = self.wire.send("POST", "/sign-in", self.address, form=form, cookies=cookies)
            if answer.status == 303:
                self.cookies = cookies | answer.cookies if self.has_browser else {}
                return ""
            told = str(answer.status)
            if answer.status != 503:
                break
            time.sleep(min(5, int(answer.headers.get("retry-after", "1"))))
        return told

    def _browser(self) -> dict[str, str]:
        """The browser's own cookie, without a session: they were signed out meanwhile."""
        return {name: value for name, value in self.cookies.items() if name.endswith("idp_browser")}


class SsoUser:
    """Somebody who is signed in, and comes to apps all the time."""

    def __init__(self, instance: Instance, address: str) -> None:
        self.wire, self.address, self.web = instance.wire(), address, instance.clients["web"]
        self.person = Person(instance, "sso", address, has_browser=True)
        self.pause = 0.1
        if failure := self.person.act():
            raise SystemExit(f"nobody can sign in: {failure}")

    def act(self) -> str:
        """An authorization request, and its code redeemed. Returns what went wrong."""
        answer = ask(self.wire, self.web, self.address, self.person.cookies)
        code = parse_qs(urlsplit(answer.headers.get("location", "")).query).get("code")
        if not code:
            return f"authorize {answer.status}"
        form = {"grant_type": "authorization_code", "code": code[0], "redirect_uri": REDIRECT_URI}
        answer = redeem(self.wire, self.web, self.address, form)
        return "" if answer.status == 200 else f"token {answer.status}"


class App:
    """An app that refreshes its tokens."""

    def __init__(self, instance: Instance, address: str) -> None:
        self.wire, self.address, self.web = instance.wire(), address, instance.clients["web"]
        self.person = Person(instance, "app", address, has_browser=True)
        self.pause = 0.1
        if failure := self.person.act():
            raise SystemExit(f"nobody can sign in: {failure}")
        self.refresh_token = ""

    def act(self) -> str:
        """Refresh. Returns what went wrong."""
        if not self.refresh_token:
            answer = ask(self.wire, self.web, self.address, self.person.cookies)
            code = parse_qs(urlsplit(answer.headers.get("location", "")).query).get("code", [""])[0]
            form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        else:
            form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        answer = redeem(self.wire, self.web, self.address, form)
        self.refresh_token = _member(answer, "refresh_token")
        return "" if answer.status == 200 else f"token {answer.status}"


def ask(wire: Wire, web: dict[str, str], address: str, cookies: dict[str, str], **more: str) -> Answer:
    """Send an authorization request."""
    query = {"client_id": web["client_id"], "redirect_uri": REDIRECT_URI, "response_type": "code", "state": "s",
             "scope": "openid offline_access", **more}  # fmt: skip
    return wire.send("GET", f"/oauth/authorize?{urlencode(query)}", address, cookies=cookies)


def redeem(wire: Wire, web: dict[str, str], address: str, form: dict[str, str]) -> Answer:
    """Send a token request of the web app."""
    secret = {"client_id": web["client_id"], "client_secret": web["client_secret"]}
    return wire.send("POST", "/oauth/token", address, form=form | secret)


def _member(answer: Answer, name: str) -> str:
    try:
        return str(json.loads(answer.text).get(name, ""))
    except ValueError:
        return ""


class Street:
    """All of them, each in a thread of their own."""

    def __init__(self, instance: Instance) -> None:
        self.people: dict[str, Person | SsoUser | App] = {
            "new browser": Person(instance, "newcomer", CLEAN, has_browser=False),
            "own browser": Person(instance, "owner", "127.20.0.2", has_browser=True),
            "own browser, attacker's network": Person(instance, "neighbour", SHARED, has_browser=True),
            "sso": SsoUser(instance, "127.20.0.3"),
            "app": App(instance, "127.20.0.4"),
        }
        for each in self.people.values():
            if isinstance(each, Person) and each.has_browser and (failure := each.act()):
                raise SystemExit(f"{each.name} cannot sign in: {failure}")

    def live(self, seconds: float, meanwhile: Callable[[], None] | None = None) -> dict[str, Day]:
        """Let them go on for so long; returns what each went through."""
        days = {name: Day() for name in self.people}
        stop = threading.Event()
        threads = [threading.Thread(target=_live, args=(each, days[name], stop)) for name, each in self.people.items()]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        if meanwhile:
            meanwhile()
        stop.wait(max(0.0, seconds - (time.monotonic() - began)))
        stop.set()
        for thread in threads:
            thread.join()
        return days


def _live(person: Person | SsoUser | App, day: Day, stop: threading.Event) -> None:
    while not stop.is_set():
        began = time.monotonic()
        failure = person.act()
        took = time.monotonic() - began
        if failure:
            day.failures[failure] += 1
        else:
            day.seconds.append(took)
        stop.wait(max(0.02, person.pause - took))
