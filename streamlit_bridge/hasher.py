"""Password hashes as apps of the older package made them for their YAML files.

Accounts now live at the provider, which takes such hashes over as they are; this class keeps scripts alive that write
or check them.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import Any, Final

import bcrypt

from streamlit_bridge import texts

_HASH: Final = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")
_LONGEST: Final = 72


class Hasher:
    """Makes and checks bcrypt hashes.

    Parameters:
        passwords: plain passwords, for ``generate`` (0.2 generation).
    """

    def __init__(self, passwords: Sequence[str] = ()) -> None:
        self._passwords = list(passwords)

    def generate(self) -> list[str]:
        """Return the hashes of the passwords that the object was made with."""
        return self.hash_list(self._passwords)

    @classmethod
    def hash(cls, password: str) -> str:
        """Return the hash of one password.

        Raises:
            ValueError: the password is longer than bcrypt reads.
        """
        secret = password.encode()
        if len(secret) > _LONGEST:
            raise ValueError(texts.TOO_LONG_FOR_BCRYPT)
        return bcrypt.hashpw(secret, bcrypt.gensalt()).decode()

    @classmethod
    def hash_list(cls, passwords: Sequence[str]) -> list[str]:
        """Return the hashes of several passwords, in the same order."""
        return [cls.hash(password) for password in passwords]

    @classmethod
    def check_pw(cls, password: str, hashed_password: str) -> bool:
        """Tell whether a password belongs to a hash; a text that is no hash belongs to none."""
        secret = password.encode()
        if len(secret) > _LONGEST or not cls.is_hash(hashed_password):
            return False
        return bcrypt.checkpw(secret, hashed_password.encode())

    @classmethod
    def is_hash(cls, hash_string: str) -> bool:
        """Tell whether a text is a bcrypt hash."""
        return _HASH.fullmatch(hash_string) is not None

    @classmethod
    def hash_passwords(cls, credentials: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Replace the plain passwords in a configuration's ``credentials`` by their hashes.

        Parameters:
            credentials: the section with ``usernames``; changed in place. Hashes stay as they are.

        Returns:
            The same object.
        """
        for account in credentials["usernames"].values():
            password = account.get("password")
            if password is not None and not cls.is_hash(str(password)):
                account["password"] = cls.hash(str(password))
        return credentials
