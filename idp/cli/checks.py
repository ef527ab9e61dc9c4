"""What `idp doctor` looks at: a list, in the order in which one thing depends on another."""

import json
import os
import shutil
import socket
import ssl
import stat
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit

from sqlalchemy import false, func, select, text, update
from sqlalchemy.orm import Session

from idp import clock, migrations
from idp.accounts import shared_buckets
from idp.accounts.audit import Event
from idp.cli import invariants
from idp.cli.departures import find_departures
from idp.cli.faults import MORE, explain
from idp.cli.instance import SIDE_NAMES, WITHOUT_DATABASE, WITHOUT_KEY, database_file
from idp.cli.invariants import INVARIANTS, Invariant
from idp.clock import DAY
from idp.errors import NotReadyError
from idp.mail import queue
from idp.mail.outbox_folder import folder_of
from idp.mail.smtp import SmtpTransport
from idp.mail.transport import Unreachable
from idp.models import AuditEvent, LogoutNotice, ParkedRequest, Throttle, User
from idp.oidc import client_store, keys
from idp.setting_rules import is_loopback
from idp.settings import SECRET_KEY_NAME, Settings
from idp.storage.database import open_engine, open_session
from idp.storage.sqlite import LOG_KEPT

Verdict = Literal["ok", "note", "warning", "fault"]

EARLIEST, LATEST = 1_767_225_600, 4_102_444_800  # 2026 and 2100: a clock outside of them is not set
DRIFT = 5  # seconds that clocks may differ
KEY_AGE = 366 * DAY  # a year: rotate then, where the worker does not
KEY_DELAY = DAY  # seconds that the worker may be late
ANSWER_WITHIN = 3  # seconds
MAIL_WAITS = 600  # seconds
NOTICE_WAITS = 600  # seconds
BACKUP_AGE = 8 * DAY  # seconds; a week, and a night that failed
SWEPT_WITHIN = 3_600  # seconds; the worker sweeps every minute
LOG_MOST = 4 * LOG_KEPT  # bytes of SQLite's log
LEAST_ROOM = 64 << 20  # bytes; SQLite's log alone may take some MB, and says "disk I/O error" where it cannot grow


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        verdict: whether it is well.
        told: what was seen.
        advice: what to do; empty when all is well.
    """

    verdict: Verdict
    told: str
    advice: str = ""


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Attributes:
        name: for the report.
        look: looks at it.
    """

    name: str
    look: Callable[[Settings], Finding]


def look_safely(check: Check, loaded: Settings) -> Finding:
    """Run a check; an expected error is a finding too.

    Args:
        check: what to look at.
        loaded: the settings.
    """
    try:
        return check.look(loaded)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        if message.endswith(MORE):
            return Finding("fault", message.removesuffix(MORE), _advice_on_database(loaded))
        return Finding("fault", message)


def _advice_on_database(loaded: Settings) -> str:
    if loaded.is_sqlite:
        return "See whose the file and its folder are, and whether the disk has room; if it is damaged, `idp restore`."
    return "See whether IDP_DATABASE_URL is right, and what the server's own log says."


@contextmanager
def _database_of(loaded: Settings) -> Iterator[Session]:
    """Open the database for reading, but never make one."""
    file = database_file(loaded)
    if file is not None and not file.exists():
        raise NotReadyError(f"{file} does not exist: {WITHOUT_DATABASE}.")
    with open_session(loaded) as db:
        yield db


