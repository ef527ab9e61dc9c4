"""What is undocumented fails: settings, routes, tables, events and error codes; and so does what does not exist."""

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import authlib.oauth2.rfc6749.errors as oauth_errors
import pytest

import idp
from idp import worker
from idp.accounts.audit import Event
from idp.errors import IdpError, Refusal
from idp.models import Base
from idp.settings import declared
from idp.storage import postgresql
from idp.transfer.report import Kind
from idp.web import error_pages
from idp.web.api import ROUTES
from tests.house import pages
from tests.house.pages import ROOT, section, tables

# -- Settings -----------------------------------------------------------------------------

SETTINGS = {row[0]: row[1:] for row in tables(pages.read("settings.md")) if row[0].startswith("IDP_")}


@pytest.mark.parametrize("setting", declared(), ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_default_and_unit(setting):
    default, unit, doc = SETTINGS[f"IDP_{setting.name.upper()}"]
    assert default == (str(setting.default) or "–")
    assert unit == (setting.metadata["unit"] or "–")
    assert doc


def test_no_other_setting_is_documented():
    assert set(SETTINGS) == {f"IDP_{setting.name.upper()}" for setting in declared()}


def test_the_settings_that_the_pages_mention_exist():
    known = set(SETTINGS) | {f"{name}_FILE" for name in SETTINGS} | {"IDP_NAME", "IDP_NAME_FILE"}
    for page in (*pages.DOCS.glob("*.md"), ROOT / "CHANGELOG.md", ROOT / "README.md"):
        mentioned = set(re.findall(r"\bIDP_[A-Z_]+\b", page.read_text("utf-8")))
        assert {name for name in mentioned if not name.startswith("IDP_TEST_")} <= known, page.name


# -- Connections ----------------------------------------------------------------------------


def test_the_connections_that_a_database_server_needs_are_told():
    """Each job of a worker has one at most (`tests/cli/test_worker.py`)."""
    web, work = postgresql.CONNECTIONS, len(worker.JOBS)
    told = " ".join(pages.read("deployment.md").split())
    assert f"each web process holds up to {web}, each worker {work}, one for each of its jobs" in told
    assert f"{web} for each web process, {work} for each worker" in told
    example = re.search(r"Two machines with two web processes each and their workers: (\d+),.*? at least (\d+)", told)
    assert example
    assert int(example[1]) == 2 * (2 * web + work) <= int(example[2]) - 3  # those that PostgreSQL keeps for superusers
    for row in tables(section(pages.read("deployment.md"), "## Capacity"))[1:]:
        hosts, processes, connections = row[4:7]
        if connections != "SQLite":
            assert int(connections.replace(",", "")) == int(processes) * web + int(hosts) * work


# -- Rooms ----------------------------------------------------------------------------------


def test_every_room_is_documented_on_its_layer_and_no_other():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = [each["layers"] for each in contracts if each["name"] == "A request walks downhill"]
    there = {(str(number), room) for number, row in enumerate(layers, 1) for room in row.split(" | ")}
    rows = tables(section(pages.read("architecture.md"), "## Rooms and layers"))[1:]
    told = {(row[0], re.sub(r"/$|\.py$", "", room).replace("/", ".")) for row in rows for room in row[1].split(", ")}
    assert told == there


# -- Routes and tables ----------------------------------------------------------------------


def test_every_route_is_documented_and_no_other(app):
    there = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    rows = tables(section(pages.read("architecture.md"), "## Routes"))[1:]
    told = {(method, row[1]) for row in rows for method in row[0].split(", ")}
    assert told == there


def test_every_call_of_the_account_api_is_documented_and_no_other():
    told = {row[0] for row in tables(section(pages.read("api.md"), "## Calls"))[1:]}
    assert told == {f"{method} {path.translate(str.maketrans('<>', '{}'))}" for method, path, _ in ROUTES}


def test_every_table_is_documented_and_no_other():
    rows = tables(section(pages.read("architecture.md"), "## Data"))[1:]
    assert {row[0] for row in rows} == set(Base.metadata.tables)


# -- Events ---------------------------------------------------------------------------------


def test_every_event_is_documented_and_no_other():
    rows = tables(section(pages.read("audit.md"), "## Events"))[1:]
    assert [row[0] for row in rows] == [event.value for event in Event]
    assert all(len(row) == 3 and row[1] for row in rows)


def test_the_details_of_events_are_documented():
    """Each `audit.record` names its details by keyword: each keyword stands in the event's row."""
    told = {row[0]: row[2] for row in tables(section(pages.read("audit.md"), "## Events"))[1:]}
    found = 0
    for path in (ROOT / "idp").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "audit.record"):
                continue
            event = next(
                (
                    Event[arg.attr]
                    for arg in call.args
                    if isinstance(arg, ast.Attribute) and arg.attr in Event.__members__
                ),
                None,
            )
            for keyword in call.keywords:
                if keyword.arg and keyword.arg not in ("user_id", "client_id"):
                    found += 1
                    assert event is not None, f"{path} gives details to an event that its caller chooses"
                    assert keyword.arg in told[event].split(", "), f"{event} in {path}"
    assert found > 10


