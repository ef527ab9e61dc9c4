"""Quick checks of what people type, for apps that call them; the provider's own rules decide in the end."""

from __future__ import annotations

import re
from typing import Final

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_SHORTEST_PASSWORD: Final = 8


class Validator:
    """Checks for shape and length only: names and passwords may have any script and any kind of character."""

    def validate_email(self, email: str) -> bool:
        """Tell whether a text looks like an e-mail address."""
        return self.validate_length(email, 3, 254) and _EMAIL.fullmatch(email) is not None

    def validate_length(self, variable: str, min_length: int = 0, max_length: int = 254) -> bool:
        """Tell whether a text is neither too short nor too long."""
        return min_length <= len(variable) <= max_length

    def validate_name(self, name: str) -> bool:
        """Tell whether a text will do as a person's name: anything that can be seen, up to 100 characters."""
        return self.validate_length(name, 1, 100) and name.isprintable() and not name.isspace()

    def validate_username(self, username: str) -> bool:
        """Tell whether a text will do as a user name: no spaces, up to 64 characters."""
        return self.validate_length(username, 1, 64) and username.isprintable() and " " not in username

    def validate_password(self, password: str) -> bool:
        """Tell whether a password is long enough to be worth a try; there are no rules about its characters."""
        return self.validate_length(password, _SHORTEST_PASSWORD, 1024)