def _instance_folder(loaded: Settings) -> Finding:
    folder = loaded.instance.absolute()
    if not folder.is_dir():
        elsewhere = "" if "instance" in loaded.origins else " Or set IDP_INSTANCE, where it is another folder."
        return Finding("fault", f"{folder} does not exist", f"Run `idp init`.{elsewhere}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
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
    if mode & 0o077:
        return Finding("fault", f"{path} may be read by other accounts (mode {mode:04o})", f"Run `chmod 600 {path}`.")
    return Finding("ok", f"{path} (mode {mode:04o})")


def _database(loaded: Settings) -> Finding:
    file = database_file(loaded)
    if file is not None and not file.exists():
        return Finding("fault", f"{file} does not exist", f"{WITHOUT_DATABASE.capitalize()}.")
    if file is not None and (foreign := _foreign_files(file)):
        advice = (
            "Run this as the account that runs the provider. If that is so, give it these files (`chown`, mode 0600)."
        )
        return Finding("fault", f"this account may not read and write {', '.join(foreign)}", advice)
    engine = open_engine(loaded)
    try:
        schema = migrations.check_ready(engine)
        with engine.connect() as connection:  # of no row; a standby, and who may only read, refuse it all the same
            connection.execute(update(User).where(false()).values(updated_at=0))
            connection.rollback()
        newer = "" if migrations.is_known(schema) else ", newer than this program, and made to serve it too"
        return Finding("ok", f"{engine.dialect.name}, schema {schema}{newer}")
    finally:
        engine.dispose()


def _foreign_files(file: Path) -> list[str]:
    """Name files of a SQLite database that this account may not read and write, such as root's after a restore."""
    files = (file.with_name(file.name + suffix) for suffix in ("", *SIDE_NAMES))
    return [_whose(each) for each in files if each.exists() and not os.access(each, os.R_OK | os.W_OK)]


def _whose(file: Path) -> str:
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
    with _database_of(loaded) as db:
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
    with _database_of(loaded) as db:
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
        with _database_of(loaded) as db:
            ahead = now - int(db.scalar(text("SELECT extract(epoch FROM clock_timestamp())::bigint")) or 0)
    else:
        ahead = min(0, now - int(file.stat().st_mtime)) if file.exists() else 0
    if abs(ahead) > DRIFT:
        what = "the database server's clock" if file is None else "the last write to the database"
        return Finding(
            "fault", f"this machine's clock is {ahead} seconds ahead of {what}", "Keep clocks right with NTP."
        )
    return Finding("ok", "right, as far as can be told from here")


def _mail(loaded: Settings) -> Finding:
    if loaded.mail_route == "nowhere":
        return Finding(
            "fault",
            "no mail server is set, so nobody can verify an address or recover a password",
            "Set IDP_SMTP_HOST and IDP_MAIL_FROM; then try `idp mail test ADDRESS`.",
        )
    if loaded.mail_route == "smtp" and (fault := _fault_of_mail_server(loaded)):
        return Finding("fault", f"{loaded.smtp_host}: {fault}", "Correct it, then try `idp mail test ADDRESS`.")
    with _database_of(loaded) as db:
        failed = len(queue.list_mail(db, state="failed", limit=1000))
        waiting = queue.waiting_since(db)
    if waiting is not None and clock.now() - waiting > MAIL_WAITS:
        told = f"mail has been waiting for {(clock.now() - waiting) // 60} minutes"
        return Finding(
            "warning", told, "See `idp mail list --state waiting`; without a reason there, no `idp worker` runs."
        )
    if failed:
        told = f"{failed} {'mail was' if failed == 1 else 'mails were'} given up in the last 30 days"
        return Finding("warning", told, "See why with `idp mail list --state failed`; `idp mail retry` tries again.")
    if loaded.mail_route == "outbox":
        return Finding("ok", f"goes to files in {folder_of(loaded)}: the issuer is on this machine")
    if loaded.smtp_security == "none" and not is_loopback(loaded.smtp_host):
        return Finding(
            "warning",
            f"goes to {loaded.smtp_host} in clear",
            "Whoever reads along can open accounts: set IDP_SMTP_SECURITY to starttls or tls.",
        )
    return Finding("ok", f"{loaded.smtp_host} takes it")


def _fault_of_mail_server(loaded: Settings) -> str | None:
    transport = SmtpTransport(replace(loaded, smtp_timeout=min(loaded.smtp_timeout, ANSWER_WITHIN)))
    try:
        transport.open()
    except Unreachable as fault:
        return fault.message
    finally:
        transport.close()
    return None


def _sign_outs(loaded: Settings) -> Finding:
    with _database_of(loaded) as db:
        of_app = select(LogoutNotice.client_id, func.count(), func.min(LogoutNotice.created_at))
        found = {
            state: db.execute(of_app.where(LogoutNotice.state == state).group_by(LogoutNotice.client_id)).all()
            for state in ("waiting", "failed")
        }
        names = {client.client_id: client.client_name for client in client_store.list_clients(db)}
    now = clock.now()
    late = [f"{names[app]} waits for {count}" for app, count, since in found["waiting"] if now - since > NOTICE_WAITS]
    lost = [f"{names[app]} was never told of {count}" for app, count, _ in found["failed"]]
    if late or lost:
        advice = (
            "Correct `backchannel_logout_uri` (`idp client update`), or mend the app: the log of the worker says why."
        )
        return Finding("warning", "\n".join((*late, *lost)), advice)
    return Finding("ok", "every app was told")


def _worker(loaded: Settings) -> Finding:
    with _database_of(loaded) as db:
        ends = [db.scalar(select(func.min(column))) for column in (ParkedRequest.expires_at, Throttle.available_at)]
    oldest = min((end for end in ends if end is not None), default=clock.now())
    if clock.now() - oldest > SWEPT_WITHIN:
        told = f"nothing was swept for {(clock.now() - oldest) // 3_600} hours"
        return Finding(
            "warning", told, "Does one run? `idp serve` has one, unless told --no-worker; or run `idp worker`."
        )
    return Finding("ok", "sweeps what has expired")


def _logo(loaded: Settings) -> Finding:
    if not loaded.brand_logo:
        return Finding("ok", "none is set")
    path = loaded.instance / loaded.brand_logo
    if not path.is_file() or not os.access(path, os.R_OK):
        advice = "Put it there, for the provider's account to read, and restart the provider."
        return Finding("warning", f"{path} is no file that can be read: pages show none", advice)
    return Finding("ok", str(path))


def _throttles(loaded: Settings) -> Finding:
    shared = shared_buckets.of(loaded)
    if shared is None:
        return Finding("ok", "the database counts attempts")
    try:
        told = f"a server of their own counts attempts, version {shared.check()}"
        if policy := shared.eviction():
            advice = "Set `maxmemory-policy noeviction` there: full, it then refuses, and the database counts."
            return Finding("warning", f"{told}; full, it forgets some ({policy})", advice)
        return Finding("ok", told)
    except NotReadyError as fault:
        advice = "Correct it: the database takes its place meanwhile, and each attempt waits for it now and then."
        return Finding("fault", fault.message, advice)


def _backup(loaded: Settings) -> Finding:
    if not loaded.is_sqlite:
        return Finding("ok", "the server's own affair")
    if loaded.is_loopback:
        return Finding("ok", "none is needed of a provider to try out")
    with _database_of(loaded) as db:
        last = db.scalar(select(func.max(AuditEvent.at)).where(AuditEvent.event == Event.BACKED_UP.value))
    if last is not None and clock.now() - last <= BACKUP_AGE:
        return Finding("ok", f"the last one was made {(clock.now() - last) // 3_600} hours ago")
    told = "none was made yet" if last is None else f"the last one was made {(clock.now() - last) // DAY} days ago"
    advice = "Run `idp backup` every night: a copy that other programs make of SQLite's file in use may be broken."
    return Finding("warning", told, advice)


def _proxy(loaded: Settings) -> Finding:
    if loaded.is_https and loaded.proxy_hops == 0:
        return Finding(
            "warning",
            "the issuer is https, but proxy_hops is 0",
            "If a reverse proxy ends TLS, set IDP_PROXY_HOPS to the number of proxies: otherwise every visitor seems "
            "to come from the proxy, and throttles slow down all of them together.",
        )
    if not loaded.is_https and loaded.proxy_hops:
        return Finding(
            "warning",
            f"proxy_hops is {loaded.proxy_hops}, but the issuer is http",
            "Without a proxy set IDP_PROXY_HOPS=0, or visitors can choose the address that throttles see.",
        )
    return Finding("ok", f"proxy_hops is {loaded.proxy_hops}")


def _issuer(loaded: Settings) -> Finding:
    url = loaded.url("/.well-known/openid-configuration")
    # The environment's proxy is no way to this machine itself.
    direct = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).hostname) else []
    try:
        with urllib.request.build_opener(*direct).open(url, timeout=ANSWER_WITHIN) as answer:
            issuer = json.loads(answer.read(100_000)).get("issuer")
    except HTTPError as fault:
        told = f"{url} answers {fault.code} ({fault.reason})"
        return Finding(
            "warning", told, "Run `idp serve`, if it should be running. Does the proxy lead there, path and all?"
        )
    except OSError as fault:
        return _why_no_answer(url, getattr(fault, "reason", None) or fault)
    except (ValueError, AttributeError):
        told = f"{url} answers, but is no provider's"
        return Finding("fault", told, "Something else answers there: compare IDP_ISSUER with what the proxy passes on.")
    if issuer != loaded.issuer:
        return Finding(
            "fault", f"{url} speaks for {issuer}", "Another provider answers there: compare IDP_ISSUER on both sides."
        )
    return Finding("ok", f"{loaded.issuer} answers")


