"""Attacks by forms and requests: at passwords, mailboxes, codes and tables."""

import json
import threading
import time
from collections.abc import Callable
from urllib.parse import urlencode

from attacking.flood import Attack, Outcome
from attacking.instance import LEAKED, PASSWORD, REDIRECT_URI, Instance
from attacking.people import SHARED, ask
from attacking.wire import PATIENCE, Answer, Wire, csrf_token

BURST, INTERVAL = 50, 5  # of a network, by default
ACCOUNT_BURST, ACCOUNT_INTERVAL = 10, 30
MAIL_BURST, MAIL_INTERVAL = 5, 600
KNOWN_BROWSERS, LOOPS = 6, 48  # of one account; eight attempts of each browser at once: its bucket admits ten
WAITING_BURST, WAITING_INTERVAL = 1000, 1
ANSWERED = (200, 302, 303, 400, 401, 422)

Attempt = Callable[[int], Answer]
Begin = Callable[[Instance, Wire, int], Attempt]
Limit = Callable[[Outcome, dict[str, int]], list[str]]

_all_are_known = threading.Barrier(LOOPS)


def many(number: int) -> str:
    """Return an address for each number: a botnet's, of 60,000."""
    return f"127.{100 + number % 60_000 // 250 % 100}.{1 + number % 250}.{1 + number // 25_000 % 250}"


def one(_number: int) -> str:
    """Return always the same address."""
    return SHARED


def nothing(_outcome: Outcome, _rows: dict[str, int]) -> list[str]:
    """Nothing is limited, but that no attempt brings the provider down."""
    return []


def admits(burst: int, interval: int, *statuses: int) -> Limit:
    """A limit: so many at once, then one in so many seconds are answered with one of these statuses."""

    def limit(outcome: Outcome, _rows: dict[str, int]) -> list[str]:
        most, admitted = burst + int(outcome.seconds / interval) + 1, outcome.admitted(*statuses)
        return [f"{admitted} attempts were admitted, and {most} may be"] if admitted > most else []

    return limit


def makes(table: str, burst: int, interval: int) -> Limit:
    """A limit: so many rows at once, then one in so many seconds."""

    def limit(outcome: Outcome, rows: dict[str, int]) -> list[str]:
        most = burst + int(outcome.seconds / interval) + 1
        return [f"{rows[table]} rows of {table}, and {most} may be"] if rows[table] > most else []

    return limit


def by_form(
    path: str, fields: Callable[[int], dict[str, str]], address: Callable[[int], str], *, forged: bool = False
) -> Begin:
    """Post a page's form again and again, with one browser's token."""

    def begin(instance: Instance, wire: Wire, thread: int) -> Attempt:
        page = wire.send("GET", path, address(thread))
        token, cookies = csrf_token(page.text), page.cookies

        def attempt(number: int) -> Answer:
            headers = {"X-Forwarded-For": many(number)} if forged and not instance.is_proxied else None
            return wire.send(
                "POST", path, address(number), form=fields(number) | {"csrf_token": token}, cookies=cookies,
                headers=headers,
            )  # fmt: skip

        return attempt

    return begin


def pairs(number: int) -> dict[str, str]:
    """Leaked names and passwords, of which one in a hundred is right."""
    if number % 100 == 50:
        return {"username": f"leak{number // 100 % LEAKED}", "password": PASSWORD}
    return {"username": f"somebody{number}@example.com", "password": f"leaked password {number}"}


def _newcomer(number: int) -> dict[str, str]:
    return {"username": f"fresh{number}", "email": f"fresh{number}@example.net", "password": f"{number} {PASSWORD}"}


def _waiting(address: Callable[[int], str]) -> Begin:
    def begin(instance: Instance, wire: Wire, _thread: int) -> Attempt:
        return lambda number: ask(wire, instance.clients["web"], address(number), {}, state=f"state{number}")

    return begin


def _pushed(secret: str | None) -> Begin:
    def begin(instance: Instance, wire: Wire, _thread: int) -> Attempt:
        web = instance.clients["web"]
        form = {"client_id": web["client_id"], "client_secret": secret or web["client_secret"], "state": "s",
                "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid"}  # fmt: skip
        return lambda number: wire.send("POST", "/oauth/par", many(number), form=form)

    return begin


