"""Fixtures that all tests share: a provider in a folder of its own, people, apps, and a clock that one can turn."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from joserfc.jwk import Key
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from idp import clock as provider_clock
from idp import hashing, worker
from idp.accounts.visitor import OPERATOR
from idp.app import create_app
from idp.migrations import runner
from idp.models import User
from idp.oidc.clients import ClientMetadata
from idp.oidc.keys import ensure_keys
from idp.settings import Settings
from idp.storage import database
from idp.web import context
from tests import compiled_once, factories, postgresql
from tests.ports import free_port
from tests.relying_party import RelyingParty
from tests.serving import serving
from tests.traffic import Traffic, counting

# No test asserts a time; and what CI finds must be found again by whoever looks.
hypothesis.settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("house")

# Whoever runs the tests in the background may have told them to ignore Ctrl-C, or that a terminal is gone. What they
# start would go on ignoring it; where a handler is set here, it begins with the system's.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, lambda *_: None)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

# What is said here of terminals and proxies must decide nothing: pages of help have a width, and all servers are near.
for name in [name for name in os.environ if name.lower().endswith("_proxy") or name in ("COLUMNS", "LINES")]:
    del os.environ[name]

SECRET_KEY = "a secret key for tests, and for nothing else"  # gitleaks:allow
# What waits for browsers, servers and restarts. Begun last, one of them would keep the whole run waiting.
LONG = (
    "tests/storage/test_hosts.py",
    "tests/browser/",
    "tests/journeys/",
    "tests/bridge/test_journey.py",
    "tests/storage/test_former_program.py",
    "tests/storage/test_kill.py",
    "tests/cli/test_serve.py",
    "tests/clients/",
)

compiled_once.share_routes()
compiled_once.share_statements()
compiled_once.share_estimates()


@pytest.fixture(autouse=True)
def same_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test the main module back: Streamlit puts its script there, and new processes would run that script."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(autouse=True)
def sweeps_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test's worker look at all rows: a walk remembers in its process how far it came, in tests before too."""
    for walk in (worker._GRANTS, worker._SESSIONS):
        monkeypatch.setattr(walk, "_after", None)
        monkeypatch.setattr(walk, "_fruitless", 0)


@pytest.fixture(scope="session", autouse=True)
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile each template once for all the applications that tests build."""
    cache = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "jinja_options", {**Flask.jinja_options, "bytecode_cache": cache})
        yield


@pytest.fixture(scope="session", autouse=True)
def hashing_as_urgent_as_all_else() -> Iterator[None]:
    """Let hashes give way to nobody: what they would wait for here are other tests, on the same processors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_give_way", lambda: None)
        yield


@pytest.fixture(scope="session")
def template_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised instance, made once and copied for each test: making RSA keys takes a while."""
    folder = tmp_path_factory.mktemp("template")
    settings = Settings(instance=folder, secret_key=SECRET_KEY)
    runner.upgrade(settings)
    with database.open_session(settings) as db:
        ensure_keys(db, settings, OPERATOR)
    return folder


@pytest.fixture(scope="session")
def template_instance_with_ada(template_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with Ada's account: to make it takes as long as all else that most tests begin with."""
    folder = tmp_path_factory.mktemp("template") / "with ada"
    shutil.copytree(template_instance, folder)
    _add_ada(Settings(instance=folder, secret_key=SECRET_KEY, bcrypt_cost=4))
    return folder


def _add_ada(settings: Settings) -> None:
    with database.open_session(settings) as db:
        factories.make_user(db, settings)