def _why_no_answer(url: str, reason: object) -> Finding:
    if isinstance(reason, ssl.SSLCertVerificationError):
        advice = (
            "Renew or correct it where TLS ends. If a CA of your own signed it, apps and this machine have to know it."
        )
        return Finding("fault", f"{url} has a certificate that is not to be trusted: {reason.verify_message}", advice)
    told = f"{url} does not answer ({reason})"
    if isinstance(reason, socket.gaierror):
        return Finding("warning", told, "Correct IDP_ISSUER, or let this machine know the name (DNS, /etc/hosts).")
    return Finding("warning", told, "Run `idp serve`, if it should be running; or look at the proxy.")


def _departures(loaded: Settings) -> Finding:
    with _database_of(loaded) as db:
        found = list(find_departures(loaded, client_store.list_clients(db)))
    if found:
        return Finding("note", "\n".join(found), "Nothing is wrong: these are your choices. See docs/security.md.")
    return Finding("ok", "everything is as OAuth 2.1 and RFC 9700 advise")


def _damage(loaded: Settings) -> Finding:
    with _database_of(loaded) as db:
        found = invariants.find_damage(db)
        if not found:
            return Finding("ok", invariants.tell_undamaged(db))
    return Finding("fault", "; ".join(found), "Stop the provider, and restore a backup: `idp restore`.")


def _holds(invariant: Invariant, loaded: Settings) -> Finding:
    with _database_of(loaded) as db:
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
    Check("database", _database),
    Check("durability", _durability),
    Check("signing keys", _signing_keys),
    Check("clock", _clock),
    Check("worker", _worker),
    Check("mail", _mail),
    Check("sign-outs", _sign_outs),
    Check("throttles", _throttles),
    Check("backup", _backup),
    Check("proxy headers", _proxy),
    Check("issuer", _issuer),
    Check("logo", _logo),
    Check("departures", _departures),
)
# What `--deep` looks at besides: it reads all there is, which takes a while.
DEEP_CHECKS: tuple[Check, ...] = (
    Check("damage", _damage),
    *(Check(invariant.name, partial(_holds, invariant)) for invariant in INVARIANTS),
)