def _bad_secret(instance: Instance, wire: Wire, _thread: int) -> Attempt:
    client_id = instance.clients["web"]["client_id"]
    form = {"grant_type": "client_credentials", "client_id": client_id}
    return lambda number: wire.send(
        "POST", "/oauth/token", SHARED, form=form | {"client_secret": f"guess {number:>40}"}
    )


def _sessions(_instance: Instance, wire: Wire, _thread: int) -> Attempt:
    """Somebody signs in to their own account again and again, each time with a browser that it does not know."""

    def attempt(number: int) -> Answer:
        page = wire.send("GET", "/sign-in", many(number))
        form = {"username": "attacker", "password": PASSWORD, "csrf_token": csrf_token(page.text)}
        return wire.send("POST", "/sign-in", many(number), form=form, cookies=page.cookies)

    return attempt


def _known_browsers(_instance: Instance, wire: Wire, thread: int) -> Attempt:
    """Somebody signs in to their own account again and again, with browsers that it knows."""
    browser = {"idp_browser": f"{thread % KNOWN_BROWSERS:0>43}"}
    page = wire.send("GET", "/sign-in", SHARED, cookies=browser)
    form = {"username": "attacker", "password": PASSWORD, "csrf_token": csrf_token(page.text)}
    while thread < KNOWN_BROWSERS and wire.send("POST", "/sign-in", SHARED, form=form, cookies=browser).status != 303:
        time.sleep(1)
    _all_are_known.wait(PATIENCE)
    return lambda _number: wire.send("POST", "/sign-in", SHARED, form=form, cookies=browser)


