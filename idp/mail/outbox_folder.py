"""Mail without a mail server, for a provider to try out: one `.eml` file a message in the instance folder."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from idp import files
from idp.mail.envelope import Envelope
from idp.mail.transport import Unreachable
from idp.settings import Settings

FOLDER = "outbox"
KEPT = 500  # files; older ones make room
_NAME = re.compile(r"(\d+)-([0-9a-f]{32})\.eml")


@dataclass(frozen=True)
class Written:
    """A mail in the folder.

    Attributes:
        id: the row's.
        at: when it was posted, in seconds since the epoch.
        recipient: whom it is for.
        subject: its subject.
        text: its text part.
        html: its HTML part.
    """

    id: str
    at: int
    recipient: str
    subject: str
    text: str
    html: str


class OutboxFolder:
    """The folder as a way for mails to take.

    Args:
        settings: say which instance.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = folder_of(settings)

    @property
    def is_open(self) -> bool:
        """Whether the folder is there."""
        return self._folder.is_dir()

    def open(self) -> None:
        """Make the folder, for the provider's own account only.

        Raises:
            Unreachable: it cannot be made.
        """
        try:
            self._folder.mkdir(0o700, exist_ok=True)
        except OSError as fault:
            raise Unreachable(f"{self._folder}: {fault.strerror}") from None

    def hand_over(self, envelope: Envelope, name: str) -> None:
        """Write a mail; written twice it is still one file.

        Raises:
            Unreachable: the disk does not take it.
        """
        partial = self._folder / f".{name}.part"
        try:
            with open(partial, "wb", opener=files.private) as file:
                file.write(envelope.content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._folder / f"{name}.eml")
            for old in _files(self._folder)[KEPT:]:
                old.unlink(missing_ok=True)
        except OSError as fault:
            raise Unreachable(f"{self._folder}: {fault.strerror}") from None

    def close(self) -> None:
        """Do nothing: a folder needs no goodbye."""


def folder_of(settings: Settings) -> Path:
    """Return the folder; it need not exist yet."""
    return settings.instance / FOLDER


def list_written(settings: Settings, most: int = 100) -> Sequence[Written]:
    """Return the mails in the folder, newest first.

    Args:
        most: at most so many.
    """
    return [_read(path) for path in _files(folder_of(settings))[:most]]


def find_written(settings: Settings, mail_id: str) -> Written | None:
    """Return one mail, or None when the folder does not have it.

    Args:
        mail_id: the row's id.
    """
    for path in _files(folder_of(settings)):
        if path.stem.endswith(f"-{mail_id}"):
            return _read(path)
    return None


def _files(folder: Path) -> list[Path]:
    """Return the folder's mails, newest first: names begin with the time."""
    found = [path for path in folder.glob("*.eml") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name, reverse=True)


def _read(path: Path) -> Written:
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    at, mail_id = path.stem.split("-")
    parts = (cast(EmailMessage, mail.get_body((kind,))).get_content() for kind in ("plain", "html"))
    text, html = (part.replace("\r\n", "\n") for part in parts)
    return Written(mail_id, int(at), str(mail["To"]), str(mail["Subject"]), text, html)