@pytest.fixture
def settings(tmp_path: Path, database_engine: str, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings of a fresh provider; `bcrypt_cost` is low, so that tests are quick."""
    kind = "_with_ada" if "settled_ada" in request.fixturenames else ""
    instance = tmp_path / "instance"
    shutil.copytree(request.getfixturevalue(f"template_instance{kind}"), instance)
    fresh = Settings(instance=instance, secret_key=SECRET_KEY, bcrypt_cost=4, registration="open")
    if database_engine == "sqlite":
        yield fresh
        return
    for file in instance.glob("idp.sqlite3*"):
        file.unlink()
    with postgresql.new_database(request.getfixturevalue(f"postgresql_template{kind}")) as url:
        yield replace(fresh, database_url=url)


@pytest.fixture
def database_engine(request: pytest.FixtureRequest) -> str:
    """The kind of database that the provider of a test works on; see `tests.postgresql`."""
    return getattr(request, "param", "") or postgresql.default_engine()


@pytest.fixture(scope="session")
def postgresql_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of an initialised database on the PostgreSQL server, made once and copied for each test."""
    with postgresql.new_database() as url:
        settings = Settings(instance=tmp_path_factory.mktemp("keys"), secret_key=SECRET_KEY, database_url=url)
        runner.upgrade(settings)
        with database.open_session(settings) as db:
            ensure_keys(db, settings, OPERATOR)
        yield postgresql.name_of(url)


@pytest.fixture(scope="session")
def postgresql_template_with_ada(postgresql_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of such a database with Ada's account."""
    with postgresql.new_database(postgresql_template) as url:
        _add_ada(
            Settings(instance=tmp_path_factory.mktemp("ada"), secret_key=SECRET_KEY, database_url=url, bcrypt_cost=4)
        )
        yield postgresql.name_of(url)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let the tests of storage run on both engines where there is a server; some are about a server only."""
    if "database_engine" in metafunc.fixturenames and postgresql.runs_on_both(metafunc.module.__name__):
        engines = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
        is_about_server = metafunc.definition.get_closest_marker("postgres") is not None
        metafunc.parametrize("database_engine", engines[1:] if is_about_server else engines, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long, and leave out what is about SQLite itself where another engine was asked for."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    if postgresql.default_engine() != "sqlite":
        items[:] = [item for item in items if item.get_closest_marker("sqlite") is None]


def pytest_collection() -> None:
    """Let nobody look for garbage among modules and tests, which live as long as the run."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Have garbage collected again, and only looked for among what tests make from now on."""
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Let nobody put the files of many tests first, which is what pytest-xdist does unless it is told not to."""
    config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto` takes one process more than there are processors: those that wait for a browser need none."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.fixture
def make_app() -> Iterator[Callable[[Settings], Flask]]:
    """Build applications that are put away at the end."""
    built = []

    def make(settings: Settings) -> Flask:
        app = create_app(settings)
        app.testing = False
        built.append(app)
        return app

    yield make
    for app in built:
        with app.app_context():
            context.extension.session.remove()
            context.extension.engine.dispose()


@pytest.fixture
def app(settings: Settings, make_app: Callable[[Settings], Flask]) -> Flask:
    """The provider's web application."""
    return make_app(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser, as far as HTTP goes."""
    return app.test_client()


@pytest.fixture
def db(settings: Settings) -> Iterator[Session]:
    """A session of its own on the provider's database; commit what the provider is to see."""
    engine = database.open_engine(settings)
    with Session(engine, expire_on_commit=False) as session:
        yield session
    engine.dispose()


@pytest.fixture
def make_user(db: Session, settings: Settings) -> Callable[..., User]:
    """Create people."""
    return lambda *args, **profile: factories.make_user(db, settings, *args, **profile)


@pytest.fixture
def settled_ada(db: Session, make_user: Callable[..., User]) -> User:
    """Ada, who has had an account since before the test; see `settings`."""
    ada = db.scalar(select(User).where(User.username == "ada")) or make_user()
    db.commit()  # or what this session reads later would be what there was now
    return ada


@pytest.fixture
def make_client(db: Session, settings: Settings) -> Callable[..., tuple[ClientMetadata, str | None]]:
    """Register apps."""
    return lambda **metadata: factories.make_client(db, settings, **metadata)


@pytest.fixture
def relying_party(app: Flask, make_client: Callable[..., tuple[ClientMetadata, str]]) -> Callable[..., RelyingParty]:
    """Register an app and return a strict client for it, with a browser of its own or a given one."""

    def make(browser: FlaskClient | None = None, key: Key | None = None, **metadata: Any) -> RelyingParty:
        if key is not None and "jwks_uri" not in metadata:
            metadata.setdefault("jwks", {"keys": [key.as_dict(private=False)]})
        registered, secret = make_client(**metadata)
        issuer = app.extensions["idp_settings"].issuer
        return RelyingParty(browser or app.test_client(), issuer, registered, secret, key)

    return make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Where nothing may be missing, a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("IDP_TEST_SKIP_IS_FAILURE") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be missing: {report.longrepr}"


class Clock:
    """A clock that one can turn."""

    def __init__(self, now: float) -> None:
        self.time = now

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The provider's clock, stopped at the present."""
    hand = Clock(float(provider_clock.now()))
    with provider_clock.stopped_at(hand):
        yield hand


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """The provider's database, as its worker has it."""
    with database.engine_of(settings) as engine:
        yield engine


@pytest.fixture
def counted(app: Flask) -> Callable[[], AbstractContextManager[Traffic]]:
    """Count SQL statements and commits inside a block."""
    with app.app_context():
        engine = context.extension.engine
    return lambda: counting(engine)


@pytest.fixture
def live_server(settings: Settings, make_app: Callable[[Settings], Flask]) -> Iterator[str]:
    """The provider behind a real socket on loopback; gives its base URL, which is the issuer too."""
    port = free_port()
    app = make_app(replace(settings, issuer=f"http://localhost:{port}"))
    server = make_server("127.0.0.1", port, app, threaded=True)
    with serving(server):
        yield f"http://localhost:{port}"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium, the quicker one without windows if there is; where neither is, who needs it is skipped."""
    named = (shutil.which(name) for name in ("chromium-headless-shell", "chromium", "chromium-browser"))
    path = os.environ.get("IDP_TEST_CHROMIUM") or next(filter(None, named), None)
    if not path:
        pytest.skip("Chromium is not installed")
    return path
