"""A person whose requests go through a proxy or to any host, and who notes which of them answered."""

import requests
from joserfc.errors import JoseError
from people import PATIENCE, InDoubt, Ledger, Person
from several_hosts import Site
from timeline import Timeline

from instance import AWAY


class Visitor(Person):
    """A person whose requests go through the proxy, or to any host that can be reached."""

    def __init__(self, site: Site, ledger: Ledger, timeline: Timeline, number: int, seed: int) -> None:
        self._site, self._timeline = site, timeline
        self._served_by = ""
        self._given_by: dict[str, str] = {}
        super().__init__(site, ledger, number, seed)  # type: ignore[arg-type]

    @property
    def browser(self) -> requests.Session:
        """The browser; each new one comes from the person's own address."""
        return self._browser

    @browser.setter
    def browser(self, _fresh: requests.Session) -> None:
        self._browser = self._site.new_browser(self.number)

    def send(self, method: str, path: str, **more: object) -> requests.Response:
        """Send a request, and note how it ended."""
        began, what = self._timeline.now(), f"{method} {path.partition('?')[0]}"
        try:
            answer = self._send_to_any(method, path, **more)
        except AWAY as fault:
            self._timeline.note("lost", f"{what} ({type(fault).__name__})", began)
            raise
        self._served_by = answer.headers.get("X-Served-By", self._served_by).rpartition(" ")[2]
        if answer.status_code == 503 and answer.headers.get("Retry-After"):
            self._timeline.note("503", what, began)
            raise InDoubt("busy")
        self._timeline.note("ok", what, began)
        if answer.status_code >= 500 or answer.status_code == 429:
            self.ledger.blame(f"{what}: {answer.status_code}")
            raise InDoubt(str(answer.status_code))
        return answer

    def _send_to_any(self, method: str, path: str, **more: object) -> requests.Response:
        doors = self.chance.sample(self._site.doors, len(self._site.doors))
        for door in doors:
            try:
                self._served_by = door
                return self.browser.request(method, door + path, allow_redirects=False, timeout=PATIENCE, **more)  # type: ignore[arg-type]
            except requests.ConnectionError as fault:
                if door == doors[-1] or "NewConnectionError" not in repr(fault):
                    raise
        raise AssertionError

    def redeem(self, code: str, after: str = "") -> None:
        """Redeem a code, and note whether another host had made it."""
        made_by = self._served_by
        super().redeem(code, after)
        if made_by != self._served_by and not after:
            self.ledger.note("code redeemed at the other host")

    def refresh(self, after: str = "") -> None:
        """Use a refresh token, and note whether another host had made it."""
        made_by = self._given_by.pop(self.unused[0], "") if self.unused else ""
        super().refresh(after)
        if made_by and made_by != self._served_by:
            self.ledger.note("refreshed at the other host")

    def _keep(self, answer: requests.Response) -> None:
        self._given_by[answer.json()["refresh_token"]] = self._served_by
        if "id_token" in answer.json():
            try:
                self._site.verify(answer.json()["id_token"], lambda: self.send("GET", "/oauth/jwks"))
            except JoseError as fault:
                self.ledger.blame(f"an ID token of {self._served_by} does not verify: {fault!r}")
        super()._keep(answer)