def test_the_reasons_of_events_are_documented():
    """Those that are named where an event is recorded, or handed to a `_refuse` that records it."""
    page = pages.read("audit.md")
    found = set()
    for path in (*(ROOT / "idp" / "accounts").rglob("*.py"), *(ROOT / "idp" / "oidc").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call):
                handed = call.args if ast.unparse(call.func) in ("_refuse", "_note_refusal") else []
                given = [*handed, *(keyword.value for keyword in call.keywords if keyword.arg == "reason")]
                found |= {each.value for each in given if isinstance(each, ast.Constant) and each.value}
    assert len(found) > 10
    assert [reason for reason in sorted(found) if f"`{reason}`" not in page] == []


# -- Errors -----------------------------------------------------------------------------------


def every(kind: type[IdpError]) -> Iterator[type[IdpError]]:
    """A class and all that come of it, once every module is imported."""
    for module in pkgutil.walk_packages(idp.__path__, "idp."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    yield kind
    for each in kind.__subclasses__():
        yield from every(each)


def codes_under(heading: str) -> dict[str, str]:
    return {row[0]: row[1] for row in tables(section(pages.read("errors.md"), heading))[1:]}


def test_every_code_of_a_refusal_is_documented_with_its_status():
    told = codes_under("## Codes")
    for kind in every(Refusal):
        if kind.__name__ != "TokenRefused":  # carries OAuth's codes
            assert told[kind.code] == str(kind.status), kind.__name__


def test_every_code_of_the_error_pages_is_documented_and_no_other():
    told = codes_under("## Codes")
    source = Path(error_pages.__file__).read_text("utf-8")
    shown = {(each[0], status) for status, each in error_pages._HTTP_ERRORS.items()}
    shown |= {(code, int(status)) for status, code in re.findall(r'_show\((\d{3}), "(\w+)"', source)}
    assert len(shown) >= 6
    assert all(told[code] == str(status) for code, status in shown)
    refusals = {kind.code for kind in every(Refusal)}
    assert set(told) == {code for code, _ in shown} | refusals


def test_the_account_api_tells_of_codes_with_the_status_that_they_have():
    told, of_the_protocol = codes_under("## Codes"), codes_under("## Errors of the protocol")
    for statuses, codes, _ in tables(section(pages.read("api.md"), "## Bodies"))[1:]:
        for code in codes.split(", "):
            assert code in of_the_protocol or told[code] in statuses.split(", "), code


def oauth_codes() -> set[str]:
    """Every error of the protocol that the source names: Authlib's classes, and codes of our own."""
    found = set()
    for folder in ("oidc", "web/protocol", "web/api"):
        for path in (ROOT / "idp" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "authlib.oauth2.rfc6749.errors":
                    found |= {getattr(oauth_errors, alias.name).error for alias in node.names}
                if isinstance(node, ast.ClassDef):
                    found |= {
                        each.value.value
                        for each in node.body
                        if isinstance(each, ast.Assign)
                        and ast.unparse(each.targets[0]) == "error"
                        and isinstance(each.value, ast.Constant)
                    }
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                    "Refuse",
                    "AccessRefused",
                    "RegistrationFault",
                ):
                    texts = [
                        arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                    ]
                    found |= set(texts[:1])
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "OAuth2Error":
                    found |= {
                        each.value.value
                        for each in node.keywords
                        if each.arg == "error" and isinstance(each.value, ast.Constant)
                    }
    return {code for code in found if code}


def test_every_error_of_the_protocol_is_documented_and_no_other():
    told = set(codes_under("## Errors of the protocol"))
    made_of_a_name = {"request_not_supported", "request_uri_not_supported", "registration_not_supported"}
    assert told == oauth_codes() | made_of_a_name | {"missing_token"}  # in place of no error (`TokenRefused`)


# -- Findings of an import --------------------------------------------------------------------


def test_every_finding_of_an_import_is_documented_and_no_other():
    rows = tables(section(pages.read("moving-from-streamlit-authenticator.md"), "## What the report says"))[1:]
    assert sorted(", ".join(row[0] for row in rows).replace(" ", "_").split(",_")) == sorted(each.code for each in Kind)


# -- Pages ------------------------------------------------------------------------------------


FURTHER_PAGES = (ROOT / "bench" / "README.md", ROOT / "instance" / "README.md")
EVERY_PAGE = sorted((*pages.DOCS.rglob("*.md"), *ROOT.glob("*.md"), *FURTHER_PAGES))


def anchors_of(page: Path) -> set[str]:
    """Return what a link may name behind its `#`, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", pages.without_code(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_inside_the_repository_lead_somewhere(page):
    for file, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", pages.without_code(page.read_text("utf-8"))):
        if not file.startswith(("http://", "https://", "mailto:")):
            target = page.parent / file if file else page
            assert target.exists(), file
            assert not anchor or anchor in anchors_of(target), f"{file}#{anchor}"


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_the_pages_name_exist(page):
    for name in re.findall(r"`((?:idp|tests|streamlit_bridge|bench|docs)/[\w./-]+)`", page.read_text("utf-8")):
        assert (ROOT / name).exists(), name
