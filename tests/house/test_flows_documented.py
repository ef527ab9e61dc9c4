"""The numbers of `docs/architecture.md` are those of the running provider."""

import re

from tests import postgresql
from tests.factories import PASSWORD
from tests.house import pages
from tests.house.pages import section

FLOWS = " ".join(section(pages.read("architecture.md"), "## How a request flows").split())


def test_a_login_by_single_sign_on(relying_party, make_user, counted):
    make_user()
    party = relying_party()
    party.log_in()
    (told,) = re.findall(r"remembered consent\): (\d) \+ (\d) statements", FLOWS)
    with counted() as authorized:
        code = party.ask().code
    with counted() as redeemed:
        party.request_tokens(code)
    reading = 0 if postgresql.default_engine() == "sqlite" else 1  # there, what was only read ends with a commit, too
    assert [len(each.statements) for each in (authorized, redeemed)] == [int(told[0]), int(told[1])]
    assert (authorized.commits, redeemed.commits) == (reading, 1)


def test_a_sign_in_with_a_password(relying_party, make_user, counted):
    make_user()
    party = relying_party()
    party.log_in()
    (told,) = re.findall(
        r"\((\d+) statements, (\d+) commits, beside the (\d+) that\s+read the parked request, and (\d+) and (\d+)",
        FLOWS,
    )
    party.browser.delete_cookie("idp_session")
    page = party.follow(party.send())
    with counted() as traffic:
        party.submit(page, "login-submit", username="ada", password=PASSWORD)
    assert len(traffic.statements) == int(told[0]) + int(told[2]) + int(told[3])
    assert traffic.commits == int(told[1]) + int(told[4])
