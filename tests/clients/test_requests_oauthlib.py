"""requests-oauthlib, used as `docs/clients/requests-oauthlib.md` tells."""

import shutil
import sys
from pathlib import Path

from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.clients.processes import converse
from tests.journeys.conftest import House


def test_login_with_pkce_refresh_token_and_logout(
    provider: House, app_url: str, person: Person, tmp_path: Path
) -> None:
    how_to = HowTo("requests-oauthlib", provider.issuer, app_url)
    how_to.register(provider)
    how_to.write(tmp_path, "reports.py")
    driver = Path(shutil.copy(Path(__file__).with_name("reports_driver.py"), tmp_path))
    told = converse([sys.executable, str(driver)], tmp_path, person.visit, {"OAUTHLIB_INSECURE_TRANSPORT": "1"})
    assert told["userinfo"]["preferred_username"] == "ada"
    assert told["renewed"] == told["userinfo"]
    assert told["rotated"]
    assert person.visit(told["logout"]) == f"{app_url}/"
    assert not person.is_signed_in()
