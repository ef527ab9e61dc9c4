"""Delivery against a real mail server that is down, slow, refuses, or dies: every message arrives, or fails loudly."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from idp import crypto
from idp.mail import delivery, outbox, queue, smtp
from idp.mail.delivery import deliver_due
from idp.mail.outbox import open_body
from idp.mail.transport import TransportError
from idp.models import AuditEvent, MailMessage
from idp.settings import Settings
from tests.conftest import Clock
from tests.mail.conftest import HOST, Manners

Post = Callable[..., str]
Serve = Callable[..., int]
BySmtp = Callable[..., Settings]
DAY = 86_400


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens at."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        yield probe.getsockname()[1]


def row_of(engine: Engine, mail_id: str) -> MailMessage:
    """Return a mail's row."""
    with Session(engine) as db:
        return db.get_one(MailMessage, mail_id)


def events(engine: Engine) -> list[dict[str, str]]:
    """Return what the audit tells of mail."""
    with Session(engine) as db:
        return list(db.scalars(select(AuditEvent.details).where(AuditEvent.event == queue.GIVEN_UP)))


def counted(sent: int = 0, put_off: int = 0, failed: int = 0) -> dict[str, int]:
    """Return the counts of a round."""
    return {"mail_sent": sent, "mail_put_off": put_off, "mail_failed": failed}


def test_a_mail_goes_and_is_forgotten(
    clock: Clock, engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners
) -> None:
    mail_id = post(link="http://localhost:8000/recover?token=" + "x" * 120)
    clock.advance(5)
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=1)
    [(recipient, mail)] = manners.received
    assert recipient == mail["To"] == "ada@example.org"
    assert mail["From"] == "Tea House <login@example.org>"
    assert mail["Message-ID"] == f"<{mail_id}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.timestamp() == clock.time - 5
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    for part in mail.iter_parts():
        assert "http://localhost:8000/recover?token=" + "x" * 120 in part.get_content()
    row = row_of(engine, mail_id)
    assert (row.state, row.body_sealed, row.attempts, row.finished_at) == ("sent", "", 1, clock.time)
    assert deliver_due(engine, by_smtp(1)) == counted()


def test_a_request_that_is_rolled_back_mails_nobody(engine: Engine, settings: Settings, post: Post) -> None:
    from idp.mail import messages

    with Session(engine) as db:
        outbox.post(db, settings, messages.test_message(settings, "en"), "ada@example.org")
        db.rollback()
        assert db.scalar(select(MailMessage.id)) is None


def test_what_a_mail_says_is_sealed(engine: Engine, settings: Settings, post: Post) -> None:
    row = row_of(engine, post(link="http://localhost:8000/r?t=the-secret"))
    assert "the-secret" not in str(vars(row))
    assert "the-secret" in open_body(settings, row.body_sealed)[0]


def test_a_batch_takes_one_connection(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MANY", 10)
    everybody = [f"person{number}@example.org" for number in range(12)]
    for recipient in everybody:
        post(recipient)
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=12)
    assert sorted(manners.recipients()) == sorted(everybody)
    assert manners.connections == 2  # ten in one


def test_who_waits_for_a_mail_does_not_wait_behind_a_thousand_invitations(
    clock: Clock, engine: Engine, post: Post, invite: Post, serve: Serve, by_smtp: BySmtp, manners: Manners
) -> None:
    """Of two links for one person the older goes first: the one that is good is to lie on top of the inbox."""
    for number in range(4):
        invite(f"invited{number}@example.org")
        clock.advance(1)
    for name in ("older", "newer"):
        post("ada@example.org", link=f"http://localhost:8000/r?t={name}")
        clock.advance(1)
    invite("invited4@example.org")
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=7)
    invited = [f"invited{number}@example.org" for number in range(5)]
    assert manners.recipients() == ["ada@example.org", "ada@example.org", *invited]
    texts = [mail.get_body(("plain",)) for _, mail in manners.received[:2]]
    assert ["older" in str(texts[0]), "newer" in str(texts[1])] == [True, True]


