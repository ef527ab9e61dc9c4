"""Plain-text passwords hashed many at a time: bcrypt is slow by design, and lets other threads run meanwhile."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from idp import crypto


def hash_passwords(plain: Sequence[str], cost: int) -> list[str]:
    """Hash passwords on all processors, in their order.

    Args:
        plain: the passwords.
        cost: bcrypt's cost.
    """
    if not plain:
        return []
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        return list(threads.map(partial(crypto.hash_password, cost=cost), plain))
