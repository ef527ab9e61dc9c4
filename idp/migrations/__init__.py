"""The database's schema, step by step: one file a change in `versions`, applied by `idp init`.

`python -m idp.migrations "what changed"` writes the next step from the difference between the models and the steps so
far; read it before you commit it. What takes the steps is `idp.migrations.runner`.

A step only adds: tables, and columns that may be empty or have a default. So servers of the former release go on while
they are replaced one by one. A step that former programs do not survive says `oldest_program = "..."`: the revision of
the oldest program that works with what it leaves, as a rule its own. Older ones then say that they are not ready.
"""

from idp.migrations.revisions import (
    check_ready,
    current_revision,
    is_current,
    is_known,
    newest_revision,
)

__all__ = ["check_ready", "current_revision", "is_current", "is_known", "newest_revision"]
