"""Kills the provider at random while it works, again and again, and then looks whether anything is lost or wrong.

    python bench/kill.py --rounds 100
    python bench/kill.py --rounds 100 --postgresql                # a PostgreSQL server of its own, killed as well
    python bench/kill.py --rounds 100 --database postgresql://postgres@127.0.0.1:5432/postgres

Each round has `idp serve` with two web processes and its worker under load, kills one of them, all of them, or the
server's main process with SIGKILL at a random moment, and goes on. After each round everybody looks whether what was
acknowledged to them is still true; after every fifth, `idp doctor --deep` reads the data; at the end a ledger of every
acknowledged registration, sign-out and sign-in is compared with it.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from changes import Changer, compare_sign_ins
from people import Ledger, compare_ledger
from postgres import Cluster

from instance import Instance

PEOPLE = 4
LOOK_EVERY = 5  # rounds between two readings of all data: what is wrong there stays wrong
OURS = ("web", "worker", "main", "everything")
THEIRS = ("database", "postmaster", "backend")


@dataclass
class Target:
    """What may be killed: the provider, and perhaps the database's server."""

    instance: Instance
    cluster: Cluster | None
    chance: random.Random
    web_killed_at: float = 0.0

    def kill(self, only: str | None) -> str:
        """Kill -9 one web process, the worker, the main process, all at once, or the database; returns what."""
        what = only or self.chance.choice([*OURS, "web", *(THEIRS if self.cluster else ())])
        if what in THEIRS:
            self._kill_database(what)
            return what
        if what == "web":  # granian takes two deaths within 5.5 seconds for a fault that restarts do not mend, and ends
            time.sleep(max(0.0, self.web_killed_at + 8 - time.monotonic()))
            self.web_killed_at = time.monotonic()
        running = self.instance.processes()
        everything = [each for found in running.values() for each in found]
        for target in everything if what == "everything" else [self.chance.choice(running[what] or [0])]:
            _kill(target)
        assert self.instance.server is not None
        if what in ("main", "everything"):
            self.instance.server.wait(120)
            self.instance.wait_until_free()
            self.instance.start()
        return what

    def _kill_database(self, what: str) -> None:
        assert self.cluster is not None
        if what == "backend":  # the server then ends all others, and recovers
            serving = self.cluster.serving()
            if serving:
                _kill(self.chance.choice(serving))
        else:
            if what == "postmaster":
                self.cluster.kill_postmaster()
            else:
                self.cluster.stop("immediate")
            time.sleep(self.chance.uniform(0, 0.5))
            self.cluster.start()


def _kill(pid: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(target: Target, rounds: int, seed: int, only: str | None, say: Callable[[str], None]) -> Ledger:
    """Kill and look, so many times.

    Args:
        target: what is killed.
        rounds: how many kills.
        seed: of everything that is left to chance, except the moments at which processes are scheduled.
        only: what to kill; nothing for any of it.
        say: is told what happens.
    """
    instance, chance, ledger = target.instance, target.chance, Ledger()
    instance.fill(listed=200 + 20 * rounds)
    instance.start()
    people = [Changer(instance, ledger, each, seed) for each in range(PEOPLE)]
    for number in range(1, rounds + 1):
        stop = threading.Event()
        threads = [threading.Thread(target=person.run, args=(stop,)) for person in people]
        for thread in threads:
            thread.start()
        try:
            time.sleep(chance.uniform(0.3, 1.5))
            wait_for_work(ledger)
            what = target.kill(only)
            time.sleep(chance.uniform(0.1, 0.5))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if not instance.is_ready_within(300):
            raise SystemExit(f"not ready again after round {number}, {what}:\n{instance.last_words()}")
        before = len(ledger.wrong)
        for person in people:
            person.look_back(f"round {number} ({what})")
        if number % LOOK_EVERY == 0 or number == rounds:
            for each in instance.contradictions():
                ledger.blame(f"after round {number} ({what}): {each}")
        ledger.note(f"killed: {what}")
        found = "".join(f"\n      {each}" for each in ledger.wrong[before:])
        say(f"{number:>4}  killed {what:<10}  {len(ledger.wrong)} wrong  {_counts(ledger)}{found}")
    compare_ledger(instance, ledger)
    for person in people:
        compare_sign_ins(instance, ledger, person)
    return ledger


def wait_for_work(ledger: Ledger) -> None:
    """Wait until the server is at work and somebody has logged in: on a slow machine that takes a while."""
    before, give_up_at = ledger.counts.total(), time.monotonic() + 300
    while ledger.counts.total() <= before or not ledger.counts["login"]:
        if time.monotonic() > give_up_at:
            raise SystemExit(f"nothing is acknowledged any more: {_counts(ledger)}")
        time.sleep(0.02)


def _counts(ledger: Ledger) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(ledger.counts.items()))


@contextlib.contextmanager
def own_database(server: str, name: str = "run") -> Iterator[str]:
    """Make a database on a PostgreSQL server for one run; nothing for SQLite."""
    if not server:
        yield ""
        return
    import psycopg  # noqa: PLC0415 - for PostgreSQL only

    name = f"idp_kill_{name}_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]


@contextlib.contextmanager
def own_cluster(folder: Path, wanted: bool) -> Iterator[Cluster | None]:
    """Run a PostgreSQL server for one run, where it is wanted."""
    if not wanted:
        yield None
        return
    cluster = Cluster(folder / "postgres")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def main() -> None:
    """Read the command line, run, and say what was wrong."""
    parser = argparse.ArgumentParser(description="Kill the provider under load, and look whether anything is lost.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--what", choices=(*OURS, *THEIRS), help="kill nothing else")
    parser.add_argument("--database", default="", help="a PostgreSQL server on which a database may be made")
    parser.add_argument("--postgresql", action="store_true", help="start a PostgreSQL server, and kill it too")
    given = parser.parse_args()
    if given.what in THEIRS and not given.postgresql:
        parser.error(f"--what {given.what} needs --postgresql")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idp-kill-", ignore_cleanup_errors=True)))
        folder.chmod(0o711)
        cluster = stack.enter_context(own_cluster(folder, given.postgresql))
        database = stack.enter_context(own_database(cluster.url if cluster else given.database))
        instance = Instance(folder, database, people=PEOPLE)
        stack.callback(instance.stop)
        ledger = run(
            Target(instance, cluster, random.Random(given.seed)),
            given.rounds,
            given.seed,
            given.what,
            lambda line: print(line, flush=True),
        )
        if ledger.wrong:
            shutil.copy(instance.log, Path(tempfile.gettempdir()) / "idp-kill.log")
    print(f"{given.rounds} kills; acknowledged: {_counts(ledger)}; wrong: {len(ledger.wrong)}")
    for each in ledger.wrong[:50]:
        print(f"  {each}")
    sys.exit(1 if ledger.wrong else 0)


if __name__ == "__main__":
    main()
