#!/usr/bin/env python3
"""From measured costs to users: how many cores, processes, hosts and bytes it takes, from 10 people to 10 million.

    python bench/measure.py --json > figures.json
    python bench/capacity.py figures.json                                    # rows measured on a SQLite file
    python bench/capacity.py figures.json --database postgresql://...        # and on a PostgreSQL server, with its CPU
    python bench/capacity.py figures.json --sso-logins 20 --busiest-hour 0.3

CPU time of the provider comes from `bench/measure.py`; how many rows an operation leaves, how many bytes each takes
with its indexes, and with --database how much of the server's CPU it takes, is measured here, in a few minutes. The
rest is arithmetic on stated assumptions, and printed as the table of `docs/deployment.md`.
"""

import argparse
import contextlib
import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from measure import Bench, make_provider, operations
from server_processes import ServerProcesses
from sqlalchemy import Connection, inspect, text

from idp.accounts import registration
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR
from idp.clock import DAY
from idp.settings import Settings
from idp.storage import database, postgresql
from idp.worker import JOBS

USERS = (10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
REPEATED = 1_000  # of each operation, to see which rows it leaves
PEOPLE = 1_000  # to see what an account takes
YEAR = 365
GIGA = 10**9

# Our names for what the figures hold, and which requests to the provider each is.
SIGN_IN, SSO_LOGIN = "password sign-in (to tokens)", "SSO login (authorize + token)"
REFRESH, USERINFO = "refresh", "userinfo"
REQUESTS = {SIGN_IN: 5, SSO_LOGIN: 2, REFRESH: 1, USERINFO: 1}
COMMITS = {SIGN_IN: 6, SSO_LOGIN: 1, REFRESH: 1, USERINFO: 0}  # that write something


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted; each is an option of the command line.

    Attributes:
        sign_ins: with a password, by each user in a day.
        sso_logins: into apps by single sign-on, by each user in a day.
        refreshes: of tokens, by each user in a day.
        userinfo: calls, by each user in a day.
        busiest_hour: share of a day's requests that come in its busiest hour.
        load: share of the cores that the busiest hour may take.
        web_server: CPU milliseconds of the web server beside the application, for each request.
        cores_per_host: cores of a machine.
        new_users: in a year, as a share of all.
    """

    sign_ins: float = 0.2
    sso_logins: float = 5.0
    refreshes: float = 10.0
    userinfo: float = 5.0
    busiest_hour: float = 0.2
    load: float = 0.5
    web_server: float = 0.05
    cores_per_host: int = 8
    new_users: float = 0.2

    def per_day(self) -> Mapping[str, float]:
        """Return how often one user does what in a day."""
        return {SIGN_IN: self.sign_ins, SSO_LOGIN: self.sso_logins, REFRESH: self.refreshes, USERINFO: self.userinfo}


@dataclass(frozen=True)
class Measured:
    """What one operation leaves and takes.

    Attributes:
        rows: that an operation leaves, by operation and table.
        row_bytes: of one row with its indexes, by table.
        server_cpu: milliseconds of the database server, by operation; empty where it could not be seen.
    """

    rows: Mapping[str, Mapping[str, float]]
    row_bytes: Mapping[str, float]
    server_cpu: Mapping[str, float]


# -- Measuring ------------------------------------------------------------------------------


def _counts(connection: Connection) -> Counter[str]:
    tables = inspect(connection).get_table_names()
    return Counter({name: int(connection.scalar(text(f'SELECT count(*) FROM "{name}"')) or 0) for name in tables})


def _bytes(connection: Connection, table: str) -> int:
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        driver.execute(f'VACUUM ANALYZE "{table}"')  # outside of a transaction
        return int(connection.scalar(text("SELECT pg_total_relation_size(:t)"), {"t": f'"{table}"'}) or 0)
    parts = "SELECT name FROM sqlite_master WHERE tbl_name = :t"
    return int(connection.scalar(text(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({parts})"), {"t": table}) or 0)


def measure(settings: Settings) -> Measured:
    """Do everything some hundred times, and look what it left."""
    bench = Bench(make_provider(settings.instance, database_url=settings.database_url, bcrypt_cost=4))
    engine = database.open_engine(bench.settings)
    server = ServerProcesses.of(engine)
    rows: dict[str, dict[str, float]] = {}
    cpu: dict[str, float] = {}
    with engine.connect() as connection:  # what only reads holds nothing, so each count is of its moment
        for name, operation, prepare in operations(bench):
            if name not in REQUESTS:
                continue
            before, spent = _counts(connection), server.cpu_seconds() if server else 0.0
            for _ in range(REPEATED):
                if prepare:
                    prepare()
                operation()
            after = _counts(connection)
            rows[name] = {table: (after[table] - before[table]) / REPEATED for table in after}
            if server:
                cpu[name] = 1000 * (server.cpu_seconds() - spent) / REPEATED
        with database.open_session(bench.settings) as db:
            for number in range(PEOPLE):
                person = Person(f"someone{number}", f"someone{number}@example.org", "Some", "One")
                registration.add_user(db, bench.settings, OPERATOR, person, "correct horse battery staple")
        counts = _counts(connection)
        sizes = {table: _bytes(connection, table) / count for table, count in counts.items() if count >= REPEATED}
    engine.dispose()
    return Measured(rows, sizes, cpu)


# -- Arithmetic -----------------------------------------------------------------------------


def kept_for(settings: Settings) -> Mapping[str, int]:
    """Return for how many seconds a row is kept, by table; those of other tables are few, or gone within the hour."""
    return {
        "browser_session": settings.session_lifetime + 90 * DAY,
        "authorization_grant": max(settings.session_lifetime, settings.refresh_token_lifetime),
        "refresh_token": settings.refresh_token_lifetime,
    }


@dataclass(frozen=True)
class Need:
    """What so many users need.

    Attributes:
        users: how many.
        requests: a second, in the busiest hour.
        commits: a second that write something, in the busiest hour.
        cores: that the provider keeps busy then, at the load that is allowed.
        server_cores: that the database server does; None where that was not measured.
        hosts: machines for the provider, one of which may be missing.
        processes: web processes on all of them.
        connections: that they open to the database at most.
        stored: bytes of what is there at any time, after a few months.
        a_year: bytes that a year adds to it: audit and new accounts.
    """

    users: int
    requests: float
    commits: float
    cores: float
    server_cores: float | None
    hosts: int
    processes: int
    connections: int
    stored: float
    a_year: float


def need_of(users: int, given: Assumptions, figures: Mapping[str, float], found: Measured) -> Need:
    """Return what so many users need."""
    per_day = given.per_day()
    rate = {name: users * often * given.busiest_hour / 3_600 for name, often in per_day.items()}
    busy = sum(each * (figures[name] + REQUESTS[name] * given.web_server) / 1000 for name, each in rate.items())
    cores = busy / given.load
    server = sum(each * found.server_cpu.get(name, 0.0) / 1000 for name, each in rate.items()) / given.load
    is_small = cores <= 2 and users <= 10_000  # one machine, one SQLite file
    hosts = 1 if is_small else math.ceil(cores / given.cores_per_host) + 1
    processes = max(2 * hosts, math.ceil(cores * hosts / max(1, hosts - 1)))
    daily = Counter[str]()
    for name, often in per_day.items():
        for table, left in found.rows[name].items():
            daily[table] += often * left
    lasting = sum(daily[t] * seconds / DAY * found.row_bytes.get(t, 0) for t, seconds in kept_for(Settings()).items())
    audit = daily["audit_event"] * found.row_bytes.get("audit_event", 0)
    return Need(
        users=users,
        requests=sum(each * REQUESTS[name] for name, each in rate.items()),
        commits=sum(each * COMMITS[name] for name, each in rate.items()),
        cores=cores,
        server_cores=server if found.server_cpu else None,
        hosts=hosts,
        processes=processes,
        connections=0 if is_small else processes * postgresql.CONNECTIONS + hosts * len(JOBS),
        stored=users * (lasting + found.row_bytes["user"]),
        a_year=users * (audit * YEAR + given.new_users * found.row_bytes["user"]),
    )


# -- Telling --------------------------------------------------------------------------------


def _number(value: float) -> str:
    if value >= 100:
        digits = 10 ** (len(str(int(value))) - 2)
        return f"{round(value / digits) * digits:,}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}" if value >= 0.01 else "< 0.01"


def _size(count: float) -> str:
    for unit, size in (("TB", 10**12), ("GB", GIGA), ("MB", 10**6)):
        if count >= size:
            return f"{_number(count / size)} {unit}"
    return "< 1 MB"


def lines(given: Assumptions, figures: Mapping[str, float], found: Measured) -> Iterator[str]:
    """Yield the table and what it rests on, as Markdown."""
    has_server = bool(found.server_cpu)
    heads = ["users", "requests/s", "commits/s", "cores", "hosts", "web processes", "connections"]
    if has_server:
        heads.append("database cores")
    heads += ["stored", "each year"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---:' for _ in heads)}|"
    for users in USERS:
        need = need_of(users, given, figures, found)
        cells = [f"{users:,}", _number(need.requests), _number(need.commits), _number(need.cores), f"{need.hosts}"]
        cells += [f"{need.processes:,}", f"{need.connections:,}" if need.connections else "SQLite"]
        if need.server_cores is not None:
            cells.append(_number(need.server_cores) if need.connections else "–")
        cells += [_size(need.stored), _size(need.a_year)]
        yield f"| {' | '.join(cells)} |"
    yield ""
    told = {
        name: f"{figures[name]:.2f}" + (f" + {found.server_cpu[name]:.2f}" if has_server else "") for name in REQUESTS
    }
    what = "CPU ms, the provider's + the database server's" if has_server else "CPU ms of the provider"
    yield f"{what}: " + ", ".join(f"{name} {cost}" for name, cost in told.items()) + "."
    sizes = ", ".join(f"{table} {round(size)}" for table, size in sorted(found.row_bytes.items()))
    yield f"Bytes a row with its indexes: {sizes}."
    yield "Assumed: " + ", ".join(f"{name} {value}" for name, value in asdict(given).items()) + "."


@contextlib.contextmanager
def _settings(server: str) -> Iterator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        if not server:
            yield Settings(instance=Path(folder))
            return
        from kill import own_database  # noqa: PLC0415 - for PostgreSQL only

        with own_database(server) as url:
            yield Settings(instance=Path(folder), database_url=url)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the figures, measure the rows, print the table."""
    parser = argparse.ArgumentParser(description="From measured costs to users.")
    parser.add_argument("figures", type=Path, help="what `bench/measure.py --json` printed")
    parser.add_argument("--database", default="", help="a PostgreSQL server on which a database may be made")
    for each in fields(Assumptions):
        option = f"--{each.name.replace('_', '-')}"
        parser.add_argument(option, type=type(each.default), default=each.default, help=f"(default: {each.default})")
    given = parser.parse_args(arguments)
    figures = json.loads(given.figures.read_text())
    assumed = Assumptions(**{each.name: getattr(given, each.name) for each in fields(Assumptions)})
    with _settings(given.database) as settings:
        found = measure(settings)
    print("\n".join(lines(assumed, figures, found)))


if __name__ == "__main__":
    main()
