"""What tests of the house share."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of tests that call other tools: `-m "not tools"` leaves them out."""
    config.addinivalue_line("markers", "tools: runs a linter or a type checker over the whole repository")