def test_invitations_that_have_waited_for_a_day_come_in_their_turn(
    clock: Clock, engine: Engine, post: Post, invite: Post, serve: Serve, by_smtp: BySmtp, manners: Manners
) -> None:
    """However much other mail there is."""
    invite("invited@example.org")
    clock.advance(DAY + 1)
    post("ada@example.org")
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=2)
    assert manners.recipients() == ["invited@example.org", "ada@example.org"]


def test_a_server_that_is_down_then_up(
    clock: Clock,
    engine: Engine,
    post: Post,
    serve: Serve,
    by_smtp: BySmtp,
    manners: Manners,
    closed_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ids = [post("ada@example.org"), post("bob@example.org")]
    in_force = by_smtp(closed_port)
    assert deliver_due(engine, in_force) == counted(put_off=2)
    assert "2 wait" in caplog.text
    assert deliver_due(engine, in_force) == counted()  # not yet
    for _ in range(20):
        clock.advance(queue.WAIT_FOR_SERVER)
        assert deliver_due(engine, in_force) == counted(put_off=2)
    assert "refused" in str(row_of(engine, ids[0]).last_error)
    clock.advance(queue.WAIT_FOR_SERVER)
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=2)
    assert sorted(manners.recipients()) == ["ada@example.org", "bob@example.org"]
    assert not events(engine)


def test_a_server_that_stays_down_is_given_up_loudly(
    clock: Clock,
    engine: Engine,
    post: Post,
    by_smtp: BySmtp,
    closed_port: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue, "WAIT_FOR_SERVER", 3_600)  # or the test takes long
    mail_id = post()
    started = clock.time
    in_force = by_smtp(closed_port)
    while row_of(engine, mail_id).state == "waiting":
        deliver_due(engine, in_force)
        clock.advance(queue.WAIT_FOR_SERVER)
    assert 2 * DAY <= clock.time - started <= 2 * DAY + 7_200
    assert [(each["mail"], each["kind"]) for each in events(engine)] == [(mail_id, "reset_password")]
    assert f"idp mail retry {mail_id}" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR
    assert "ada@example.org" not in caplog.text


def test_a_slow_server_is_not_waited_for(
    clock: Clock, engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners
) -> None:
    mail_id = post()
    manners.wait = 3
    assert deliver_due(engine, by_smtp(serve(), smtp_timeout=1)) == counted(put_off=1)
    assert "too long" in str(row_of(engine, mail_id).last_error)


def test_a_refused_recipient_is_given_up_at_once(
    engine: Engine,
    post: Post,
    serve: Serve,
    by_smtp: BySmtp,
    manners: Manners,
    caplog: pytest.LogCaptureFixture,
) -> None:
    manners.refused["nobody@example.org"] = "550 5.1.1 no such user"
    refused, taken = post("nobody@example.org"), post("ada@example.org")
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=1, failed=1)
    row = row_of(engine, refused)
    assert (row.state, row.attempts) == ("failed", 1)
    assert row.last_error == "550 5.1.1 no such user"
    assert row.body_sealed  # so that it can be tried again
    assert row_of(engine, taken).state == "sent"
    assert events(engine) == [{"mail": refused, "kind": "reset_password", "reason": "550 5.1.1 no such user"}]
    assert "is given up: 550 5.1.1 no such user" in caplog.text


def test_a_refusal_that_goes_on_and_on_is_cut_between_two_words() -> None:
    """Half an address would be none to take out, and a long text takes long to look through."""
    links = "https://login.example.org/reset#" + "x" * 61
    said = " ".join(["refused:", *[links] * 21, "nobody@example.org", "." * 100_000])
    assert said.index("nobody") < 2_000 < said.index("nobody") + len("nobody@example.org")
    assert str(TransportError(said)) == " ".join(["refused:", *["(...)"] * 21])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("<Nobody@example.org>: Recipient address rejected", "<(...)>: Recipient address rejected"),
        ("Mailbox nobody@example.org, unknown.", "Mailbox (...) unknown."),
        ("no <mailto:nobody%40example.org> here", "no <(...)> here"),
        ("see?u=https%3A%2F%2Flogin.example.org%2Fr for why", "(...) for why"),
        ('"no body"@example.org and nobody+' + "x" * 30 + "@example.org", '"no (...) and (...)'),
    ],
)
@pytest.mark.parametrize(("code", "outcome"), [(550, "is given up"), (450, "did not go")])
def test_a_refusal_is_told_without_whom_it_names(
    engine: Engine,
    post: Post,
    serve: Serve,
    by_smtp: BySmtp,
    manners: Manners,
    caplog: pytest.LogCaptureFixture,
    said: str,
    told: str,
    code: int,
    outcome: str,
) -> None:
    manners.refused["nobody@example.org"] = f"{code} {said}"
    mail_id = post("nobody@example.org")
    deliver_due(engine, by_smtp(serve()))
    assert f"{outcome}: {code} {told}" in caplog.text
    assert "example.org" not in caplog.text
    assert row_of(engine, mail_id).last_error == f"{code} {told}"
    assert [each["reason"] for each in events(engine)] == [f"{code} {told}"] * (outcome == "is given up")


