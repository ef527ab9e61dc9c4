#!/usr/bin/env python3
"""Print how cost grows: CPU milliseconds per operation with 10, 1,000, 100,000 and 1,000,000 people.

    python bench/growth.py --folder /var/tmp/growth
    python bench/growth.py --folder /var/tmp/growth --people 10 --people 1000 --rounds 2
    python bench/growth.py --folder /var/tmp/growth --database postgresql://postgres@127.0.0.1:5432/postgres --plot

The databases are built at the first time (a million people: about ten minutes and 4 GB of disk) and kept in the
folder, or on the server as idp_growth_PEOPLE, for three days: then the people's sessions are over. With PostgreSQL, the
server's own CPU time is in the figures where it runs on this machine.

Sizes take turns, a short burst of each operation at a time; a figure is the least of some rounds' means, since other
work on the machine only ever adds to it. Each repetition is done as another of 60 people, so that caches do not hide
the tables; all of them were there once before, so that no figure holds the disk's part.
"""

import argparse
import contextlib
import gc
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import plans
import plots
import population
import sqlalchemy as sa
from measure import APP, BASIC, OWNER, PASSWORD, SCOPE, SECRET, Answer, Bench
from sqlalchemy.orm import Session

from idp import crypto, worker
from idp.accounts import audit, registration, roles, sessions, users
from idp.accounts.visitor import OPERATOR
from idp.mail import queue
from idp.models import AuthorizationGrant, BrowserSession, RefreshToken, Throttle, User
from idp.oidc import backchannel, client_store, refresh_tokens
from idp.oidc.client_store import register_client
from idp.settings import Settings
from idp.storage import batches, database
from idp.web import exchange

SIZES = (10, 1_000, 100_000, 1_000_000)
POOL = 60  # people as whom operations are done
IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST = 1.2  # times the cost with 1,000 people: more is said aloud
Operation = tuple[str, Callable[[], object], Callable[[], object] | None, int]  # and by how much a figure is divided


class Crowd(Bench):
    """A provider with many people; what `measure.py` does, as any of them."""

    def __init__(self, settings: Settings, people: int) -> None:
        self.people = people
        with database.open_session(settings) as db:
            if users.find_user(db, "bench") is None:
                registration.add_user(db, settings, OPERATOR, OWNER, PASSWORD)
            if client_store.load_client(db, "bench") is None:
                register_client(db, settings, OPERATOR, APP, secret=SECRET)
            for condition in (User.username.startswith("newcomer"), User.username == "nobody"):
                db.execute(sa.delete(User).where(condition))
            db.execute(sa.delete(AuthorizationGrant).where(AuthorizationGrant.client_id == "bench"))
            db.execute(sa.delete(Throttle).where(Throttle.bucket.startswith("bench")))
        super().__init__(settings)
        self.engine = database.open_engine(settings)
        chosen = random.Random(1).sample(range(people), min(POOL, people))
        self.pool = [population.name_of(number) for number in chosen]
        self.session_of = {population.name_of(number): population.session_token(number) for number in chosen}
        self.cookie = exchange.cookie_names(settings).session
        self.turn = 0
        self.tokens = {name: self._begin(name) for name in self.pool}

    def _begin(self, name: str) -> dict[str, str]:
        self.become(name)
        return self.redeem(self.authorize(f"{SCOPE} offline_access"))

    def become(self, name: str) -> None:
        """Have a person's browser."""
        self.person = name
        self.cookies.clear()
        self.cookies[self.cookie] = self.session_of[name]

    def next(self) -> None:
        """Have the next person's browser."""
        self.turn += 1
        self.become(self.pool[self.turn % len(self.pool)])

    def cpu(self) -> float:
        """Return the CPU seconds that this process, and the database server for it, have taken so far."""
        spent = 0.0
        if self.settings.database_url:
            spent = sum(_cpu_of(pid) for pid in self.backends)
        return spent + time.process_time()

    def find_backends(self) -> None:
        """Look which of the server's processes work for this database."""
        self.backends: list[int] = []
        if self.settings.database_url:
            with self.engine.connect() as connection:
                query = sa.text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
                self.backends = list(connection.scalars(query))


