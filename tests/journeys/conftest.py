"""The real thing: provider and Streamlit apps as processes, set up by the command line, and a person in Chromium."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bench.loaded import IDP, Program, Running
from tests.factories import PASSWORD
from tests.ports import free_port
from tests.streamlit_program import STREAMLIT
from tests.waiting import until_it_answers

expect.set_options(timeout=60_000)
FAST = {"IDP_BCRYPT_COST": "4", "IDP_REGISTRATION": "preauthorized"}
ARGUMENTS = ["--no-sandbox", "--no-proxy-server", "--disable-background-networking", "--disable-component-update"]


@dataclass
class House:
    """A provider, and how to talk to it as its operator."""

    folder: Path
    issuer: str
    processes: list[Running] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the house sees."""
        return {**os.environ, **FAST, "IDP_INSTANCE": str(self.folder / "instance"), "IDP_ISSUER": self.issuer}

    def idp(self, *arguments: str, text: str = "", folder: Path | None = None) -> str:
        """Run an `idp` command, in a folder of somebody's choice, and return what it printed."""
        done = IDP.run(arguments, self.environment, folder or self.folder, text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_people(self) -> None:
        """Make two accounts; one is an admin's."""
        for username, first, last, role in (("ada", "Ada", "Lovelace", "admin"), ("bob", "Bob", "Builder", "member")):
            self.idp(
                "user", "add", username, "--email", f"{username}@example.org", "--first-name", first,
                "--last-name", last, "--role", role, "--password-stdin", text=PASSWORD,
            )  # fmt: skip

    def start(self, program: Program, arguments: list[str], url: str, name: str) -> None:
        """Start a process that belongs to the house and wait until it answers."""
        with open(os.devnull, "rb") as nothing, (self.folder / f"{name}.log").open("wb") as log:
            process = program.start(arguments, self.environment, self.folder, (nothing, log, log))
        self.processes.append(process)
        until_it_answers(url, process, self.folder / f"{name}.log")

    def start_app(self, script: Path, host: str, name: str, *, logout_route: str = "") -> str:
        """Register a Streamlit app and start it; returns its URL."""
        port = free_port()
        url = f"http://{host}:{port}"
        secrets = self.folder / f"{name}.toml"
        more = ("--backchannel-logout-uri", url + logout_route) if logout_route else ()
        self.idp("client", "add-streamlit", name, "--url", url, "--secrets", str(secrets), *more)
        command = ["run", str(script), f"--server.port={port}", f"--server.address={host}"]
        command += ["--server.headless=true", "--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
        self.start(STREAMLIT, [*command, f"--secrets.files={secrets}"], f"{url}/_stcore/health", name)
        return url

    def stop(self) -> None:
        """End all processes."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(timeout=60)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A provider with two people, started as an operator would."""
    port = free_port()
    house = House(tmp_path_factory.mktemp("house"), f"http://localhost:{port}")
    house.idp("init")
    house.add_people()
    well_known = f"{house.issuer}/.well-known/openid-configuration"
    house.start(IDP, ["serve", "--port", str(port)], well_known, "provider")
    yield house
    house.stop()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def open_browser(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Open browsers that share no cookies."""
    opened = []

    def make() -> BrowserContext:
        context = browser.new_context()
        context.set_default_timeout(60_000)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()


@pytest.fixture
def page(open_browser: Callable[[], BrowserContext]) -> Page:
    """One tab in a fresh browser."""
    return open_browser().new_page()
