"""Mail without a mail server: files, and a page that shows them on this machine and nowhere else."""

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from idp.mail import outbox_folder, queue
from idp.mail.delivery import deliver_due
from idp.models import MailMessage
from idp.settings import Settings
from tests.conftest import Clock
from tests.web.page_driver import words

Post = Callable[..., str]
LINK = "http://localhost:8000/r?t=secret&x=<b>"


def test_mail_becomes_private_files(engine: Engine, settings: Settings, post: Post) -> None:
    mail_id = post("grüße@example.org", link=LINK)
    assert deliver_due(engine, settings)["mail_sent"] == 1
    folder = settings.instance / "outbox"
    [file] = folder.iterdir()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    [written] = outbox_folder.list_written(settings)
    assert outbox_folder.find_written(settings, mail_id) == written
    assert (written.id, written.recipient, written.subject) == (mail_id, "grüße@example.org", "Set a new password")
    assert LINK in written.text
    assert "Set a new password" in written.html


def test_the_newest_is_first_and_old_ones_make_room(
    clock: Clock, engine: Engine, settings: Settings, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_folder, "KEPT", 3)
    ids = []
    for _ in range(5):
        ids.append(post())
        deliver_due(engine, settings)
        clock.advance(1)
    assert [each.id for each in outbox_folder.list_written(settings)] == ids[:1:-1]
    assert [each.id for each in outbox_folder.list_written(settings, most=1)] == ids[-1:]


def test_a_mail_that_is_written_twice_is_one_file(engine: Engine, settings: Settings, post: Post, clock: Clock) -> None:
    mail_id = post()
    with Session(engine) as db, db.begin():
        body = db.get_one(MailMessage, mail_id).body_sealed
    deliver_due(engine, settings)
    with Session(engine) as db, db.begin():  # as if the worker had died before it could note that
        row = db.get_one(MailMessage, mail_id)
        row.state, row.body_sealed = "waiting", body
    assert deliver_due(engine, settings)["mail_sent"] == 1
    assert len(outbox_folder.list_written(settings)) == 1


def test_a_folder_that_cannot_be_made(engine: Engine, settings: Settings, post: Post) -> None:
    (settings.instance / "outbox").write_text("in the way")
    mail_id = post()
    assert deliver_due(engine, settings)["mail_put_off"] == 1
    with Session(engine) as db:
        assert "outbox" in str(db.get_one(MailMessage, mail_id).last_error)
        assert queue.put_off_last(db)[0] == 1


def test_the_page_shows_it(app: Flask, engine: Engine, settings: Settings, post: Post) -> None:
    browser = app.test_client()
    assert "Nothing was mailed yet." in words(browser.get("/outbox"))
    mail_id = post(link=LINK)
    deliver_due(engine, settings)
    listed = browser.get("/outbox")
    assert f'href="/outbox/{mail_id}"' in listed.text
    assert "ada@example.org" in listed.text
    shown = browser.get(f"/outbox/{mail_id}")
    assert '<a href="http://localhost:8000/r?t=secret&amp;x=">' in shown.text
    assert "<b>" not in shown.text
    assert "asked for a new password for the account ada" in words(shown)
    html = browser.get(f"/outbox/{mail_id}/html")
    policy = html.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-scripts" not in policy
    assert html.headers["Cache-Control"] == "no-store"
    assert "Postausgang" in browser.get("/outbox", headers={"Accept-Language": "de"}).text


@pytest.mark.parametrize("path", ["/outbox/" + "0" * 32, "/outbox/..%2Fidp.sqlite3", "/outbox/*", "/outbox/*/html"])
def test_there_is_nothing_else_to_see(app: Flask, engine: Engine, settings: Settings, post: Post, path: str) -> None:
    post()
    deliver_due(engine, settings)
    assert app.test_client().get(path).status_code == 404


@pytest.mark.parametrize(
    ("host", "address"),
    [("rebound.example", "127.0.0.1"), ("localhost.example.org", "127.0.0.1"), ("localhost:8000", "192.0.2.7")],
)
def test_it_is_for_this_machine_only(app: Flask, host: str, address: str) -> None:
    browser = app.test_client()
    for path in ("/outbox", "/outbox/" + "0" * 32, "/outbox/" + "0" * 32 + "/html"):
        answer = browser.get(path, headers={"Host": host}, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == 404
    for good in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert browser.get("/outbox", headers={"Host": good}).status_code == 200


def test_it_is_not_there_where_mail_goes_elsewhere(
    make_app: Callable[[Settings], Flask], settings: Settings, tmp_path: Path
) -> None:
    for elsewhere in (
        replace(settings, smtp_host="mail.example.org", mail_from="a@example.org"),
        replace(settings, issuer="https://login.example.org"),
    ):
        browser = make_app(elsewhere).test_client()
        assert browser.get("/outbox", headers={"Host": "localhost"}).status_code == 404