def test_a_recipient_that_is_put_off_is_tried_again_ever_more_rarely(
    clock: Clock, engine: Engine, invite: Post, serve: Serve, by_smtp: BySmtp, manners: Manners
) -> None:
    manners.refused["ada@example.org"] = "451 4.7.1 greylisted"
    mail_id, started, attempted = invite("ada@example.org"), clock.time, []
    in_force = by_smtp(serve())
    for _ in range(8):
        row = row_of(engine, mail_id)
        clock.time = row.next_attempt_at
        attempted.append(clock.time - started)
        assert deliver_due(engine, in_force) == counted(put_off=1)
    assert attempted == [0, 60, 360, 1_260, 4_860, 8_460, 12_060, 15_660]
    manners.refused.clear()
    clock.advance(3_600)
    assert deliver_due(engine, in_force) == counted(sent=1)
    assert row_of(engine, mail_id).last_error is None


def test_a_content_that_is_refused(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners, caplog: pytest.LogCaptureFixture
) -> None:
    manners.answer = "554 5.7.1 looks like spam: http://localhost:8000/r?t=secret and c2VjcmV0c2VjcmV0c2VjcmV0c2Vj"
    mail_id = post()
    assert deliver_due(engine, by_smtp(serve())) == counted(failed=1)
    assert row_of(engine, mail_id).last_error == "554 5.7.1 looks like spam: (...) and (...)"
    assert "t=secret" not in caplog.text


def test_a_content_that_is_put_off(engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners) -> None:
    manners.answer = "452 4.3.1 insufficient system storage"
    mail_id = post()
    assert deliver_due(engine, by_smtp(serve())) == counted(put_off=1)
    assert row_of(engine, mail_id).state == "waiting"


@pytest.mark.parametrize("when", ["in the middle", "before its answer"])
def test_a_server_that_dies_while_it_takes_a_mail(
    clock: Clock, engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners, when: str
) -> None:
    ids = [post("ada@example.org"), post("bob@example.org")]
    manners.hangs_up = when
    in_force = by_smtp(serve())
    assert deliver_due(engine, in_force) == counted(put_off=2)
    manners.hangs_up = ""
    clock.advance(60)
    assert deliver_due(engine, in_force) == counted(sent=2)
    arrived = [mail["Message-ID"] for _, mail in manners.received]
    assert set(arrived) == {f"<{mail_id}@example.org>" for mail_id in ids}
    assert len(arrived) == (2 if when == "in the middle" else 4)  # it had them already, but never said so


def fail_to_note(times: int, monkeypatch: pytest.MonkeyPatch, kind: type[DBAPIError] = OperationalError) -> None:
    """Have the database be away, so many times, when a mail has gone."""
    mark_sent, left = queue.mark_sent, iter(range(times))

    def mark(db: Session, claimed: queue.Claimed) -> None:
        if next(left, None) is not None:
            raise kind("UPDATE", {}, Exception("the server was restarted"))
        mark_sent(db, claimed)

    monkeypatch.setattr(queue, "mark_sent", mark)
    monkeypatch.setattr(delivery, "NOTE_AGAIN_AFTER", 0)


def test_a_database_that_is_away_for_a_moment_has_no_mail_sent_twice(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_note(3, monkeypatch)
    mail_id = post()
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=1)
    assert len(manners.received) == 1
    assert row_of(engine, mail_id).state == "sent"


