"""What one host was told counts at the other one at once: looked at again and again, while both are there."""

import itertools
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from people import PATIENCE, InDoubt, Ledger, csrf_of

from instance import AWAY, PASSWORD, REDIRECT_URI, Instance

NAME = "probe"
Cookies = dict[str, str]


class Revocations:
    """Somebody whose sessions, tokens, password and app are changed at one host and tried at the other.

    Args:
        hosts: two instances on one database; each is asked itself, past the proxy.
        ledger: where everything is noted.
        headers: what a proxy would add.
    """

    def __init__(self, hosts: Sequence[Instance], ledger: Ledger, headers: Mapping[str, str]) -> None:
        self._hosts, self._ledger, self._headers = list(hosts), ledger, headers
        self._password = PASSWORD
        self._app: dict[str, str] = {}
        self._looks = itertools.cycle(
            (self._sign_out, self._disable, self._redeem_twice, self._change_password, self._revoke, self._change_app)
        )

    def fill(self) -> None:
        """Make the account and the app."""
        one = self._hosts[0]
        one.command("user", "add", NAME, "--email", f"{NAME}@example.org", "--password-stdin", stdin=PASSWORD)
        options = ("--scope", "openid", "--scope", "offline_access", "--grant", "authorization_code", "--trusted")
        auth = ("--grant", "refresh_token", "--auth-method", "client_secret_post", "--json")
        self._app = json.loads(one.command("client", "add", "Probe", "--redirect-uri", REDIRECT_URI, *options, *auth))

    def look(self) -> None:
        """Look at the next thing, from the other side each time; both hosts must be there."""
        self._hosts.reverse()
        try:
            next(self._looks)(*self._hosts)
        except AWAY as fault:
            self._ledger.blame(f"no answer although nothing is broken: {fault!r:.200}")
        self._ledger.note("looked at the other host")

    # -- What is looked at -------------------------------------------------------------------

    def _sign_out(self, here: Instance, there: Instance) -> None:
        cookies = self._signed_in(here)
        tokens = self._log_in(here, there, cookies, "openid")
        self._expect("a token of one host at the other", self._userinfo(there, tokens), 200)
        self._ask(here, "POST", "/sign-out", cookies, data={"csrf_token": self._csrf(here, "/account", cookies)})
        self._expect("a session after sign-out", self._ask(there, "GET", "/account", dict(cookies)), 303)
        self._expect("a token after sign-out", self._userinfo(there, tokens), 401)

    def _disable(self, here: Instance, there: Instance) -> None:
        cookies = self._signed_in(there)
        tokens = self._log_in(there, here, cookies, "openid offline_access")
        self._command(here, "user", "disable", NAME)
        self._expect("a session of a disabled account", self._ask(there, "GET", "/account", dict(cookies)), 303)
        self._expect("a token of a disabled account", self._userinfo(there, tokens), 401)
        self._expect("a refresh for a disabled account", self._refresh(there, tokens), 400)
        self._expect("a sign-in to a disabled account", self._try_password(there, self._password)[0], 422)
        self._command(here, "user", "enable", NAME)
        self._signed_in(there)

    def _redeem_twice(self, here: Instance, there: Instance) -> None:
        code = self._code(here, self._signed_in(here), "openid offline_access")
        tokens = self._redeemed(there, code)
        self._expect("a code that was used at the other host", self._redeem(here, code), 400)
        self._expect("a token whose code was used twice", self._userinfo(there, tokens), 401)
        self._expect("a refresh whose code was used twice", self._refresh(there, tokens), 400)

    def _change_password(self, here: Instance, there: Instance) -> None:
        mine, other = self._signed_in(here), self._signed_in(there)
        tokens = self._log_in(there, here, other, "openid offline_access")
        fresh = f"kettle orbit {secrets.token_urlsafe(8)}"
        form = {"csrf_token": self._csrf(here, "/account/password", mine), "action": "change"}
        change = {"current_password": self._password, "new_password": fresh}
        old = self._password
        answer = self._ask(here, "POST", "/account/password", mine, data={**form, **change})
        self._expect("a change of the password", answer, 303)
        self._password = fresh
        self._expect("another session after it", self._ask(there, "GET", "/account", dict(other)), 303)
        self._expect("a token of that session", self._userinfo(there, tokens), 401)
        self._expect("a refresh of that session", self._refresh(there, tokens), 400)
        self._expect("the old password", self._try_password(there, old)[0], 422)
        self._expect("the session that changed it", self._ask(there, "GET", "/account", dict(mine)), 200)
        self._signed_in(there)

    def _revoke(self, here: Instance, there: Instance) -> None:
        tokens = self._log_in(here, there, self._signed_in(here), "openid offline_access")
        self._refreshed(there, tokens)
        self._expect("a refresh token that was used at the other host", self._refresh(here, tokens), 400)
        tokens = self._log_in(here, there, self._signed_in(there), "openid")
        form = {"token": tokens["access_token"], **self._credentials()}
        self._expect("a revocation", self._ask(here, "POST", "/oauth/revoke", {}, data=form), 200)
        self._expect("a revoked token", self._userinfo(there, tokens), 401)

    def _change_app(self, here: Instance, there: Instance) -> None:
        cookies = self._signed_in(there)
        self._code(there, cookies, "openid")
        self._command(here, "client", "update", self._app["client_id"], "--redirect-uri", f"{REDIRECT_URI}/new")
        answer = self._authorize(there, cookies, "openid")
        self._expect("a redirect URI that was taken away", answer, 400)
        self._command(here, "client", "update", self._app["client_id"], "--redirect-uri", REDIRECT_URI)
        self._code(there, cookies, "openid")

    # -- How ------------------------------------------------------------------------------------

    def _expect(self, what: str, answer: requests.Response, status: int) -> None:
        if answer.status_code != status:
            self._ledger.blame(f"{what}: {answer.status_code} and not {status}, at the other host: {answer.text[:150]}")

    def _ask(self, host: Instance, method: str, path: str, cookies: Cookies, **more: Any) -> requests.Response:
        headers = {**self._headers, **more.pop("headers", {})}
        answer = requests.request(
            method, host.door + path, cookies=cookies, headers=headers, allow_redirects=False, timeout=PATIENCE, **more
        )
        if answer.status_code >= 500:
            if answer.status_code != 503 or not answer.headers.get("Retry-After"):
                self._ledger.blame(f"{method} {path}: {answer.status_code}")
            raise InDoubt(str(answer.status_code))
        cookies.update({each.name: each.value or "" for each in answer.cookies})
        return answer

    def _command(self, host: Instance, *arguments: str) -> None:
        if host.try_command(*arguments).returncode:
            raise InDoubt(" ".join(arguments))

    def _csrf(self, host: Instance, path: str, cookies: Cookies) -> str:
        page = self._ask(host, "GET", path, cookies)
        if page.status_code != 200:
            self._ledger.blame(f"{path} of somebody who is signed in: {page.status_code}")
            raise InDoubt(path)
        return csrf_of(page)

    def _try_password(self, host: Instance, password: str) -> tuple[requests.Response, Cookies]:
        cookies: Cookies = {}
        form = {"username": NAME, "password": password, "csrf_token": self._csrf(host, "/sign-in", cookies)}
        return self._ask(host, "POST", "/sign-in", cookies, data=form), cookies

    def _signed_in(self, host: Instance) -> Cookies:
        answer, cookies = self._try_password(host, self._password)
        self._expect("the right password", answer, 303)
        return cookies

    def _authorize(self, host: Instance, cookies: Cookies, scope: str) -> requests.Response:
        query = {"client_id": self._app["client_id"], "redirect_uri": REDIRECT_URI, "response_type": "code"}
        more = {"scope": scope, "state": "s", "prompt": "none"}
        return self._ask(host, "GET", "/oauth/authorize", dict(cookies), params={**query, **more})

    def _code(self, host: Instance, cookies: Cookies, scope: str) -> str:
        answer = self._authorize(host, cookies, scope)
        given = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
        if "code" not in given:
            self._ledger.blame(f"no code for somebody who is signed in: {answer.status_code} {given}")
            raise InDoubt("no code")
        return given["code"][0]

    def _credentials(self) -> dict[str, str]:
        return {"client_id": self._app["client_id"], "client_secret": self._app["client_secret"]}

    def _redeem(self, host: Instance, code: str) -> requests.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI}
        return self._ask(host, "POST", "/oauth/token", {}, data={**form, **self._credentials()})

    def _redeemed(self, host: Instance, code: str) -> dict[str, str]:
        answer = self._redeem(host, code)
        if answer.status_code != 200:
            self._ledger.blame(f"a code of the other host is refused: {answer.text[:150]}")
            raise InDoubt("no tokens")
        return dict(answer.json())

    def _log_in(self, code_at: Instance, token_at: Instance, cookies: Cookies, scope: str) -> dict[str, str]:
        return self._redeemed(token_at, self._code(code_at, cookies, scope))

    def _userinfo(self, host: Instance, tokens: Mapping[str, str]) -> requests.Response:
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self._ask(host, "GET", "/oauth/userinfo", {}, headers=bearer)

    def _refresh(self, host: Instance, tokens: Mapping[str, str]) -> requests.Response:
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **self._credentials()}
        return self._ask(host, "POST", "/oauth/token", {}, data=form)

    def _refreshed(self, host: Instance, tokens: Mapping[str, str]) -> None:
        answer = self._refresh(host, tokens)
        self._expect("a refresh token of the other host", answer, 200)
