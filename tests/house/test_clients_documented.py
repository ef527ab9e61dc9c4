"""`docs/clients/`: a test follows each how-to, and the table claims what tests see, of the versions that are there."""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from idp.oidc import scopes
from tests.clients.how_to import FOLDER
from tests.house.pages import ROOT, section, tables

README = (FOLDER / "README.md").read_text("utf-8")
HEADINGS, *ROWS = tables(README.partition("\n## ")[0])
CLAIMS = HEADINGS[2:-1]
BY_HAND = FOLDER / "by-hand.md"  # says of itself that no test follows it
PAGES = sorted(path for path in FOLDER.glob("*.md") if path not in (FOLDER / "README.md", BY_HAND))


def page_of(row: list[str]) -> str:
    """Return the name of the how-to that a row leads to."""
    (target,) = re.findall(r"\]\(([\w-]+)\.md\)", row[0])
    return target


ROW_OF = pytest.mark.parametrize("row", ROWS, ids=page_of)


def words(text: str) -> str:
    """Return a heading or the name of a test as words, for one to be found in the other."""
    return f" {re.sub('[^a-z0-9]+', ' ', text.lower())} "


def pinned() -> dict[str, str]:
    """Return the versions that are installed for the tests, by the name of the package."""
    found = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    locked = json.loads((ROOT / "tests/clients/node/package-lock.json").read_text("utf-8"))["packages"]
    return found | {path.removeprefix("node_modules/"): each["version"] for path, each in locked.items() if path}


def test_every_how_to_stands_in_the_table_and_no_other():
    assert sorted(map(page_of, ROWS)) == [path.stem for path in PAGES]


@ROW_OF
def test_the_test_follows_the_how_to(row):
    test = (ROOT / row[-1]).read_text("utf-8")
    near = re.findall(r"^from (tests\.clients\.\w+) import", test, re.MULTILINE)
    sources = [test, *((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8") for module in near)]
    assert any(f'HowTo("{page_of(row)}"' in source for source in sources)


@ROW_OF
def test_the_table_claims_what_a_test_sees_and_nothing_else(row):
    tree = ast.parse((ROOT / row[-1]).read_text("utf-8"))
    names = [words(node.name) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    seen = [
        re.sub(" (back|front) channel logout ", r" \1 channel ", name) for name in names if name.startswith(" test ")
    ]
    assert set(row[2:-1]) <= {"yes", "–"}
    for claim, cell in zip(CLAIMS, row[2:-1], strict=True):
        looked_for = words(claim.replace("channel logout", "channel"))
        assert (cell == "yes") == any(looked_for in name for name in seen), claim


@pytest.mark.parametrize("page", [*PAGES, BY_HAND], ids=lambda path: path.stem)
def test_whoever_signs_in_with_pkce_is_held_to_it(page: Path):
    """Each app is registered so that the provider refuses it without; `add-streamlit` always does so."""
    text = page.read_text("utf-8")
    assert re.search(r"^idp client add .*?(--pkce-required|--public)|^idp client add-streamlit ", text, re.M | re.S)


@ROW_OF
def test_the_version_is_the_one_that_was_tested(row):
    package, version = row[1].split()
    if package.startswith("lib"):
        if not shutil.which("dpkg-query"):
            pytest.skip("there are no Debian packages here")
        command = ["dpkg-query", "--show", "--showformat=${Version}", package]
        installed = subprocess.run(command, capture_output=True, text=True, check=False)
        if installed.returncode:
            pytest.skip(f"{package} is not installed")
        if not installed.stdout.startswith(f"{version}-"):  # ours to note where nothing may be skipped
            pytest.skip(f"another version of {package} is installed: {installed.stdout}")
    else:
        assert pinned()[package] == version


def test_every_scope_is_documented_with_its_claims_and_no_other():
    told = {scope: claims for scope, _, claims in tables(section(README, "## Scopes and claims"))[1:]}
    assert told == {scope: ", ".join(claims) or "–" for scope, claims in scopes.CLAIMS.items()}
