"""How many threads a web process has, and what for."""

from idp import hashing, receiving

# Requests at hand, at most: bodies that are received or wait for that, passwords that wait, and 24 for everything else.
AT_HAND = receiving.AT_ONCE + receiving.WAITING + sum(hashing.PLACES.values()) + 24
SPARE = 16  # that serve what needs no database while all others wait for it, and tell everybody else to come back