def _cpu_of(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def operations(crowd: Crowd) -> Iterator[Operation]:
    """Yield name, operation, what prepares each repetition outside of the measurement, and a divisor."""

    def refresh() -> None:
        told = crowd.token(grant_type="refresh_token", refresh_token=crowd.tokens[crowd.person]["refresh_token"])
        crowd.tokens[crowd.person] = told

    def bearer() -> str:
        return "Bearer " + crowd.tokens[crowd.person]["access_token"]

    def introspect() -> Answer:
        token = crowd.tokens[crowd.person]["access_token"]
        return _good(crowd.call("POST", "/oauth/introspect", {"token": token}, BASIC))

    def forget() -> None:
        crowd.next()
        crowd.cookies.clear()

    yield "SSO login", lambda: crowd.redeem(crowd.authorize()), crowd.next, 1
    yield "refresh", refresh, crowd.next, 1
    yield "userinfo", lambda: _good(crowd.call("GET", "/oauth/userinfo", authorization=bearer())), crowd.next, 1
    yield "introspection", introspect, crowd.next, 1
    yield "client_credentials", lambda: crowd.token(grant_type="client_credentials"), None, 1
    yield "password sign-in, beside bcrypt", lambda: crowd.redeem(crowd.authorize()), forget, 1
    yield "registration, beside bcrypt", *_registration(crowd), 1
    yield "account page", lambda: _good(crowd.call("GET", "/account")), crowd.next, 1
    yield "sessions page", lambda: _good(crowd.call("GET", "/account/sessions")), crowd.next, 1
    yield from _of_operators(crowd)
    yield from _of_worker(crowd)


def _good(answer: Answer) -> Answer:
    assert answer.status == 200, (answer.status, answer.body[:300])
    return answer


def _registration(crowd: Crowd) -> tuple[Callable[[], object], Callable[[], object]]:
    form: dict[str, str] = {}

    def prepare() -> None:
        crowd.cookies.clear()
        page = crowd.call("GET", "/register").body.decode()
        form.update(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
        name = f"newcomer{crypto.new_id()[:12]}"
        form.update(username=name, email=f"{name}@example.org", password=f"{crypto.new_token()} a b")

    def register() -> None:
        answer = crowd.call("POST", "/register", form)
        assert answer.status == 303, (answer.status, answer.body[:300])

    return register, prepare


def _of_operators(crowd: Crowd) -> Iterator[Operation]:
    def list_page() -> None:
        with Session(crowd.engine) as db:
            page = users.list_users(db, after=population.name_of(crowd.people // 2), limit=5)
            roles.roles_of_many(db, [user.id for user in page])

    def show_audit() -> None:
        with Session(crowd.engine) as db:
            assert len(audit.list_events(db, event="account:session", limit=10)) == 10

    yield "idp user list, a page of 5", list_page, None, 1
    yield "idp audit, latest 10 of a kind", show_audit, None, 1


def _of_worker(crowd: Crowd) -> Iterator[Operation]:
    sweeps = {sweep.name: sweep for sweep in worker.SWEEPS}
    with Session(crowd.engine) as db:
        owner = users.get_user(db, "bench").id

    def write(*rows: tuple[Any, list[dict[str, Any]]]) -> None:
        with Session(crowd.engine) as db, db.begin():
            for table, values in rows:
                db.execute(sa.insert(table), values)

    def prepare_tokens() -> None:
        kept = crowd.tokens[crowd.pool[0]]["refresh_token"]
        with Session(crowd.engine) as db:
            digest = refresh_tokens.digest(kept)
            grant_id = db.scalar(sa.select(RefreshToken.grant_id).where(RefreshToken.token_digest == digest))
        write((RefreshToken, [population.old_token(grant_id) for _ in range(batches.BATCH)]))

    def prepare_throttle() -> None:
        write((Throttle, [{"bucket": f"bench:{crypto.new_id()}", "available_at": 1} for _ in range(batches.BATCH)]))

    def prepare_grants() -> None:
        ended = population.plain_session(owner, ended_at=1, end_reason="signed_out")
        count = batches.BATCH // sweeps["authorization_grant"].weight
        grants = [population.plain_grant(owner, ended["id"], client_id="bench") for _ in range(count)]
        write((BrowserSession, [ended]), (AuthorizationGrant, grants))

    idle = batches.BATCH // worker.END_OF_SESSION

    def prepare_sessions() -> None:
        rows = [population.plain_session(owner) for _ in range(idle)]
        grants = [population.plain_grant(owner, each["id"]) for each in rows]
        write((BrowserSession, rows), (AuthorizationGrant, grants))

    def sweep(name: str) -> Callable[[], None]:
        def run() -> None:
            with Session(crowd.engine) as db, db.begin():
                assert sweeps[name].delete_batch(db).done

        return run

    def sweep_grants() -> None:
        with Session(crowd.engine) as db, db.begin():
            walk = replace(worker._GRANTS)  # one that begins with the oldest
            assert walk.delete_some(db, most=batches.BATCH // sweeps["authorization_grant"].weight).done

    def end_idle() -> None:
        with Session(crowd.engine) as db, db.begin():
            assert sessions.end_expired(db, crowd.settings, most=idle) == idle

    def pick(claim: Callable[[Session], object]) -> Callable[[], None]:
        def run() -> None:
            with Session(crowd.engine) as db:
                claim(db)
                db.rollback()

        return run

    yield "sweep of a refresh token", sweep("refresh_token"), prepare_tokens, batches.BATCH
    yield "sweep of a throttle bucket", sweep("throttle"), prepare_throttle, batches.BATCH
    yield "sweep of a grant", sweep_grants, prepare_grants, batches.BATCH // 2
    yield "end of an idle session", end_idle, prepare_sessions, idle
    tell = backchannel._claim_next
    yield "logout queue, a pick", pick(lambda db: [tell(db, app) for app in backchannel._apps_to_tell(db)]), None, 1
    yield "mail queue, a look", pick(lambda db: queue.claim_next(db, 5)), None, 1


def burst(crowd: Crowd, operation: Operation, seconds: float, warm: int) -> float:
    """Repeat an operation for a while and return the mean CPU milliseconds.

    Args:
        warm: how often it is done before, unmeasured.
    """
    _, run, prepare, divisor = operation
    for _ in range(warm):
        if prepare:
            prepare()
        run()
    crowd.find_backends()
    spent, count, end = 0.0, 0, time.monotonic() + seconds
    gc.disable()
    while time.monotonic() < end or count < 3:
        if prepare:
            prepare()
        before = crowd.cpu()
        run()
        spent += crowd.cpu() - before
        count += 1
    gc.enable()
    return 1000 * spent / count / divisor


def statements(crowd: Crowd, operation: Operation) -> tuple[int, set[str]]:
    """Count an operation's SQL statements, and return the growing tables that one of them reads from end to end."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        asked.append((sql, parameters[0] if many else parameters))

    _, run, prepare, _ = operation
    if prepare:
        prepare()
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    run()
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    read: set[str] = set()
    with crowd.engine.connect() as connection:
        for sql, parameters in asked:
            read |= plans.whole_tables(connection, sql, parameters, is_small=False)
            connection.rollback()
    return len([sql for sql, _ in asked if not sql.startswith(("BEGIN", "SAVEPOINT", "RELEASE"))]), read


def measure(
    crowds: list[Crowd], rounds: int, seconds: float, only: str, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure operations at all sizes, in turns."""
    prepared = [list(operations(crowd)) for crowd in crowds]
    figures: list[dict[str, Any]] = []
    for number, (name, *_) in enumerate(prepared[0]):
        if only not in name:
            continue
        say(f"  {name} ...")
        counted = [statements(crowd, each[number]) for crowd, each in zip(crowds, prepared, strict=True)]
        least = [float("inf")] * len(crowds)
        for turn in range(rounds):
            for position, crowd in enumerate(crowds):
                warm = 2 if turn else len(crowd.pool)
                least[position] = min(least[position], burst(crowd, prepared[position][number], seconds, warm))
        figures.append({
            "operation": name, "cpu_ms": dict(zip((crowd.people for crowd in crowds), least, strict=True)),
            "statements": [count for count, _ in counted], "reads_whole": sorted(counted[-1][1]),
        })  # fmt: skip
    return figures


def database_for(server: str, people: int) -> str:
    """Return the URL of the database for so many people, made if it is missing; empty for SQLite."""
    if not server:
        return ""
    import psycopg  # noqa: PLC0415 - for PostgreSQL only

    name = f"idp_growth_{people}"
    with psycopg.connect(server, autocommit=True) as admin:
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def show(figures: list[dict[str, Any]], sizes: list[int]) -> None:
    """Print the table."""
    print(f"{'CPU ms per operation':34}" + "".join(f"{size:>12,}" for size in sizes) + "   growth  statements")
    for each in figures:
        costs = list(each["cpu_ms"].values())
        ratio = costs[-1] / costs[_base(costs)]
        told = f"{each['operation']:34}" + "".join(f"{cost:12.3f}" for cost in costs)
        told += f"{100 * (ratio - 1):+8.0f} %{_range(each['statements']):>12}{'  !' if ratio > MOST else ''}"
        print(told + (f"  reads all of {', '.join(each['reads_whole'])}" if each["reads_whole"] else ""))
    print(f"\ngrowth: the last column against {sizes[_base(sizes)]:,} people; ! where it is more than 20 %")


def _base(of_sizes: Sequence[float]) -> int:
    """Return which size the last is compared with: the second of three or more, for the smallest is hardly a table."""
    return 1 if len(of_sizes) > 2 else 0


def _range(counts: list[int]) -> str:
    return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def draw_figures(file: Path, engine: str, figures: list[dict[str, Any]]) -> None:
    """Draw the table: a line that runs level is an operation that does not care how many people there are."""
    groups = {
        "What apps ask for": ("SSO", "refresh", "userinfo", "introspection", "client_credentials"),
        "What people do": ("password", "registration", "account page", "sessions page"),
        "What operators and the worker do": ("idp ", "sweep", "end of", "logout queue", "mail queue"),
    }
    panels = []
    for title, beginnings in groups.items():
        chosen = [each for each in figures if each["operation"].startswith(beginnings)]
        if chosen:
            lines = [plots.Series(each["operation"].partition(",")[0], list(each["cpu_ms"].items())) for each in chosen]
            panels.append(plots.Panel(title, "CPU ms", lines, is_logarithmic=True))
    title = f"Cost of operations on {engine} as people become more"
    plots.draw(file, title, "people", panels, is_x_logarithmic=True)


def main() -> None:
    """Build what is missing, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "idp-growth",
                        help="where databases are kept (default: %(default)s)")  # fmt: skip
    parser.add_argument("--database", default="", help="a PostgreSQL server on which databases may be made")
    parser.add_argument("--people", type=int, action="append", help="a size; may be repeated (default: all four)")
    parser.add_argument("--only", default="", help="operations whose name holds this")
    parser.add_argument("--rounds", type=int, default=4, help="bursts of each operation at each size (default: 4)")
    parser.add_argument("--seconds", type=float, default=0.25, help="that a burst takes (default: 0.25)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", action="store_true", help=f"draw {IMAGES}/growth-ENGINE.svg")
    given = parser.parse_args()
    sizes = sorted(set(given.people or SIZES))

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    crowds = []
    for people in sizes:
        say(f"{people:,} people ...")
        url = database_for(given.database, people)
        crowds.append(Crowd(population.prepare(given.folder, people, url, say), people))
    figures = measure(crowds, max(1, given.rounds), min(max(given.seconds, 0.02), 60.0), given.only, say)
    for crowd in crowds:
        crowd.engine.dispose()
    engine = "PostgreSQL" if given.database else "SQLite"
    if given.plot:
        file = IMAGES / f"growth-{engine.lower()}.svg"
        draw_figures(file, engine, figures)
        say(f"drew {file}")
    if given.json:
        print(json.dumps({"engine": engine, "figures": figures}, indent=1))
    else:
        show(figures, sizes)


if __name__ == "__main__":
    main()
