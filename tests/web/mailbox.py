"""Every mailbox there is: what the provider has posted, opened."""

import re
from urllib.parse import urlsplit

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from idp.mail.outbox import open_body
from idp.models import MailMessage
from idp.settings import Settings


class Mailbox:
    """Reads mail out of the rows that wait for the worker.

    Args:
        db: a session of its own.
        settings: with the key that the bodies are sealed with.
    """

    def __init__(self, db: Session, settings: Settings) -> None:
        self._db = db
        self._settings = settings

    def kinds(self) -> list[tuple[str, str]]:
        """Return kind and recipient of every mail, the oldest first."""
        return [(row.kind, row.recipient) for row in self._all()]

    def text(self, kind: str) -> str:
        """Return the latest mail of a kind."""
        rows = [row for row in self._all() if row.kind == kind]
        assert rows, f"no mail of the kind {kind}: {self.kinds()}"
        return open_body(self._settings, rows[-1].body_sealed)[0]

    def path(self, kind: str) -> str:
        """Return path and query of the first link in the latest mail of a kind."""
        found = re.search(r"https?://\S+", self.text(kind))
        assert found
        target = urlsplit(found[0])
        return f"{target.path}?{target.query}" if target.query else target.path

    def _all(self) -> list[MailMessage]:
        self._db.rollback()  # what others have committed since is to be seen
        order = text("rowid") if self._settings.sqlalchemy_url.startswith("sqlite") else MailMessage.created_at
        return list(self._db.scalars(select(MailMessage).order_by(order)))
