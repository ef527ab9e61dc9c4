"""Clients for Node.js: a how-to's modules beside the script that drives them, and the libraries within reach."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.how_to import HowTo
from tests.clients.person import Person
from tests.clients.processes import converse

FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")

needs_node = [
    pytest.mark.node,
    pytest.mark.skipif(NODE is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(), reason="run `npm ci` in tests/clients/node to install the clients"
    ),
]


def run_script(how_to: HowTo, script: str, person: Person, folder: Path, *modules: str) -> dict[str, Any]:
    """Run a script that drives what a how-to tells to write.

    Args:
        how_to: the page, with an app that is registered.
        script: its name in `tests/clients/node`.
        person: visits what the script asks for.
        folder: for the files.
        modules: the files of the page that it drives; `sign_in.mjs` if nothing is said.

    Returns:
        What the script tells in the end.
    """
    assert NODE is not None
    (folder / "node_modules").symlink_to(FOLDER / "node_modules")
    for each in ("conversation.mjs", script):
        shutil.copy(FOLDER / each, folder)
    how_to.write(folder, *(modules or ("sign_in.mjs",)))
    return converse([NODE, script], folder, person.visit)
