"""What `idp doctor` looks at: a list, in the order in which one thing depends on another."""

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, false, text, update
from sqlalchemy.orm import Session

from idp import clock, migrations
from idp.cli import damage, invariants, surroundings
from idp.cli.findings import Check, Finding, database_of
from idp.cli.instance import SIDE_NAMES, WITHOUT_DATABASE, WITHOUT_KEY, database_file
from idp.cli.invariants import INVARIANTS, Invariant
from idp.clock import DAY
from idp.models import User
from idp.oidc import keys
from idp.setting_rules import is_loopback
from idp.settings import SECRET_KEY_NAME, Settings
from idp.storage.database import engine_of
from idp.storage.postgresql import lift_time_limit
from idp.storage.sqlite import LOG_KEPT

EARLIEST, LATEST = 1_767_225_600, 4_102_444_800  # 2026 and 2100: a clock outside of them is not set
DRIFT = 5  # seconds that clocks may differ
KEY_AGE = 366 * DAY  # a year: rotate then, where the worker does not
KEY_DELAY = DAY  # seconds that the worker may be late
LOG_MOST = 4 * LOG_KEPT  # bytes of SQLite's log
LEAST_COST, USUAL_COST, MOST_COST = 10, 12, 14  # of a password's hash: a quarter of a second at the usual one
LEAST_ROOM = 64 << 20  # bytes; SQLite's log alone may take some MB, and says "disk I/O error" where it cannot grow


