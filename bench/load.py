"""Holds a mixed load for half an hour and looks whether memory, latency and answers stay as they are.

    python bench/load.py                          # 30 minutes at 70 % of what this machine can do
    python bench/load.py --minutes 2              # a quick look
    python bench/load.py --share 0.5 --plot /tmp/load.svg --samples /tmp/load.json

Makes a provider of its own (SQLite, production settings, bcrypt cost 12), starts `idp serve --workers 2`, signs
everybody in, measures for a while how much it can do, and then sends things at random moments, whether or not those
before are answered: what comes late counts from when it was due. Every answer is checked. Exit code 0 when the verdict
is good.
"""

import argparse
import json
import queue
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from load_report import EVERY, THREADS, Counted, Sample, judge, plot, summary
from mail_sink import MailSink
from mixed_load import FailedError, Mixed, WrongAnswerError
from samples import read_files, read_metric, read_processes, read_rows

from instance import PASSWORD, Instance

CLOSED_THREADS = 12  # for the capacity
FULL_LENGTH = 30  # minutes
DESKS = 10  # apps that people register with
METRICS_TOKEN = "for-this-run-and-no-other"
PLOT = Path(__file__).resolve().parent.parent / "docs" / "images" / "load.svg"


@dataclass
class Run:
    """Counts what is done and keeps samples."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    done: int = 0
    due: int = 0

    def do(self, mixed: Mixed, name: str, due_at: float) -> None:
        """Do one thing and note how it went.

        Args:
            due_at: when it should have begun, by `time.monotonic`.
        """
        try:
            name = mixed.do(name)
        except WrongAnswerError as fault:
            with self.lock:
                self.wrong.append(f"{name}: {fault}")
            return
        except FailedError as fault:
            with self.lock:
                self.failed.append(f"{name}: {fault}")
            return
        except Exception as fault:
            with self.lock:
                self.wrong.append(f"{name}: {fault!r}")
            return
        took = 1000 * (time.monotonic() - due_at)
        with self.lock:
            self.done += 1
            self.latencies.setdefault(name, []).append(took)

    def take(self) -> tuple[int, dict[str, list[float]]]:
        """Return what came together since the last time, and begin anew."""
        with self.lock:
            due, found = self.due, self.latencies
            self.due, self.latencies = 0, {}
            return due, found


def make_instance(folder: Path, people: int, sink: MailSink) -> Instance:
    """Make a provider with production settings; every account has one password, which is hashed once."""
    from sqlalchemy import update  # noqa: PLC0415 - needed for this only

    from idp.accounts import registration  # noqa: PLC0415
    from idp.accounts.users import Person as Account  # noqa: PLC0415
    from idp.accounts.visitor import OPERATOR  # noqa: PLC0415
    from idp.models import User  # noqa: PLC0415
    from idp.settings import Settings  # noqa: PLC0415
    from idp.storage.database import open_session  # noqa: PLC0415

    settings = {
        "IDP_BCRYPT_COST": "12",
        "IDP_REGISTRATION": "open",
        "IDP_PROXY_HOPS": "1",  # everybody has a network of their own, so that throttles are those of production
        "IDP_METRICS_TOKEN": METRICS_TOKEN,
        "IDP_SMTP_HOST": "127.0.0.1",
        "IDP_SMTP_PORT": str(sink.port),
        "IDP_SMTP_SECURITY": "none",
        "IDP_MAIL_FROM": "login@example.org",
    }
    instance = Instance(folder, settings=settings, people=1)
    del instance.environ["IDP_THROTTLE_ADDRESS_BURST"], instance.environ["IDP_THROTTLE_ACCOUNT_BURST"]
    instance.fill(listed=1)
    key = (instance.folder / "secret_key").read_text().strip()
    with open_session(Settings(instance=instance.folder, issuer=instance.issuer, secret_key=key)) as db:
        for number in range(1, people):
            account = Account(f"p{number}", f"p{number}@example.org")
            registration.add_user(db, Settings(issuer=instance.issuer), OPERATOR, account, None)
        db.flush()
        hashed = db.query(User.password_hash).filter(User.username == "p0").scalar()
        assert hashed, PASSWORD
        db.execute(update(User).values(password_hash=hashed))
    return instance


def registering_apps(instance: Instance) -> list[dict[str, str]]:
    """Add the apps that people register with: throttles let each have one in five seconds, beside the first fifty."""
    return [instance.machine, *(instance.add_machine(f"Desk {number}") for number in range(1, DESKS))]


def sign_everybody_in(mixed: Mixed, run: Run) -> None:
    """Begin with everybody signed in."""
    waiting = list(mixed.idle)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                waiting.pop()
            run.do(mixed, "sign-in", time.monotonic())

    _in_threads(work, 4)


def measure_capacity(mixed: Mixed, run: Run, seconds: float) -> float:
    """Return how many things a second are done when each of some threads begins the next as soon as one is over."""
    begins_at = time.monotonic() + min(10, seconds / 3)
    ends_at = begins_at + seconds
    counted = [0]

    def work() -> None:
        while time.monotonic() < ends_at:
            run.do(mixed, mixed.choose(), time.monotonic())
            if begins_at <= time.monotonic() < ends_at:
                with run.lock:
                    counted[0] += 1

    _in_threads(work, CLOSED_THREADS)
    return counted[0] / seconds


def hold(instance: Instance, mixed: Mixed, run: Run, rate: float, seconds: float) -> list[Sample]:
    """Send things at random moments, so many a second on average, and take samples.

    Args:
        rate: things a second.
        seconds: for how long.
    """
    due: queue.SimpleQueue[tuple[str, float] | None] = queue.SimpleQueue()
    chance = random.Random(7)

    def work() -> None:
        while (task := due.get()) is not None:
            run.do(mixed, *task)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    begin = time.monotonic()

    def send() -> None:
        at = begin
        while (at := at + chance.expovariate(rate)) < begin + seconds:
            time.sleep(max(0.0, at - time.monotonic()))
            due.put((mixed.choose(), at))
            with run.lock:
                run.due += 1

    sender = threading.Thread(target=send, daemon=True)
    run.take()
    sender.start()
    samples: list[Sample] = []
    before = sum(each.seconds for each in read_processes(instance).values())
    last_at = begin
    for number in range(1, int(seconds // EVERY) + 1):
        time.sleep(max(0.0, begin + number * EVERY - time.monotonic()))
        processes, now = read_processes(instance), time.monotonic()
        busy = sum(each.seconds for each in processes.values())
        counted, latencies = run.take()
        samples.append(
            Sample(
                at=now - begin,
                due=counted,
                latencies=latencies,
                waiting=due.qsize(),
                memory={name: each.proportional / 1024 for name, each in processes.items()},
                resident={name: each.resident / 1024 for name, each in processes.items()},
                files=sum(each.files for each in processes.values()),
                sizes=read_files(instance),
                rows=read_rows(instance),
                cpu=(busy - before) / (now - last_at),
            )
        )
        before, last_at = busy, now
        print(summary(samples[-1]), flush=True)
    sender.join()
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join(120)
    return samples


def _in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def check_afterwards(instance: Instance, mixed: Mixed, sink: MailSink, run: Run) -> None:
    """Compare the data with what was acknowledged, once the mail has gone."""
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at and (read_rows(instance).get("mails", 0) or not sink.has_all(mixed.registered)):
        time.sleep(1)
    if missing := sink.missing(mixed.registered):
        run.wrong.append(f"{len(missing)} acknowledged registrations got no mail: {missing[:3]}")
    listed = {each["email"] for each in json.loads(instance.command("user", "list", "--json"))}
    if lost := set(mixed.registered) - listed:
        run.wrong.append(f"{len(lost)} acknowledged registrations are not there: {sorted(lost)[:3]}")
    run.wrong += instance.contradictions()
    counted = read_metric(instance, METRICS_TOKEN, "idp_requests_total")
    if not counted or counted < run.done:
        run.wrong.append(f"/metrics counts {counted} requests for {run.done} things done")


def main() -> None:
    """Read the command line, run, and give the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=FULL_LENGTH, help=f"how long (default: {FULL_LENGTH})")
    parser.add_argument("--share", type=float, default=0.7, help="of the capacity (default: 0.7)")
    parser.add_argument("--rate", type=float, default=0.0, help="things a second, instead of a share of the capacity")
    parser.add_argument("--people", type=int, default=200, help="accounts that are in use (default: 200)")
    parser.add_argument("--plot", type=Path, help="SVG file (default: docs/images/load.svg for a full run)")
    parser.add_argument("--samples", type=Path, help="also write the samples, as JSON")
    given = parser.parse_args()
    if not 0.5 <= given.minutes <= 600 or not 0 < given.share <= 1 or not 50 <= given.people <= 60_000:
        parser.error("minutes from 0.5 to 600, share above 0 to 1, people from 50 to 60000")
    run = Run()
    with tempfile.TemporaryDirectory(prefix="idp-load-") as folder, MailSink() as sink:
        instance = make_instance(Path(folder), given.people, sink)
        try:
            instance.start()
            mixed = Mixed(instance, given.people, seed=1, desks=registering_apps(instance))
            sign_everybody_in(mixed, run)
            rate = given.rate
            title = f"{rate:.0f} things a second"
            if not rate:
                capacity = measure_capacity(mixed, run, min(30, 10 * given.minutes))
                rate = given.share * capacity
                title = f"{rate:.0f} things a second, {100 * given.share:.0f} % of capacity"
                print(f"capacity {capacity:.1f}/s; holding {rate:.1f}/s for {given.minutes:g} minutes", flush=True)
            if run.failed:
                print(f"{len(run.failed)} were not answered in time while as much as possible was asked", flush=True)
                run.failed.clear()
            samples = hold(instance, mixed, run, rate, 60 * given.minutes)
            check_afterwards(instance, mixed, sink, run)
        finally:
            instance.stop()
            if run.wrong or run.failed:
                print(instance.last_words()[-1500:])
    where = given.plot or (PLOT if given.minutes >= FULL_LENGTH else Path(tempfile.gettempdir()) / "idp-load.svg")
    plot(where, samples, f"Mixed load for {given.minutes:g} minutes: {title}")
    if given.samples:
        given.samples.write_text(json.dumps([each.as_json() for each in samples], indent=1))
    findings = judge(samples, Counted(run.done, len(run.wrong), len(run.failed)))
    for each in [*run.wrong[:20], *run.failed[:20]]:
        print(f"  {each}")
    for finding in findings:
        print(f"{'ok   ' if finding.is_good else 'WRONG'}  {finding.told}")
    is_good = all(finding.is_good for finding in findings)
    print(f"{'All stayed as it was.' if is_good else 'Not all stayed as it was.'} Plot: {where}")
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
