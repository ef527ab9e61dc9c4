"""The numbers of `docs/architecture.md` are those of the running provider."""

import re

import pytest
from sqlalchemy import event

from idp.web import context
from tests import postgresql
from tests.factories import PASSWORD
from tests.house import pages
from tests.house.pages import section

FLOWS = " ".join(section(pages.read("architecture.md"), "## How a request flows").split())


class Traffic:
    """Statements and commits since the last look."""

    def __init__(self):
        self.statements, self.commits = 0, 0

    def take(self):
        seen = self.statements, self.commits
        self.__init__()
        return seen


@pytest.fixture
def traffic(app):
    with app.app_context():
        engine = context.extension.engine
    seen = Traffic()

    def note_statement(*_):
        seen.statements += 1

    def note_commit(_):
        seen.commits += 1

    event.listen(engine, "before_cursor_execute", note_statement)
    event.listen(engine, "commit", note_commit)
    yield seen
    event.remove(engine, "before_cursor_execute", note_statement)
    event.remove(engine, "commit", note_commit)


def test_a_login_by_single_sign_on(relying_party, make_user, traffic):
    make_user()
    party = relying_party()
    party.log_in()
    (told,) = re.findall(r"remembered consent\): (\d) \+ (\d) statements", FLOWS)
    traffic.take()
    code = party.ask().code
    authorized = traffic.take()
    party.request_tokens(code)
    reading = 0 if postgresql.default_engine() == "sqlite" else 1  # there, what was only read ends with a commit, too
    assert (authorized, traffic.take()) == ((int(told[0]), reading), (int(told[1]), 1))


def test_a_sign_in_with_a_password(relying_party, make_user, traffic):
    make_user()
    party = relying_party()
    party.log_in()
    (told,) = re.findall(
        r"\((\d+) statements, (\d+) commits, beside the (\d+) that\s+read the parked request, and (\d+) and (\d+)",
        FLOWS,
    )
    party.browser.delete_cookie("idp_session")
    page = party.follow(party.send())
    traffic.take()
    party.submit(page, "login-submit", username="ada", password=PASSWORD)
    statements, commits = traffic.take()
    assert statements == int(told[0]) + int(told[2]) + int(told[3])
    assert commits == int(told[1]) + int(told[4])