def test_a_database_that_stays_away_is_not_waited_for_beyond_the_claim(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_note(3, monkeypatch)
    monkeypatch.setattr(delivery, "longest_step", lambda _settings: 0)
    post()
    with pytest.raises(OperationalError):
        deliver_due(engine, by_smtp(serve()))


class Stopping(threading.Event):
    """A worker is told to stop while it waits."""

    def wait(self, _timeout: float | None = None) -> bool:
        self.set()
        return True


def test_nor_does_a_worker_wait_for_it_that_stops(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_note(3, monkeypatch)
    post()
    with pytest.raises(OperationalError):
        deliver_due(engine, by_smtp(serve()), Stopping())


def test_nor_where_it_is_no_fault_of_the_database(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_note(1, monkeypatch, IntegrityError)
    post()
    with pytest.raises(IntegrityError):
        deliver_due(engine, by_smtp(serve()))


def test_a_server_that_keeps_dying_ends_the_round(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners
) -> None:
    for number in range(10):
        post(f"person{number}@example.org")
    manners.hangs_up = "in the middle"
    assert deliver_due(engine, by_smtp(serve())) == counted(put_off=3)


def test_a_row_that_nobody_can_read_is_in_nobodys_way(
    engine: Engine,
    settings: Settings,
    post: Post,
    serve: Serve,
    by_smtp: BySmtp,
    manners: Manners,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, foreign = post("eve@example.org"), post("old@example.org")
    with Session(engine) as db, db.begin():
        sealed = crypto.seal(settings.secret_key, outbox.PURPOSE, '"no body"')
        db.execute(update(MailMessage).where(MailMessage.id == broken).values(body_sealed=sealed))
        sealed = crypto.seal("another instance's secret key, long enough", outbox.PURPOSE, "{}")
        db.execute(update(MailMessage).where(MailMessage.id == foreign).values(body_sealed=sealed))
    post("ada@example.org")
    assert deliver_due(engine, by_smtp(serve())) == counted(sent=1, failed=1, put_off=1)
    assert manners.recipients() == ["ada@example.org"]
    assert "did not go: it is sealed with another secret key. It is tried again." in caplog.text


def test_without_a_mail_server_mail_waits_and_is_given_up(
    clock: Clock, engine: Engine, settings: Settings, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    from idp.mail import messages

    nowhere = replace(settings, issuer="https://login.example.org")
    assert nowhere.mail_route == "nowhere"
    with Session(engine) as db, db.begin():
        outbox.post(db, nowhere, messages.test_message(nowhere, "en"), "ada@example.org")
    assert "idp doctor" in caplog.text
    assert deliver_due(engine, nowhere) == counted()
    clock.advance(2 * DAY)
    assert deliver_due(engine, nowhere) == counted(failed=1)
    assert events(engine)[0]["reason"] == "no mail server is set"


def test_a_mail_that_is_put_back_has_a_few_attempts_however_old(
    clock: Clock, engine: Engine, post: Post, by_smtp: BySmtp, closed_port: int
) -> None:
    mail_id = post()
    clock.advance(5 * DAY)
    in_force = by_smtp(closed_port)
    for _ in range(2):
        assert deliver_due(engine, in_force) == counted(put_off=1)
        clock.advance(queue.WAIT_FOR_SERVER)
    assert deliver_due(engine, in_force) == counted(put_off=1, failed=1)
    with Session(engine) as db, db.begin():
        assert queue.retry(db, MailMessage.id == mail_id) == 1
    assert deliver_due(engine, in_force) == counted(put_off=1)


def test_finished_mail_is_forgotten_after_a_month(clock: Clock, engine: Engine, post: Post, settings: Settings) -> None:
    post("ada@example.org")
    assert deliver_due(engine, settings) == counted(sent=1)
    waiting = post("bob@example.org")
    clock.advance(queue.KEPT_AFTER_END)
    with Session(engine) as db, db.begin():
        assert queue.sweep(db, most=10) == 0
    clock.advance(1)
    with Session(engine) as db, db.begin():
        assert queue.sweep(db, most=10) == 1
        assert db.scalars(select(MailMessage.id)).all() == [waiting]
