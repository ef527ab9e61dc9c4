"""The database's schema, step by step: one file a change in `versions`, applied by `idp init`.

`python -m idp.migrations "what changed"` writes the next step from the difference between the models and the steps so
far; read it before you commit it. What takes the steps is `idp.migrations.runner`.
"""

from idp.migrations.revisions import (
    check_not_older,
    check_ready,
    current_revision,
    is_current,
    is_known,
    newest_revision,
)

__all__ = ["check_not_older", "check_ready", "current_revision", "is_current", "is_known", "newest_revision"]
