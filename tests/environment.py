"""What processes that tests start find in their environment."""

import os


def without_settings() -> dict[str, str]:
    """Return this process's own, but no settings of the provider's: a test says which there are."""
    return {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
