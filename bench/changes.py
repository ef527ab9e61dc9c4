"""People whose accounts change under them: by an operator, by themselves, and by the app that gives tokens back."""

import json
from dataclasses import dataclass

import requests
from people import InDoubt, Ledger, Person, csrf_of

from instance import PASSWORD, Instance


@dataclass(frozen=True)
class Held:
    """What somebody held before a change that ends it."""

    cookie: str
    refresh_tokens: tuple[str, ...]
    access_token: str


class Changer(Person):
    """A person who also changes the password, takes tokens back, and is disabled and enabled again.

    What an acknowledged change has ended must stay so; where the answer did not come, it has happened or has not.
    """

    def __init__(self, instance: Instance, ledger: Ledger, number: int, seed: int) -> None:
        super().__init__(instance, ledger, number, seed)
        self.actions = (
            *self.actions, self.change_password, self.give_back, self.withdraw, self.be_disabled
        )  # fmt: skip
        self.sign_ins = 0  # acknowledged
        self.changes = 0
        self.former = ""  # a password that an acknowledged change made worthless
        self.doubted: tuple[str, ...] = ()  # one of these is the password
        self.must_be_enabled = False
        self.is_disabled = False  # acknowledged
        self.ended: list[Held] = []

    def sign_in(self) -> None:
        """Sign in; whatever is in doubt is settled first."""
        self._settle()
        super().sign_in()
        self.sign_ins += 1

    def change_password(self) -> None:
        """Change the password: this session goes on, under a new secret, and nothing else."""
        if not self.is_signed_in:
            return
        page = self.send("GET", "/account/password")
        held = self._give_up_all()
        self.changes += 1
        new = f"{PASSWORD} {self.number} {self.changes}"
        self.doubted = (self.password, new)
        form = {"current_password": self.password, "new_password": new, "csrf_token": csrf_of(page)}
        answer = self.send("POST", "/account/password", data=form)
        if answer.status_code != 303:
            self.ledger.blame(f"a new password is refused: {answer.status_code}")
            return
        self.former, self.password, self.doubted = self.password, new, ()
        self.is_signed_in = True
        self._note(held, "password")

    def give_back(self) -> None:
        """Have the app give its newest refresh token back."""
        if not self.unused:
            return
        token, web = self.unused.pop(), self.instance.web
        form = {"token": token, "client_id": web["client_id"], "client_secret": web["client_secret"]}
        if self.send("POST", "/oauth/revoke", data=form).status_code == 200:
            self._note(Held("", (token,), ""), "token back")

    def withdraw(self) -> None:
        """Take back what the app was allowed: its tokens end, the session goes on."""
        if not self.is_signed_in:
            return
        page = self.send("GET", "/account")
        held = self._give_up_all()
        self.is_signed_in = True
        form = {"withdraw": self.instance.web["client_id"], "csrf_token": csrf_of(page)}
        if self.send("POST", "/account/apps", data=form).status_code == 303:
            self._note(Held("", held.refresh_tokens, held.access_token), "app withdrawn")

    def be_disabled(self) -> None:
        """Be disabled by an operator, now and then, until the next sign-in."""
        if self.must_be_enabled or self.chance.random() < 0.7:
            return
        held = self._give_up_all()
        self.must_be_enabled = True
        if self.instance.try_command("user", "disable", f"p{self.number}").returncode == 0:
            self.is_disabled = True
            self._note(held, "disabled")

    def _give_up_all(self) -> Held:
        """Forget what one holds, which is about to end; returns it."""
        cookie = self.browser.cookies.get(self.instance.session_cookie) if self.is_signed_in else None
        held = Held(cookie or "", tuple(self.unused), self.access_token)
        self.is_signed_in, self.access_token = False, ""
        for each in (self.unused, self.used, self.unredeemed, self.redeemed):
            each.clear()
        return held

    def _note(self, held: Held, what: str) -> None:
        self.ended.append(held)
        self.ledger.note(what)

    def _settle(self) -> None:
        """Be enabled again, and find out which password counts."""
        if self.is_disabled and self._opens(self.password):
            self.ledger.blame("somebody who is disabled signs in")
        self.is_disabled = False
        if self.must_be_enabled:
            if self.instance.try_command("user", "enable", f"p{self.number}").returncode:
                raise InDoubt("not enabled")
            self.must_be_enabled = False
            self.ledger.note("enabled")
        if self.doubted:
            found = [each for each in self.doubted if self._opens(each)]
            if len(found) != 1:
                self.ledger.blame(f"{len(found)} passwords open an account, after a change without an answer")
            self.password, self.doubted = (*found, self.password)[0], ()

    def _opens(self, password: str) -> bool:
        """Tell whether a password lets in, with a browser of its own."""
        own, self.browser = self.browser, self.instance.new_browser()
        try:
            is_in = self.send_password(password).status_code == 303
        finally:
            self.browser = own
        self.sign_ins += is_in
        return is_in

    def _look_back(self, after: str) -> None:
        super()._look_back(after)
        self._settle()
        if not self._opens(self.password):
            self.ledger.blame(f"the password is refused{after}")
        if self.former and self._opens(self.former):
            self.ledger.blame(f"the former password lets in{after}")
        for held in self.ended:
            self._look_at(held, after)
        self.ledger.note("looked back", len(self.ended))
        self.ended.clear()

    def _look_at(self, held: Held, after: str) -> None:
        bearer = {"Authorization": f"Bearer {held.access_token}"}
        if held.access_token and self.send("GET", "/oauth/userinfo", headers=bearer).status_code == 200:
            self.ledger.blame(f"an access token that ended is good{after}")
        for token in held.refresh_tokens:
            if self.token({"grant_type": "refresh_token", "refresh_token": token}).status_code == 200:
                self.ledger.blame(f"a refresh token that ended is good{after}")
        if held.cookie:
            cookies = {self.instance.session_cookie: held.cookie}
            page = requests.get(f"{self.instance.issuer}/account", cookies=cookies, allow_redirects=False, timeout=45)
            if page.status_code == 200:
                self.ledger.blame(f"a session that ended is alive{after}")


def compare_sign_ins(instance: Instance, ledger: Ledger, person: Changer) -> None:
    """Look whether the audit tells of each sign-in that was acknowledged; it may tell of more."""
    whom = ("--user", f"p{person.number}", "--limit", "1000000")
    told = len(json.loads(instance.command("audit", "--event", "account:session:start", *whom, "--json")))
    if told < person.sign_ins:
        ledger.blame(f"p{person.number} signed in {person.sign_ins} times, and the audit tells of {told}")