def _instance_folder(loaded: Settings) -> Finding:
    folder = loaded.instance.absolute()
    if not folder.is_dir():
        elsewhere = "" if "instance" in loaded.origins else " Or set IDP_INSTANCE, where it is another folder."
        return Finding("fault", f"{folder} does not exist", f"Run `idp init`.{elsewhere}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if _is_open(mode):
        return Finding("warning", f"{folder} is open to other accounts (mode {mode:04o})", "Run `idp init`.")
    return Finding("ok", f"{folder} (mode {mode:04o})")


def _room(loaded: Settings) -> Finding:
    file = database_file(loaded)
    folder = loaded.instance if file is None else file.parent
    if not folder.is_dir():
        return Finding("fault", f"{folder} does not exist", "Run `idp init`.")
    if file is not None and not os.access(folder, os.W_OK):
        advice = (
            "Run this as the account that runs the provider. If that is so: whose is it, and is its disk read-only?"
        )
        return Finding(
            "fault", f"{folder} cannot be written by this account, and SQLite needs that even to read", advice
        )
    free = shutil.disk_usage(folder).free
    told = f"{free >> 20:,} MB are free at {folder}"
    if free < LEAST_ROOM:
        return Finding("fault", told, "Make room: without any, nobody can sign in.")
    if file is not None and file.exists() and free < file.stat().st_size:
        return Finding("warning", told, "Make room: `idp restore` takes as much again as the database.")
    return Finding("ok", told)


def _secret_key(loaded: Settings) -> Finding:
    if not loaded.secret_key:
        return Finding("fault", "there is none", WITHOUT_KEY)
    path = loaded.instance / SECRET_KEY_NAME
    if loaded.origins.get("secret_key") != str(path):
        return Finding("ok", f"from {loaded.origins.get('secret_key', 'the settings')}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if _is_open(mode):
        return Finding("fault", f"{path} may be read by other accounts (mode {mode:04o})", f"Run `chmod 600 {path}`.")
    return Finding("ok", f"{path} (mode {mode:04o})")


def _passwords(loaded: Settings) -> Finding:
    cost = loaded.bcrypt_cost
    told = f"hashed by bcrypt at cost {cost}"
    if cost > MOST_COST:
        times = 2 ** (cost - USUAL_COST)
        advice = (
            f"Set IDP_BCRYPT_COST to {USUAL_COST}. Each hash is renewed as its owner signs in, and slow until then."
        )
        return Finding(
            "warning", f"{told}: signing in takes {times} times as long as at {USUAL_COST}, or fails", advice
        )
    if cost < LEAST_COST:
        advice = f"Set IDP_BCRYPT_COST to {USUAL_COST}: from a stolen database passwords are soon found out."
        return Finding("warning", f"{told}, which is for tests", advice)
    return Finding("ok", told)


def _is_open(mode: int) -> bool:
    return sys.platform != "win32" and bool(mode & 0o077)  # on Windows modes say nothing of other accounts


def _database(loaded: Settings) -> Finding:
    file = database_file(loaded)
    if file is not None and not file.exists():
        return Finding("fault", f"{file} does not exist", f"{WITHOUT_DATABASE.capitalize()}.")
    if file is not None and (foreign := _foreign_files(file)):
        advice = (
            "Run this as the account that runs the provider. If that is so, give it these files (`chown`, mode 0600)."
        )
        return Finding("fault", f"this account may not read and write {', '.join(foreign)}", advice)
    with engine_of(loaded) as engine:
        schema = migrations.check_ready(engine)
        with engine.connect() as connection:  # of no row; a standby, and who may only read, refuse it all the same
            connection.execute(update(User).where(false()).values(updated_at=0))
            connection.rollback()
            unproven = "" if loaded.is_sqlite else _unproven_host(connection)
        newer = "" if migrations.is_known(schema) else ", newer than this program, and made to serve it too"
        told = f"{engine.dialect.name}, schema {schema}{newer}"
    if unproven:
        advice = "Whoever stands between may read and change everything: say sslmode=verify-full in IDP_DATABASE_URL."
        return Finding("warning", f"{told}; {unproven} need not prove that it is the server", advice)
    return Finding("ok", told)


def _unproven_host(connection: Connection) -> str:
    """Return the host of a PostgreSQL server that need not prove who it is, unless it is on this machine."""
    driver: Any = connection.connection.driver_connection
    host, asked = driver.info.host, driver.info.get_parameters()
    is_here = host.startswith("/") or is_loopback(host)  # a socket's folder
    return "" if is_here or asked.get("sslmode", "").startswith("verify-") else host


def _foreign_files(file: Path) -> list[str]:
    """Name files of a SQLite database that this account may not read and write, such as root's after a restore."""
    files = (file.with_name(file.name + suffix) for suffix in ("", *SIDE_NAMES))
    return [_whose(each) for each in files if each.exists() and not os.access(each, os.R_OK | os.W_OK)]


def _whose(file: Path) -> str:
    if sys.platform == "win32":  # which tells neither so easily
        return str(file)
    status = file.stat()
    try:
        owner = file.owner()
    except KeyError:  # an account that is gone, or of another machine
        owner = str(status.st_uid)
    return f"{file} (of {owner}, mode {stat.S_IMODE(status.st_mode):04o})"


def _durability(loaded: Settings) -> Finding:
    file = database_file(loaded)
    if file is None:
        return Finding("ok", "the server's own affair")
    with database_of(loaded) as db:
        log = file.with_name(f"{file.name}-wal")
        log_bytes = log.stat().st_size if log.exists() else 0
        journal = db.scalar(text("PRAGMA journal_mode"))
        synchronous = db.scalar(text("PRAGMA synchronous"))
    if journal != "wal" or synchronous != 2:
        return Finding(
            "fault",
            f"journal_mode={journal}, synchronous={synchronous}",
            "SQLite needs WAL, which network file systems do not offer: move the database to a local disk.",
        )
    if log_bytes > LOG_MOST:
        return Finding(
            "warning",
            f"{log} has {log_bytes >> 20} MiB",
            "Somebody has been reading the database for long, and until they end the log grows with each write: look "
            "for another program that has it open.",
        )
    return Finding("ok", "journal_mode=wal, synchronous=full")


def _signing_keys(loaded: Settings) -> Finding:
    with database_of(loaded) as db:
        ring = keys.load_keys(db, loaded)
        active = [key for key in keys.list_keys(db) if key.state == "active"]
    if missing := [algorithm for algorithm in keys.ALGORITHMS if algorithm not in ring.active]:
        return Finding("fault", f"no active key for {', '.join(missing)}", "Run `idp init`.")
    oldest = max(clock.now() - (key.activated_at or key.created_at) for key in active)
    told = f"{', '.join(sorted(ring.active))} active, {oldest // DAY} days old"
    if loaded.key_rotation_interval and oldest > loaded.key_rotation_interval + loaded.key_publish_lead + KEY_DELAY:
        return Finding("warning", told, "The worker exchanges keys of this age: does one run?")
    if not loaded.key_rotation_interval and oldest > KEY_AGE:
        return Finding("warning", told, "Run `idp keys rotate`: IDP_KEY_ROTATION_INTERVAL leaves that to you.")
    return Finding("ok", told)


def _clock(loaded: Settings) -> Finding:
    now = clock.now()
    if not EARLIEST <= now <= LATEST:
        return Finding("fault", f"this machine's clock says {now}", "Set it, and keep it right with NTP.")
    file = database_file(loaded)
    if file is None:
        with database_of(loaded) as db:
            ahead = now - int(db.scalar(text("SELECT extract(epoch FROM clock_timestamp())::bigint")) or 0)
    else:
        ahead = min(0, now - int(file.stat().st_mtime)) if file.exists() else 0
    if abs(ahead) > DRIFT:
        what = "the database server's clock" if file is None else "the last write to the database"
        apart = f"{abs(ahead)} seconds {'ahead of' if ahead > 0 else 'behind'}"
        return Finding("fault", f"this machine's clock is {apart} {what}", "Keep clocks right with NTP.")
    return Finding("ok", "right, as far as can be told from here")


@contextmanager
def _all_of_database(loaded: Settings) -> Iterator[Session]:
    """Open the database for statements that read all there is."""
    with database_of(loaded) as db:
        if not loaded.is_sqlite:
            lift_time_limit(db.connection())
        yield db


def _damage(loaded: Settings) -> Finding:
    with _all_of_database(loaded) as db:
        found = damage.find_damage(db)
        if not found:
            return Finding("ok", damage.tell_undamaged(db))
    return Finding("fault", "; ".join(found), "Stop the provider, and restore a backup: `idp restore`.")


def _holds(invariant: Invariant, loaded: Settings) -> Finding:
    with _all_of_database(loaded) as db:
        count, first = invariants.find_offenders(db, invariant, clock.now())
    if count:
        more = ", ..." if count > len(first) else ""
        told = f"{count} {invariant.broken} ({', '.join(first)}{more})"
        return Finding("fault", told, "This must not happen: please report it with what happened before.")
    return Finding("ok", "holds")


CHECKS: tuple[Check, ...] = (
    Check("instance folder", _instance_folder),
    Check("room", _room),
    Check("secret key", _secret_key),
    Check("passwords", _passwords),
    Check("database", _database),
    Check("durability", _durability),
    Check("signing keys", _signing_keys),
    Check("clock", _clock),
    Check("worker", surroundings.check_worker),
    Check("mail", surroundings.check_mail),
    Check("sign-outs", surroundings.check_sign_outs),
    Check("throttles", surroundings.check_throttles),
    Check("backup", surroundings.check_backup),
    Check("proxy headers", surroundings.check_proxy_headers),
    Check("issuer", surroundings.check_issuer),
    Check("logo", surroundings.check_logo),
    Check("departures", surroundings.check_departures),
)
# What `--deep` looks at besides: it reads all there is, which takes a while.
DEEP_CHECKS: tuple[Check, ...] = (
    Check("damage", _damage),
    *(Check(invariant.name, partial(_holds, invariant)) for invariant in INVARIANTS),
)
