"""Plain-text passwords hashed many at a time: bcrypt is slow by design, and lets other threads run meanwhile."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from idp import crypto, processors


def hash_passwords(plain: Sequence[str], cost: int) -> list[str]:
    """Hash passwords on all processors, in their order.

    Args:
        plain: the passwords.
        cost: bcrypt's cost.
    """
    if not plain:
        return []
    with ThreadPoolExecutor(processors.count()) as threads:
        return list(threads.map(partial(crypto.hash_password, cost=cost), plain))
