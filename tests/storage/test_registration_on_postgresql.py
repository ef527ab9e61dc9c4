"""Clients that register themselves, on PostgreSQL: its columns take less than those of SQLite."""

from tests.oidc.test_registration_fuzzed import (  # noqa: F401
    open_app,
    test_any_document_changes_a_registration_or_is_refused,
    test_any_document_registers_or_is_refused,
    test_the_longest_values_that_the_rules_let_pass_are_stored,
)
from tests.storage.test_postgresql import pytestmark, settings  # noqa: F401
