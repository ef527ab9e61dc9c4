"""What Prometheus reads: the counters of all processes of this machine, and what waits in the database."""

import logging
from collections.abc import Iterator, Mapping

from flask import Response, request
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp import __version__, clock, crypto, metrics
from idp.accounts import throttle
from idp.accounts.audit import Event
from idp.errors import NotFoundError
from idp.models import LogoutNotice, MailMessage, SigningKey
from idp.storage.database import is_fault_of_storage
from idp.web import context
from idp.web.error_pages import not_ready, problem

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Each family: its kind and what it tells. `docs/operations.md` has the same list, and a test compares them.
FAMILIES: Mapping[str, tuple[str, str]] = {
    "idp_requests_total": ("counter", "Requests by route and status."),
    "idp_request_duration_seconds": ("histogram", "Time from a request's arrival to its answer, by route."),
    "idp_audit_events_total": ("counter", "What was written into the audit, by event."),
    "idp_throttled_total": ("counter", "Attempts that a throttle did not admit, by kind of bucket."),
    metrics.PASSWORD_HASHES: ("gauge", "Passwords that are being hashed now."),
    metrics.PASSWORD_HASHES_REFUSED: ("counter", "Passwords that were not hashed, because too many waited."),
    "idp_mail_messages": ("gauge", "Mails by state: waiting or failed."),
    "idp_mail_oldest_waiting_seconds": ("gauge", "Age of the oldest mail that waits; 0 for none."),
    "idp_logout_notices": ("gauge", "Logout notices by state: waiting or failed."),
    "idp_logout_notice_oldest_waiting_seconds": ("gauge", "Age of the oldest notice that waits; 0 for none."),
    "idp_signing_key_age_seconds": ("gauge", "How long the active key has been signing, by algorithm."),
    "idp_database_up": ("gauge", "1 when the database answered this request."),
    "idp_processes": ("gauge", "Processes of this machine whose counters are in these sums."),
    "idp_build_info": ("gauge", "1, under the program's version."),
}
# Series that are there before anything is counted, or whoever asks for a rate would miss the first.
_AT_FIRST: Mapping[str, float] = dict.fromkeys(
    (
        *map(metrics.audit_events, Event),
        *map(metrics.throttled, throttle.COUNTED),
        metrics.PASSWORD_HASHES,
        metrics.PASSWORD_HASHES_REFUSED,
    ),
    0.0,
)
_SUFFIXES = ("_bucket", "_sum", "_count")

log = logging.getLogger(__name__)


def show_metrics() -> Response:
    """Show the metrics to whoever has the token; without one in the settings there is no such page.

    Raises:
        NotFoundError: nobody may read them here.
    """
    expected = context.settings().metrics_token
    if not expected:
        raise NotFoundError("There is no such page.", detail="metrics_token is empty")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not crypto.are_equal(token.strip(), expected):
        answer = problem(401, "missing_token", "The metrics token is needed: Authorization: Bearer TOKEN.")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    folder = metrics.counters.folder
    if folder is None:
        # One process's numbers would pass for those of all.
        return not_ready("The counters have no folder that can be written: the log says why.")
    try:
        counted, processes = metrics.read_all(folder)
    except OSError as fault:
        log.warning("%s cannot be read (%s): /metrics has nothing to tell.", folder, fault.strerror)
        return not_ready("The counters' folder cannot be read: the log says why. Restart the provider if it is gone.")
    readings = {**_AT_FIRST, **counted, **_read_database(), "idp_processes": float(processes)}
    readings[f'idp_build_info{{version="{__version__}"}}'] = 1.0
    return Response("".join(_lines(readings)), mimetype="text/plain", content_type=CONTENT_TYPE)


def _read_database() -> Mapping[str, float]:
    """Return what waits, and how old the keys are; that the database is away is a reading too."""
    try:
        return {**dict(_readings(context.database())), "idp_database_up": 1.0}
    except SQLAlchemyError as fault:
        if not is_fault_of_storage(fault):
            raise
        context.discard_transaction()
        return {"idp_database_up": 0.0}


def _readings(db: Session) -> Iterator[tuple[str, float]]:
    now = clock.now()
    for family, oldest, table in (
        ("idp_mail_messages", "idp_mail_oldest_waiting_seconds", MailMessage),
        ("idp_logout_notices", "idp_logout_notice_oldest_waiting_seconds", LogoutNotice),
    ):
        counts = select(table.state, func.count()).where(table.state.in_(("waiting", "failed"))).group_by(table.state)
        found: dict[str, int] = {row[0]: row[1] for row in db.execute(counts)}
        for state in ("waiting", "failed"):
            yield f'{family}{{state="{state}"}}', float(found.get(state, 0))
        waiting = db.scalar(select(func.min(table.created_at)).where(table.state == "waiting"))
        yield oldest, 0.0 if waiting is None else float(max(0, now - waiting))
    keys = select(SigningKey.algorithm, SigningKey.activated_at).where(SigningKey.state == "active")
    for algorithm, activated_at in db.execute(keys):
        yield f'idp_signing_key_age_seconds{{algorithm="{algorithm}"}}', float(max(0, now - (activated_at or now)))


def _lines(readings: Mapping[str, float]) -> Iterator[str]:
    """Write the text format of Prometheus, version 0.0.4: families together, each with its help and kind."""
    by_family: dict[str, list[str]] = {name: [] for name in FAMILIES}
    for series in readings:
        name = series.partition("{")[0]
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix) if name.removesuffix(suffix) in FAMILIES else name
        if name in by_family:
            by_family[name].append(series)
    for name, (kind, told) in FAMILIES.items():
        if not by_family[name]:
            continue
        yield f"# HELP {name} {told}\n# TYPE {name} {kind}\n"
        if kind == "histogram":
            yield from _histogram(name, readings, by_family[name])
        else:
            yield from (f"{series} {_number(readings[series])}\n" for series in sorted(by_family[name]))


def _histogram(name: str, readings: Mapping[str, float], found: list[str]) -> Iterator[str]:
    """Add up the buckets: in the counters each request is in one of them, here in all that are wide enough."""
    for total in sorted(series for series in found if series.startswith(f"{name}_sum{{")):
        labels = total.partition("{")[2].removesuffix("}")
        count = 0.0
        for bound in (*map(str, metrics.BUCKETS), "+Inf"):
            series = f'{name}_bucket{{{labels},le="{bound}"}}'
            count += readings.get(series, 0.0)
            yield f"{series} {_number(count)}\n"
        yield f"{total} {readings[total]:.6f}\n{name}_count{{{labels}}} {_number(count)}\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