def _user_codes(instance: Instance, wire: Wire, thread: int) -> Attempt:
    signed_in = _sessions(instance, wire, thread)(thread)
    cookies = signed_in.cookies
    page = wire.send("GET", "/device", SHARED, cookies=cookies)
    cookies, token = cookies | page.cookies, csrf_token(page.text)
    letters = "BCDFGHJKLMNPQRSTVWXZ"

    def attempt(number: int) -> Answer:
        code = "".join(letters[(number // 20**place + 7 * place) % 20] for place in range(8))
        form = {"user_code": code, "action": "allow", "csrf_token": token}
        return wire.send("POST", "/device", SHARED, form=form, cookies=cookies)

    return attempt


def _codes(instance: Instance, wire: Wire, _thread: int) -> Attempt:
    desk = instance.clients["desk"]
    secret = {"client_id": desk["client_id"], "client_secret": desk["client_secret"]}
    form = {"grant_type": "client_credentials", "scope": "recovery", **secret}
    token = json.loads(wire.send("POST", "/oauth/token", SHARED, form=form).text)["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    wanted = json.dumps({"purpose": "password", "username": "owner"}).encode()
    sent = wire.send("POST", "/api/v1/codes", SHARED, body=wanted, headers=headers)
    code_id = json.loads(sent.text).get("id", "none")

    def attempt(number: int) -> Answer:
        body = json.dumps({"code": f"{number:06}"}).encode()
        return wire.send("POST", f"/api/v1/codes/{code_id}", SHARED, body=body, headers=headers)

    return attempt


def _device_codes(instance: Instance, wire: Wire, _thread: int) -> Attempt:
    form = {"client_id": instance.clients["tv"]["client_id"], "scope": "openid"}
    return lambda _number: wire.send("POST", "/oauth/device_authorization", SHARED, form=form)


def _huge(_instance: Instance, wire: Wire, _thread: int) -> Attempt:
    kinds: tuple[Callable[[], Answer], ...] = (
        lambda: wire.send("GET", "/sign-in", SHARED, headers={"X-Long": "x" * 100_000}),
        lambda: wire.send("GET", "/sign-in", SHARED, cookies={"idp_session": "x" * 60_000}),
        lambda: wire.send("GET", "/oauth/authorize?" + "x" * 50_000, SHARED),
        lambda: wire.send("GET", "/oauth/authorize?" + urlencode([(f"p{n}", "x") for n in range(4000)]), SHARED),
        lambda: wire.send("POST", "/oauth/token", SHARED, body=b"x" * 10_000_000),
        lambda: wire.send("POST", "/oauth/token", SHARED, form={f"p{n}": "x" for n in range(5000)}),
        lambda: wire.send("POST", "/sign-in", SHARED, form={"username": "x" * 60_000}),
        lambda: wire.send("GET", "/sign-in", SHARED, headers={f"X-{n}": "x" for n in range(90)}),
    )
    return lambda number: kinds[number % len(kinds)]()


FORMS = (
    Attack("stuffing", "stuffing: leaked pairs, a new address for each", by_form("/sign-in", pairs, many), nothing, 48,
           is_hard_on_strangers=True),
    Attack("stuffing-one", "stuffing from one address", by_form("/sign-in", pairs, one),
           admits(BURST, INTERVAL, 422), table="audit_event"),
    Attack("forged", "the same, with a made-up X-Forwarded-For for each", by_form("/sign-in", pairs, one, forged=True),
           admits(BURST, INTERVAL, 422)),
    Attack("spraying", "spraying: one password, all names, 40 addresses",
           by_form("/sign-in", lambda n: {"username": f"leak{n % LEAKED}", "password": "Summer2026!"},
                   lambda n: many(n % 40)), admits(LEAKED * ACCOUNT_BURST, 1, 422)),
    Attack("guessing", "guessing at one account from everywhere",
           by_form("/sign-in", lambda n: {"username": "owner", "password": f"guess {n}"}, many),
           admits(ACCOUNT_BURST, ACCOUNT_INTERVAL, 422)),
    Attack("reset-one", "reset mails to one address, from everywhere",
           by_form("/forgot-password", lambda _: {"username": "owner"}, many),
           makes("mail_message", MAIL_BURST, MAIL_INTERVAL), table="mail_message"),
    Attack("reset-many", "reset mails to many, from one address",
           by_form("/forgot-password", lambda n: {"username": f"leak{n % LEAKED}"}, one),
           makes("mail_message", BURST, INTERVAL), table="mail_message"),
    Attack("usernames", "reminders of user names, from one address",
           by_form("/forgot-username", lambda n: {"email": f"leak{n % LEAKED}@example.org"}, one),
           makes("mail_message", BURST, INTERVAL), table="mail_message"),
    Attack("register", "registrations, a new address for each", by_form("/register", _newcomer, many), nothing, 48,
           is_hard_on_strangers=True,
           table="user"),
    Attack("register-one", "registrations from one address", by_form("/register", _newcomer, one),
           makes("user", BURST, INTERVAL), table="user"),
    Attack("resend", "confirmations sent again to one address, from everywhere",
           by_form("/verify-email/resend", lambda _: {"identifier": "fresh0@example.net"}, many),
           makes("mail_message", MAIL_BURST, MAIL_INTERVAL), table="mail_message"),
    Attack("codes", "guessing at a mailed code, by an app", _codes, admits(BURST, INTERVAL, 204, 422), 4),
    Attack("user-codes", "guessing at devices' codes, by one person", _user_codes,
           admits(ACCOUNT_BURST, ACCOUNT_INTERVAL, 422), 4),
    Attack("device-codes", "device codes from one address", _device_codes,
           makes("device_authorization", BURST, INTERVAL), table="device_authorization"),
    Attack("huge", "headers, cookies, queries, bodies and forms that are far too large", _huge, nothing, 4, 50),
    Attack("sessions", "sessions of one account, a new browser and address for each", _sessions, nothing, 16,
           table="browser_session"),
    Attack("known-browsers", "one account, six browsers that it knows, the right password, one address",
           _known_browsers, nothing, LOOPS, 30, table="browser_session"),
    Attack("waiting", "requests that wait for somebody, from one address", _waiting(one),
           makes("parked_request", WAITING_BURST, WAITING_INTERVAL), rate=300, table="parked_request"),
    Attack("pushed", "pushed requests with a right secret", _pushed(None), nothing, rate=200, table="pushed_request"),
    Attack("pushed-bad", "pushed requests with a wrong secret", _pushed("x" * 43), nothing, rate=200),
    Attack("secrets", "guessing at an app's secret", _bad_secret, nothing, rate=300, table="audit_event"),
)  # fmt: skip
