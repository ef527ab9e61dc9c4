"""The how-tos of `docs/clients/`: what they tell people to run and to write is what the tests run.

A how-to speaks of `https://login.example.org` and `https://app.example.org`, and of a secret that was printed. A test
puts in where things really are, runs the commands, and lays down the files; nothing else is changed.
"""

import json
import re
import shlex
from pathlib import Path
from urllib.parse import quote

from tests.journeys.conftest import House

FOLDER = Path(__file__).parents[2] / "docs" / "clients"
ISSUER, APP = "https://login.example.org", "https://app.example.org"
SECRET, TOKEN = "the-printed-secret", "the-printed-token"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class HowTo:
    """One how-to, followed by a test.

    Args:
        name: the page, without `.md`.
        issuer: where the provider is.
        app: where the app will be.
    """

    def __init__(self, name: str, issuer: str, app: str) -> None:
        self.text = (FOLDER / f"{name}.md").read_text("utf-8")
        self.values = {ISSUER: issuer, APP: app}

    def block(self, title: str) -> str:
        """Return a block by what stands after its language: the name of a file, filled in."""
        (found,) = [body for _, named, body in FENCE.findall(self.text) if named == title]
        return self.fill_in(found)

    def fill_in(self, text: str) -> str:
        """Put in what is really there in place of what the page says."""
        for written, real in self.values.items():
            text = text.replace(written, real).replace(quote(written, safe=""), quote(real, safe=""))
        assert "example.org" not in text, "the how-to speaks of a place that no test can put in"
        return text

    def commands(self, program: str = "idp") -> list[list[str]]:
        """Return the arguments of a program's commands that the page tells to run, in their order."""
        shell = "".join(body for language, _, body in FENCE.findall(self.text) if language == "sh")
        lines = self.fill_in(shell).replace("\\\n", " ").splitlines()
        return [shlex.split(line)[1:] for line in lines if line.startswith(f"{program} ")]

    def register(self, house: House, client_id: str = "", folder: Path | None = None) -> str:
        """Run the page's command that registers an app, and fill in the secret that it prints from now on.

        Args:
            house: whose operator runs it.
            client_id: which app, if the page has several.
            folder: where files that the command names are.

        Returns:
            The app's client id.
        """
        commands = [each for each in self.commands() if each[:2] == ["client", "add"]]
        (command,) = [each for each in commands if not client_id or client_id in each]
        told = json.loads(house.idp(*command, "--json", folder=folder))
        if told["client_secret"]:
            self.values[SECRET] = told["client_secret"]
        return str(told["client_id"])

    def get_initial_access_token(self, house: House) -> None:
        """Run the page's command for a token by which apps register themselves, and fill that in from now on."""
        (command,) = [each for each in self.commands() if each[:3] == ["client", "token", "add"]]
        self.values[TOKEN] = json.loads(house.idp(*command, "--json"))["token"]

    def write(self, folder: Path, *titles: str) -> None:
        """Lay down files under the names that they have on the page."""
        for title in titles:
            path = folder / title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.block(title), "utf-8")
