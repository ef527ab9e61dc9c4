"""`docs/cli.md` tells of every command and every option, and of none that does not exist."""

import re
from collections.abc import Iterator

import click
import pytest

from idp.cli import main
from tests.house import pages

PAGE = pages.read("cli.md")


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _commands(found, f"{path} {name}")


COMMANDS = dict(_commands(main, "idp"))


def _sections() -> dict[str, str]:
    """The page's sections by their heading."""
    parts = re.split(r"^#{2,3} (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_documented(path: str) -> None:
    """In its own section, or in one that this one says has its other options."""
    section = _sections().get(path)
    assert section is not None, f"docs/cli.md has no section `### {path}`"
    if other := re.search(r"^All other options of \[`(.+?)`\]", section, re.MULTILINE):
        section += _sections()[other[1]]
    options = [o for parameter in COMMANDS[path].params for o in parameter.opts if o.startswith("--")]
    missing = [option for option in options if not re.search(rf"{option}(?![\w-])", section)]
    assert not missing, f"docs/cli.md does not tell of {', '.join(missing)} of `{path}`"


def test_nothing_is_documented_that_does_not_exist() -> None:
    documented = {heading for heading in _sections() if heading.startswith("idp ")}
    assert documented == set(COMMANDS)
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known
