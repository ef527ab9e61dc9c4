"""An app's `secrets.toml`: its `[auth]` section is written, the rest of the file stays to the letter."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from idp.cli.private_files import written
from idp.errors import AlreadyExistsError, IdpError

SECTION = "auth"


@dataclass(frozen=True)
class SecretsToml:
    """A secrets file as it was found.

    Attributes:
        path: where it is, past symbolic links.
        before: its text, or None when there was none.
    """

    path: Path
    before: str | None

    @classmethod
    def read(cls, path: Path) -> "SecretsToml":
        """Read a file that need not exist.

        Raises:
            IdpError: it cannot be read, or is no TOML.
        """
        path = path.expanduser().resolve()
        try:
            before = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            before = None
        except (OSError, UnicodeDecodeError) as fault:
            raise IdpError(f"{path} cannot be read: {fault}") from None
        found = cls(path, before)
        found._document()
        return found

    @property
    def client_id(self) -> str | None:
        """The client that its `[auth]` section names."""
        section = self._document().get(SECTION)
        client_id = section.get("client_id") if isinstance(section, Mapping) else None
        return str(client_id) if client_id else None

    def check_free(self, force: bool) -> None:
        """Check that the section may be written.

        Raises:
            AlreadyExistsError: there is one, and nobody said `--force`.
        """
        if SECTION in self._document() and not force:
            raise AlreadyExistsError(
                f"{self.path} has an [{SECTION}] section already: use --force to write over it. Nothing was changed."
            )

    def write(self, auth: Mapping[str, Any]) -> None:
        """Write the section; the file changes as a whole or not at all, and only its owner may read it.

        Args:
            auth: keys and values; other keys of the section, such as further providers, stay.

        Raises:
            IdpError: the file cannot be written.
        """
        document = self._document()
        if not isinstance(document.get(SECTION), Mapping):
            document[SECTION] = tomlkit.table()
        section: Any = document[SECTION]
        for name, value in auth.items():
            section[name] = _item(value)
        self._replace(tomlkit.dumps(document))

    def restore(self) -> None:
        """Put back what was found."""
        if self.before is None:
            self.path.unlink(missing_ok=True)
        else:
            self._replace(self.before)

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(self.before or "")
        except TOMLKitError as fault:
            raise IdpError(f"{self.path} is no TOML: {fault}. Nothing was changed.") from None

    def _replace(self, text: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written(self.path) as file:
                file.write(text.encode())
        except OSError as fault:
            raise IdpError(
                f"{self.path} cannot be written ({fault.strerror}): nothing was registered or changed."
            ) from None


def as_toml(auth: Mapping[str, Any]) -> str:
    """Return the section as text, for a person to paste."""
    section = tomlkit.table()
    for name, value in auth.items():
        section[name] = _item(value)
    document = tomlkit.document()
    document[SECTION] = section
    return tomlkit.dumps(document)


def _item(value: Any) -> Any:
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    return tomlkit.item(value)
