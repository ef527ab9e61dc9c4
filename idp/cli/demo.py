"""`idp demo`: provider and demo app side by side, thrown away when they stop."""

import contextlib
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from idp import clock, crypto, settings, signals
from idp.accounts import registration
from idp.accounts.roles import fault_of_role
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.children import Child, Children
from idp.cli.client_streamlit import register
from idp.cli.init import initialise
from idp.cli.secrets_toml import SecretsToml
from idp.cli.serve import check_free
from idp.errors import NotReadyError, SettingsError
from idp.settings import PREFIX, Settings
from idp.storage.database import open_session

HOST = "127.0.0.1"
PORT = click.IntRange(1, 65535)
REMOVED_WITHIN = 10  # seconds
SECRETS = Path(".streamlit", "secrets.toml")
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True)
class DemoUser:
    """Somebody to sign in as."""

    username: str
    given_name: str
    family_name: str
    roles: Sequence[str]


@dataclass(frozen=True)
class DemoApp:
    """A Streamlit app to sign in to."""

    name: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where browsers reach it."""
        return f"http://{self.host}:{self.port}"


USERS = (
    DemoUser("ada", "Ada", "Lovelace", ("admin", "member")),
    DemoUser("bob", "Bob", "Ross", ("member",)),
)


def _check_roles(_context: click.Context, _option: click.Parameter, roles: Sequence[str]) -> Sequence[str]:
    for role in roles:
        if fault := fault_of_role(role):
            raise click.BadParameter(str(fault))
    return roles


@click.command
@click.argument("script", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--role",
    "role_names",
    multiple=True,
    metavar="ROLE",
    callback=_check_roles,
    help="One user more, who has this role; may be repeated.",
)
@click.option("--port", type=PORT, default=8000, show_default=True, help="The provider's port.")
@click.option("--app-port", type=PORT, default=8501, show_default=True, help="The app's port.")
@click.option(
    "--second-app-port",
    type=PORT,
    is_flag=False,
    flag_value=8502,
    help="Start a second app too, to see single sign-on at work (8502 when no port is named).",
)
def command(
    script: Path | None, role_names: Sequence[str], port: int, app_port: int, second_app_port: int | None
) -> None:
    """Run the provider and a demo app side by side, with two users, in a throw-away instance.

    With SCRIPT, a Streamlit app of your own runs in place of the demo app: in this folder, with its own secrets, but
    for the [auth] section. Its files are watched, so that what you change shows. Users of the roles that it knows come
    with --role, and are called as their role is.

    Prints the URLs and the passwords. Ctrl-C stops all of it and removes every trace.

    \b
    Examples:
      idp demo
      idp demo --second-app-port
      idp demo main.py --role editor --role viewer
    """
    first, second = ("Your app", "Your second app") if script else ("Demo app", "Second demo app")
    # Cookies ignore ports, so the second app is reached by another name: on one, each would sign the other out.
    apps = [DemoApp(first, "localhost", app_port)]
    if second_app_port:
        apps.append(DemoApp(second, HOST, second_app_port))
    ports = [port, *(app.port for app in apps)]
    if len(set(ports)) < len(ports):
        raise click.UsageError("Each part needs a port of its own.")
    demo_script = find_demo_script()
    users = (*USERS, *(DemoUser(role.replace(":", "."), role, "", (role,)) for role in dict.fromkeys(role_names)))
    if len({user.username for user in users}) < len(users):
        raise click.UsageError("Users are called as their role is, and two would have one name: leave out a --role.")
    for each in ports:
        check_free(HOST, each)
    heeded = [number for number in signals.TO_END if signal.getsignal(number) is not signal.SIG_IGN]  # as by `nohup`
    before = {number: signal.signal(number, _stop) for number in heeded}
    try:
        with _throw_away_folder() as folder:
            _run(folder, port, apps, users, script or demo_script, is_own=script is not None)
    except KeyboardInterrupt:
        output.note("\nStopped; nothing is left of it.")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _throw_away_folder() -> Iterator[Path]:
    """Give a folder, and remove it: on Windows that has to wait until nobody has its files open any more."""
    folder = Path(tempfile.mkdtemp(prefix="idp-demo-"))
    try:
        yield folder
    finally:
        give_up_at = clock.ticks() + REMOVED_WITHIN
        while folder.exists():
            shutil.rmtree(folder, ignore_errors=clock.ticks() < give_up_at)
            time.sleep(0.1)


def find_demo_script() -> Path:
    """Return the demo app's main script, found without importing anything of it.

    Raises:
        NotReadyError: Streamlit, or the bridge, is not installed.
    """
    bridge = importlib.util.find_spec("streamlit_bridge")
    missing = bridge is None or bridge.origin is None or importlib.util.find_spec("streamlit") is None
    if missing or importlib.util.find_spec("httpx") is None:
        raise NotReadyError("The demo app needs Streamlit: pip install 'streamlit-idp[demo]'")
    return Path(str(bridge and bridge.origin)).parent / "demo" / "main.py"


def readable_password() -> str:
    """Return a password of 60 random bits that a person can read out: four words that mean nothing."""
    rest = int(crypto.digest(crypto.new_token()), 16)
    syllables = []
    for _ in range(10):
        rest, consonant = divmod(rest, len(CONSONANTS))
        rest, vowel = divmod(rest, len(VOWELS))
        syllables.append(CONSONANTS[consonant] + VOWELS[vowel])
    return "-".join("".join(syllables[start:end]) for start, end in ((0, 3), (3, 5), (5, 8), (8, 10)))


def _run(
    folder: Path, port: int, apps: Sequence[DemoApp], users: Sequence[DemoUser], script: Path, *, is_own: bool
) -> None:
    environ = _environment(folder, port)
    try:
        loaded = settings.load(environ)
    except SettingsError as error:  # pragma: no cover - the demo's own settings are right
        raise NotReadyError(error.message) from None
    output.note("Making a throw-away instance ...")
    passwords = _fill(loaded, folder, apps, users)
    provider = Child(
        name="provider",
        arguments=(sys.executable, "-m", "idp", "serve", "--host", HOST, "--port", str(port)),
        folder=folder,
        environ=environ,
        answers_at=f"http://{HOST}:{port}/.well-known/openid-configuration",
    )
    with Children(folder) as children:
        children.start(provider)
        for app in apps:
            children.start(streamlit_child(app, script, _folder_of(app, folder), environ, is_own=is_own))
        output.note(f"Starting the provider and the app; what they print goes to {folder}/*.log ...")
        children.wait_until_all_answer()
        _tell(loaded, apps, users, passwords)
        children.watch()


def _environment(folder: Path, port: int) -> dict[str, str]:
    """The environment of the children: nothing of an operator's own configuration leaks into the demo.

    Nor is a proxy asked for what is on this machine, though one is named for everything.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "STREAMLIT_", "GRANIAN_"))
    }
    proxies = urllib.request.getproxies()  # from the environment, or where Windows and macOS have them
    proxies["no"] = ",".join((*filter(None, [proxies.get("no")]), "localhost", HOST))
    inherited |= {f"{name}_proxy": value for name, value in proxies.items()}
    return inherited | {
        "NO_PROXY": proxies["no"],
        "IDP_INSTANCE": str(folder / "instance"),
        "IDP_ISSUER": f"http://localhost:{port}",
        "IDP_REGISTRATION": "open",
        "PYTHONUNBUFFERED": "1",
    }


