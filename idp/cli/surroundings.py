"""What `idp doctor` looks at around an instance: its logo, worker, mail, apps, proxies, and who answers."""

import json
import os
import socket
import ssl
import urllib.request
from dataclasses import replace
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit

from sqlalchemy import func, select

from idp import clock
from idp.accounts import shared_buckets
from idp.accounts.audit import Event
from idp.cli.departures import find_departures
from idp.cli.findings import Finding, database_of
from idp.clock import DAY
from idp.errors import NotReadyError
from idp.mail import queue
from idp.mail.outbox_folder import folder_of
from idp.mail.smtp import SmtpTransport, port_of
from idp.mail.transport import Unreachable
from idp.models import AuditEvent, Client, LogoutNotice, ParkedRequest, Throttle
from idp.oidc import backchannel, client_store
from idp.setting_rules import is_loopback
from idp.settings import Settings

ANSWER_WITHIN = 3  # seconds
UNTAKEN_FOR = 180  # seconds; a worker looks every few, and may be waiting for a slow mail server
SIGN_INS = 10  # the latest, by which addresses are judged
BACKUP_AGE = 8 * DAY  # seconds; a week, and a night that failed
WITHOUT_WORKER = (
    "Does one run, with this database? `idp serve` has one, unless told --no-worker; or run `idp worker`. Its log says "
    "why it does not get on."
)
SWEPT_WITHIN = 3_600  # seconds; the worker sweeps every minute


def check_logo(loaded: Settings) -> Finding:
    """Look whether the operator's logo can be read; pages do without it."""
    if not loaded.brand_logo:
        return Finding("ok", "none is set")
    path = loaded.instance / loaded.brand_logo
    if not path.is_file() or not os.access(path, os.R_OK):
        advice = "Put it there, for the provider's account to read, and restart the provider."
        return Finding("warning", f"{path} is no file that can be read: pages show none", advice)
    return Finding("ok", str(path))


def check_worker(loaded: Settings) -> Finding:
    """Look whether what is due is done, and what has expired is swept: by nobody, where no worker runs."""
    with database_of(loaded) as db:
        due = [] if loaded.mail_route == "nowhere" else [queue.untaken_since(db, UNTAKEN_FOR)]
        due.append(backchannel.untaken_since(db, UNTAKEN_FOR))
        ends = [db.scalar(select(func.min(column))) for column in (ParkedRequest.expires_at, Throttle.available_at)]
    untaken = clock.now() - min((since for since in due if since is not None), default=clock.now())
    if untaken > UNTAKEN_FOR:
        told = f"mail, or word of sign-outs, has been due for {untaken // 60} minutes, and no worker takes it"
        return Finding("warning", told, WITHOUT_WORKER)
    oldest = min((end for end in ends if end is not None), default=clock.now())
    if clock.now() - oldest > SWEPT_WITHIN:
        return Finding("warning", f"nothing was swept for {_hours(clock.now() - oldest)}", WITHOUT_WORKER)
    return Finding("ok", "nothing waits for one")


def check_mail(loaded: Settings) -> Finding:
    """Look whether mail goes, by signing in to its server, and whether some was given up or waits for long."""
    if loaded.mail_route == "nowhere":
        return Finding(
            "fault",
            "no mail server is set, so nobody can verify an address or recover a password",
            "Set IDP_SMTP_HOST and IDP_MAIL_FROM; then try `idp mail test ADDRESS`.",
        )
    if loaded.mail_route == "smtp" and (fault := _fault_of_mail_server(loaded)):
        where = f"{loaded.smtp_host}, port {port_of(loaded)}, {loaded.smtp_security}"
        advice = (
            "Correct it (starttls goes with port 587, tls with 465), try `idp mail test ADDRESS`, and restart the "
            "provider: what waits goes within minutes."
        )
        return Finding("fault", f"{where}: {fault}", advice)
    with database_of(loaded) as db:
        failed = len(queue.list_mail(db, state="failed", limit=1000))
        put_off, reason = queue.put_off_last(db)
    if put_off:
        told = f"{put_off} {'mail is' if put_off == 1 else 'mails are'} put off: {reason}"
        advice = "They are tried again: see `idp mail list --state waiting`, and once all is well, `idp mail retry ID`."
        return Finding("warning", told, advice)
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


