"""Load on several hosts, and one thing after the other that breaks."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import requests
from cluster import ReachableCluster
from people import PATIENCE, Ledger, compare_ledger
from revocations import Revocations
from several_hosts import PEOPLE, Host, Site
from timeline import Timeline
from visitor import Visitor

LISTED = 1_500  # addresses that may register
PUBLISHED_EVERYWHERE = 65  # seconds: every process reads the keys again once a minute


class Trial:
    """Load, and one thing after the other that breaks.

    Args:
        site: the provider.
        cluster: its database.
        notice: seconds that the proxy may take to notice that something is well again.
        pause: seconds between two things that somebody does.
        say: is told what happens.
    """

    def __init__(
        self, site: Site, cluster: ReachableCluster, notice: float, pause: float, say: Callable[[str], None]
    ) -> None:
        self.site, self.cluster, self._notice, self._pause, self._say = site, cluster, notice, pause, say
        self.ledger, self.timeline = Ledger(), Timeline(has_proxy=site.trust is not None)
        self._stop, self._published_by = threading.Event(), 0.0
        hops = {} if site.trust is None else {"X-Forwarded-For": "192.0.2.7"}
        self._revocations = Revocations(site.hosts, self.ledger, hops)
        self.visitors = [Visitor(site, self.ledger, self.timeline, number, 1) for number in range(PEOPLE)]

    def fill(self) -> None:
        """Make database, people and apps, and start the hosts."""
        first, *others = self.site.hosts
        first.fill(LISTED)
        self._revocations.fill()
        for each in others:
            each.command("init")  # its folder; the database is there
        for each in self.site.hosts:
            each.start()

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Have people come and go for the block."""
        self.timeline.started = time.monotonic()
        runs = [threading.Thread(target=each.run, args=(self._stop, self._pause)) for each in self.visitors]
        runs.append(threading.Thread(target=self.timeline.watch, args=(self._stop,)))
        for thread in runs:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in runs:
                thread.join()

    def calm(self, seconds: float, looks: int = 1) -> None:
        """Let things be whole for a while, and look meanwhile whether one host knows what the other was told.

        Args:
            seconds: at least.
            looks: how many, at least.
        """
        time.sleep(self._notice)
        over_at = time.monotonic() + seconds - self._notice
        while looks > 0 or time.monotonic() < over_at:
            self._revocations.look()
            looks -= 1

    @contextlib.contextmanager
    def broken(self, name: str, excused: int | None) -> Iterator[None]:
        """Have something be broken for the block, and be told of it."""
        self._say(f"{self.timeline.now():6.1f} s  {name}")
        with self.timeline.broken(name, excused, self._notice):
            yield
        self._say(f"{self.timeline.now():6.1f} s  over")

    # -- What breaks -----------------------------------------------------------------------

    def kill_host(self, host: Host, seconds: float) -> None:
        """Kill every process of a host; start it again after a while. Requests that it had at hand are lost."""
        with self.broken(f"{host.place.name} killed", 2 * PEOPLE):
            host.kill_all()
            time.sleep(seconds)
            host.start()

    def cut_host(self, host: Host, seconds: float, *, and_kill: bool) -> None:
        """Cut a host's wire, as when its power fails: nobody hears of it any more."""
        told = "lost its power" if and_kill else "cut off"
        with self.broken(f"{host.place.name} {told}", 2 * PEOPLE):
            host.place.cut()
            if and_kill:
                time.sleep(0.2)
                host.signal_all(signal.SIGKILL)
                host.server.wait(30)
            time.sleep(seconds)
            host.place.join()
            if and_kill:
                host.start()

    def restart_database(self, mode: str) -> None:
        """Restart the database: `fast` rolls back what is under way, `immediate` drops everything, as a crash does."""
        with self.broken(f"database restarted ({mode})", None):
            self.cluster.stop(mode)
            self.cluster.start()

    def cut_database(self, seconds: float) -> None:
        """Cut the database's wire: nobody is told that it is gone."""
        with self.broken("database cut off", None):
            self.cluster.place.cut()
            time.sleep(seconds)
            self.cluster.place.join()

    def replace_hosts(self) -> None:
        """Stop and start one host after the other, as an upgrade does."""
        for host in self.site.hosts:
            with self.broken(f"{host.place.name} replaced", 0):
                host.stop()
                host.start()
            self.calm(2)

    # -- Keys --------------------------------------------------------------------------------

    def publish_keys(self) -> None:
        """Begin a rotation."""
        self.site.hosts[0].command("keys", "rotate")
        self.timeline.mark("next keys published")
        self._published_by = time.monotonic() + PUBLISHED_EVERYWHERE

    def activate_keys(self) -> None:
        """Have the next keys sign, as if they had been published for long enough, and look that nobody is surprised."""
        time.sleep(max(0.0, self._published_by - time.monotonic()))
        listed = json.loads(self.site.hosts[0].command("keys", "list", "--json"))
        following = {each["kid"] for each in listed if each["state"] == "next"}
        for host in self.site.hosts:
            for _ in range(12):  # each of its processes answers some of them
                published = {
                    each["kid"] for each in requests.get(f"{host.door}/oauth/jwks", timeout=PATIENCE).json()["keys"]
                }
                if missing := following - published:
                    self.ledger.blame(f"{host.place.name} does not publish {missing} after a minute")
        self.cluster.run("UPDATE signing_key SET created_at = created_at - 90000 WHERE state = 'next'")
        self.site.hosts[1].command("keys", "rotate")
        self.timeline.mark("next keys sign")
        listed = json.loads(self.site.hosts[0].command("keys", "list", "--json"))
        if not following <= {each["kid"] for each in listed if each["state"] == "active"}:
            self.ledger.blame("the next keys do not sign")

    # -- In the end ------------------------------------------------------------------------------

    def settle(self) -> Sequence[str]:
        """Look at the data, and return everything that is wrong."""
        for each in self.visitors:
            each.look_back("all of it")
        for each in self.site.hosts[0].contradictions():
            self.ledger.blame(each)
        compare_ledger(self.site, self.ledger)  # type: ignore[arg-type]
        return [*self.ledger.wrong, *self.timeline.judge()]


STEPS: Mapping[str, Callable[[Trial], None]] = {
    "kill": lambda trial: trial.kill_host(trial.site.hosts[0], 6),
    "cut": lambda trial: trial.cut_host(trial.site.hosts[1], 10, and_kill=False),
    "restart-database": lambda trial: trial.restart_database("fast"),
    "crash-database": lambda trial: trial.restart_database("immediate"),
    "keys": lambda trial: trial.activate_keys(),
    "cut-database": lambda trial: trial.cut_database(8),
    "replace": lambda trial: trial.replace_hosts(),
    "power": lambda trial: trial.cut_host(trial.site.hosts[0], 20, and_kill=True),
}


def everything(trial: Trial, only: Collection[str]) -> None:
    """Break one thing after the other.

    Args:
        only: names of steps, where not all are wanted.
    """
    trial.publish_keys()
    trial.calm(8)
    for name, step in STEPS.items():
        if not only or name in only:
            step(trial)
            trial.calm(8)


def the_shortest(trial: Trial) -> None:
    """Break what breaks without namespaces."""
    one, two = trial.site.hosts
    trial.calm(3)
    trial.kill_host(one, 2)
    trial.calm(4)
    trial.restart_database("fast")
    trial.calm(3)
    trial.restart_database("immediate")
    trial.calm(2, looks=2)
    trial.kill_host(two, 1)
    trial.calm(2)
