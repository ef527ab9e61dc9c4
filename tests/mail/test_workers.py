"""Several workers, and workers that die: each mail goes once, and none is lost."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from idp.mail.delivery import deliver_due
from idp.mail.smtp import longest_step
from idp.models import MailMessage
from idp.settings import Settings
from idp.storage import database
from tests.conftest import SECRET_KEY, Clock
from tests.environment import without_settings
from tests.mail.conftest import HOST, Manners

Post = Callable[..., str]
Serve = Callable[..., int]
BySmtp = Callable[..., Settings]


def test_workers_at_once_send_each_mail_once(
    engine: Engine, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners
) -> None:
    everybody = {f"person{number}@example.org" for number in range(40)}
    for recipient in everybody:
        post(recipient)
    manners.wait = 0.005
    in_force = by_smtp(serve())
    sent: Counter[str] = Counter()

    def work() -> None:
        own = database.open_engine(in_force)
        sent.update(deliver_due(own, in_force))
        own.dispose()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Counter(manners.recipients()) == Counter(everybody)
    assert sent == {"mail_sent": 40, "mail_put_off": 0, "mail_failed": 0}


def test_a_worker_that_is_killed_loses_nothing(
    engine: Engine, settings: Settings, post: Post, serve: Serve, by_smtp: BySmtp, manners: Manners, clock: Clock
) -> None:
    everybody = {f"person{number}@example.org" for number in range(12)}
    for recipient in everybody:
        post(recipient)
    port = serve()
    manners.quick, manners.wait = 5, 600  # the sixth is taken, but the worker never hears of it
    process = start_worker(settings, port)
    try:
        while not manners.in_hand.wait(1):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    finally:
        process.kill()
        process.communicate()
    manners.wait = 0  # of those that come from now on
    in_force = by_smtp(port)
    clock.advance(1)
    before = len(manners.received)
    deliver_due(engine, in_force)
    assert len(manners.received) == len(everybody)  # all but the one in doubt, which was taken once already
    assert len(manners.received) > before
    clock.advance(longest_step(settings) + 120)  # the worker's own clock was not stopped
    deliver_due(engine, in_force)
    times = Counter(manners.recipients())
    assert set(times) == everybody
    assert sorted(times.values()) == [1] * 11 + [2]
    [twice] = [recipient for recipient, count in times.items() if count == 2]
    assert len({mail["Message-ID"] for recipient, mail in manners.received if recipient == twice}) == 1
    with Session(engine) as db:
        assert db.scalar(select(func.count()).where(MailMessage.state == "sent")) == len(everybody)


def start_worker(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    """Start `idp worker` as a process of its own."""
    environ = without_settings() | {
        "IDP_INSTANCE": str(settings.instance),
        "IDP_SECRET_KEY": SECRET_KEY,
        "IDP_SMTP_HOST": HOST,
        "IDP_SMTP_PORT": str(port),
        "IDP_SMTP_SECURITY": "none",
        "IDP_MAIL_FROM": "login@example.org",
    }
    if settings.database_url:
        environ["IDP_DATABASE_URL"] = settings.database_url
    return subprocess.Popen(
        [sys.executable, "-m", "idp", "worker"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