def check_sign_outs(loaded: Settings) -> Finding:
    """Look for apps that wait for word of a sign-out, or never had it."""
    with database_of(loaded) as db:
        of_app = (
            select(Client.client_name, func.count(), func.max(LogoutNotice.last_error))
            .join(LogoutNotice, LogoutNotice.client_id == Client.client_id)
            .group_by(Client.client_id, Client.client_name)
        )
        waiting = db.execute(of_app.where(LogoutNotice.state == "waiting")).all()
        failed = db.execute(of_app.where(LogoutNotice.state == "failed")).all()
    late = [f"{app} waits for {_sign_outs(count)}: {reason}" for app, count, reason in waiting if reason]
    lost = [f"{app} was never told of {_sign_outs(count)}: {reason}" for app, count, reason in failed]
    if late or lost:
        advice = (
            "Correct `backchannel_logout_uri` (`idp client update`), or mend the app. What was given up shows here for "
            "a week."
        )
        return Finding("warning", "\n".join((*late, *lost)), advice)
    return Finding("ok", "every app was told")


def _sign_outs(count: int) -> str:
    return f"{count} sign-out" if count == 1 else f"{count} sign-outs"


def _hours(seconds: int) -> str:
    hours = seconds // 3_600
    return {0: "less than an hour", 1: "an hour"}.get(hours, f"{hours} hours")


def check_throttles(loaded: Settings) -> Finding:
    """Look whether the server that counts attempts answers, and keeps what it counts."""
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


def check_backup(loaded: Settings) -> Finding:
    """Look when the last backup was made."""
    if not loaded.is_sqlite:
        return Finding("ok", "the server's own affair")
    if loaded.is_loopback:
        return Finding("ok", "none is needed of a provider to try out")
    with database_of(loaded) as db:
        last = db.scalar(select(func.max(AuditEvent.at)).where(AuditEvent.event == Event.BACKED_UP.value))
    if last is not None and clock.now() - last <= BACKUP_AGE:
        return Finding("ok", f"the last one was made {_hours(clock.now() - last)} ago")
    told = "none was made yet" if last is None else f"the last one was made {(clock.now() - last) // DAY} days ago"
    advice = "Run `idp backup` every night: a copy that other programs make of SQLite's file in use may be broken."
    return Finding("warning", told, advice)


def check_proxy_headers(loaded: Settings) -> Finding:
    """Look whether the settings know of a proxy where one is likely and only there, and whether it says who asks."""
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
    if loaded.proxy_hops and not loaded.is_loopback and _all_seem_to_be_here(loaded):
        return Finding(
            "warning",
            f"proxy_hops is {loaded.proxy_hops}, and whoever signed in of late seems to be on this machine",
            "The proxy does not set X-Forwarded-For, or fewer proxies do than IDP_PROXY_HOPS says: throttles slow down "
            "everybody together, and the audit knows no addresses.",
        )
    return Finding("ok", f"proxy_hops is {loaded.proxy_hops}")


def _all_seem_to_be_here(loaded: Settings) -> bool:
    of_late = select(AuditEvent.address).where(AuditEvent.event == Event.SIGN_IN.value)
    with database_of(loaded) as db:
        addresses = db.scalars(of_late.order_by(AuditEvent.at.desc()).limit(SIGN_INS)).all()
    return bool(addresses) and all(map(is_loopback, addresses))


def check_issuer(loaded: Settings) -> Finding:
    """Look who answers at the issuer's address."""
    url = loaded.url("/.well-known/openid-configuration")
    # The environment's proxy is no way to this machine itself.
    direct = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).hostname) else []
    try:
        with urllib.request.build_opener(*direct).open(url, timeout=ANSWER_WITHIN) as answer:
            issuer = json.loads(answer.read(100_000)).get("issuer")
    except HTTPError as fault:
        fault.close()
        told = f"{url} answers {fault.code} ({fault.reason})"
        return Finding(
            "warning", told, "Run `idp serve`, if it should be running. Does the proxy lead there, path and all?"
        )
    except OSError as fault:
        return _why_no_answer(url, getattr(fault, "reason", None) or fault)
    except (ValueError, AttributeError, HTTPException):
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
            "Renew or correct it where TLS ends, and have it sent with those between it and its CA (`fullchain.pem`), "
            "which browsers may do without, and apps not. A CA of your own has to be known to apps and this machine."
        )
        return Finding("fault", f"{url} has a certificate that is not to be trusted: {reason.verify_message}", advice)
    told = f"{url} does not answer ({reason})"
    if isinstance(reason, socket.gaierror):
        return Finding("warning", told, "Correct IDP_ISSUER, or let this machine know the name (DNS, /etc/hosts).")
    return Finding("warning", told, "Run `idp serve`, if it should be running; or look at the proxy.")


def check_departures(loaded: Settings) -> Finding:
    """Name where settings and apps depart from the advice of OAuth 2.1 and RFC 9700."""
    with database_of(loaded) as db:
        found = list(find_departures(loaded, client_store.list_clients(db)))
    if found:
        return Finding("note", "\n".join(found), "Nothing is wrong: these are your choices. See docs/security.md.")
    return Finding("ok", "everything is as OAuth 2.1 and RFC 9700 advise")
