"""Two clients that know nothing of each other, and one session at the provider."""

from pathlib import Path

from tests.clients.apache import is_inside, needs_apache, serve_intranet
from tests.clients.person import Person
from tests.clients.starlette_app import serve_weather
from tests.journeys.conftest import House
from tests.ports import free_port
from tests.waiting import until

pytestmark = needs_apache


def test_one_sign_in_opens_both_and_one_logout_ends_both(provider: House, person: Person, tmp_path: Path) -> None:
    # Cookies know no ports: each has a name of this machine that it shares with nobody.
    weather_url, intranet_url = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.2:{free_port()}"
    with serve_weather(provider, weather_url, tmp_path), serve_intranet(provider, intranet_url):
        person.walk(f"{weather_url}/login")
        person.password = "forgotten meanwhile"  # nobody asks for it again
        page = person.walk(f"{intranet_url}/inside/")
        assert page.headers["Seen-User"] == "ada"
        assert person.walk(f"{weather_url}/logout").text == "Hello stranger"
        until(lambda: not is_inside(intranet_url, person), "Apache does not notice the logout of the other app")