def _fill(loaded: Settings, folder: Path, apps: Sequence[DemoApp], users: Sequence[DemoUser]) -> dict[str, str]:
    """Make the instance, its users and its apps; return the passwords."""
    initialise(loaded)
    passwords = {user.username: readable_password() for user in users}
    with open_session(loaded) as db:
        for user in users:
            person = Person(user.username, f"{user.username}@example.org", user.given_name, user.family_name)
            registration.add_user(db, loaded, OPERATOR, person, passwords[user.username], role_names=user.roles)
        for app in apps:
            _, auth = register(db, loaded, app.name, app.url)
            SecretsToml.read(_folder_of(app, folder) / SECRETS).write(auth)
    return passwords


def _folder_of(app: DemoApp, folder: Path) -> Path:
    return folder / f"app-{app.port}"


def streamlit_child(app: DemoApp, script: Path, folder: Path, environ: Mapping[str, str], *, is_own: bool) -> Child:
    """Describe the process of an app.

    Args:
        app: where it is.
        script: its main script.
        folder: holds what it has to know of the provider.
        environ: its environment.
        is_own: it is no app of ours: it runs where its files are, and finds its secrets.
    """
    places = (Path.home(), Path.cwd(), script.absolute().parent) if is_own else ()
    options = {
        "server.address": HOST,
        "server.port": str(app.port),
        "server.baseUrlPath": "",
        "server.headless": "true",
        "server.fileWatcherType": "auto" if is_own else "none",
        "browser.serverAddress": app.host,
        "browser.gatherUsageStats": "false",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    for place in dict.fromkeys((*places, folder)):  # of two sections of one name the last counts
        flags += ["--secrets.files", str(place / SECRETS)]
    return Child(
        name=f"app-{app.port}",
        arguments=(sys.executable, "-m", "streamlit", "run", str(script.absolute()), *flags),
        folder=Path.cwd() if is_own else folder,
        environ=environ,
        answers_at=f"http://{HOST}:{app.port}/_stcore/health",
    )


def _tell(loaded: Settings, apps: Sequence[DemoApp], users: Sequence[DemoUser], passwords: Mapping[str, str]) -> None:
    click.echo()
    output.table(
        ("open this", ""),
        [*((app.name, app.url) for app in apps), ("Provider", loaded.issuer), ("Outbox", loaded.url("/outbox"))],
    )
    click.echo()
    output.table(
        ("user", "password", "roles"), [(user.username, passwords[user.username], user.roles) for user in users]
    )
    click.echo()
    sys.stdout.flush()
    output.note("Ctrl-C stops it; nothing is kept.")


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
