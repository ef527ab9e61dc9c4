"""What every fault is tried on: a provider with people at work, and what is looked at when it is over."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import requests
from people import Ledger, Person, compare_ledger, csrf_of

from instance import AWAY, PASSWORD, Instance

PEOPLE = 4


class Stage:
    """A provider in a folder of its own, four people, and the ledger of what was acknowledged to them.

    Args:
        folder: an empty one.
        settings: more environment variables of the provider.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, database: str = "") -> None:
        self.folder = folder
        self.instance = Instance(folder, database, settings, people=PEOPLE)
        self.ledger = Ledger()
        self.told: list[str] = []
        self.people: list[Person] = []

    def begin(self) -> None:
        """Make the provider and start it."""
        self.instance.fill(listed=2_000)
        self.instance.start()
        self.new_people()

    def new_people(self) -> None:
        """Forget what was acknowledged to everybody, but not what they registered and signed out of."""
        made = max((each.made for each in self.people), default=0)
        self.people = [Person(self.instance, self.ledger, number, seed=len(self.told)) for number in range(PEOPLE)]
        for each in self.people:
            each.made = made

    def tell(self, what: str) -> None:
        """Note a figure or an observation for the report."""
        self.told.append(what)

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Blame the provider unless something is so."""
        if not is_so:
            self.ledger.blame(otherwise)

    @contextlib.contextmanager
    def load(self, pause: float = 0.02) -> Iterator[None]:
        """Have everybody at work while the block lasts."""
        stop = threading.Event()
        threads = [threading.Thread(target=each.run, args=(stop, pause)) for each in self.people]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def wait_for(self, what: str, times: int, seconds: float) -> bool:
        """Wait until something has happened so often more than now; tells whether it did."""
        goal, give_up_at = self.ledger.counts[what] + times, time.monotonic() + seconds
        while self.ledger.counts[what] < goal and time.monotonic() < give_up_at:
            time.sleep(0.1)
        return self.ledger.counts[what] >= goal

    def status(self, path: str, **more: object) -> int:
        """Return the status of a GET; 0 for no answer."""
        with contextlib.suppress(*AWAY):
            return requests.get(self.instance.issuer + path, allow_redirects=False, timeout=30, **more).status_code  # type: ignore[arg-type]
        return 0

    def seconds_until_signing_in_works(self, most: float) -> float | None:
        """Try to sign in until it works; returns how long that took, or None."""
        begin = time.monotonic()
        while time.monotonic() < begin + most:
            with contextlib.suppress(*AWAY):
                Person(self.instance, self.ledger, 0, seed=0).sign_in()
                return time.monotonic() - begin
            time.sleep(0.2)
        return None

    def try_sign_in(self, number: int, password: str = PASSWORD) -> requests.Response:
        """Send the sign-in form from a new browser and return whatever comes."""
        with requests.Session() as browser:
            page = browser.get(f"{self.instance.issuer}/sign-in", timeout=30)
            form = {"username": f"p{number}", "password": password, "csrf_token": csrf_of(page)}
            return browser.post(f"{self.instance.issuer}/sign-in", data=form, allow_redirects=False, timeout=60)

    def check_all(self, after: str, but: Iterable[str] = ()) -> None:
        """Look whether everything that was acknowledged is there, and nothing contradicts itself.

        Args:
            after: what happened.
            but: names of invariants that do not count here.
        """
        if not self.instance.is_ready_within(300):
            self.ledger.blame(f"not ready after {after}: {self.instance.last_words()[-500:]}")
            return
        for person in self.people:
            person.look_back(after)
        for each in self.instance.contradictions(but):
            self.ledger.blame(f"after {after}: {each}")
        compare_ledger(self.instance, self.ledger)
