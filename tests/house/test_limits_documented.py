"""The limits that the pages tell of are those that hold."""

import pytest

from idp import hashing, patience
from idp.accounts import one_time_codes, sign_in, throttle
from idp.clock import DAY
from idp.mail import queue
from idp.oidc import client_keys, client_logos, outgoing, pictures
from idp.receiving import AT_ONCE, OF_NETWORK, STALLED_MOST
from idp.serving.connections import NETWORK_MOST, PATIENCE, PATIENCE_WHEN_CROWDED
from idp.serving.server import CONNECTIONS, HEADERS_WITHIN
from idp.serving.threads import AT_HAND, SPARE
from tests.house import pages

*FIRST_WAITS, LAST_WAIT = [seconds // 60 for seconds in queue.WAITS]

TOLD = {
    "security.md": (
        f"A process receives {AT_ONCE} at once, {OF_NETWORK} of one network, {STALLED_MOST} once they stall",
        f"{OF_NETWORK} places of {AT_ONCE} in a process, {STALLED_MOST} once they stall",
        f"A process has {AT_HAND} at hand at most",
        f"{SPARE} threads are kept",
        f"{sum(hashing.PLACES.values())} more wait in a process, in three lanes",
        f"A process remembers {hashing.LATELY} hashes",
        f"closed after {PATIENCE:.0f} seconds, or {PATIENCE_WHEN_CROWDED:.0f} when it is crowded",
        f"{HEADERS_WITHIN // 1000} seconds for headers; {CONNECTIONS:,} connections to a process",
        f"patience with one address ends at {NETWORK_MOST}",
        f"{throttle.MAIL_BURST} to one mailbox in all ways together",
        f"then one in {throttle.MAIL_INTERVAL // 60} minutes",
        f"{one_time_codes.GUESSES} guesses for a mailed code",
        f"One network registers {throttle.CLIENTS_BURST} clients at once",
        f"fetches {outgoing.FETCHES_MOST} documents at once, at most {outgoing.FETCHES_OF_HOST_MOST} of them from one",
        f"of a name's addresses {outgoing.ADDRESSES_MOST} are tried at most",
        f"{pictures.SIDE_MOST:,} pixels a side at most",
    ),
    "deployment.md": (
        f"receives {AT_ONCE} bodies at once, {STALLED_MOST} slow ones from one network",
        f"a web process has {AT_HAND} requests at hand at most",
        f"{SPARE} threads are kept",
        f"have {patience.WITHIN:.0f} seconds together",
        f"locked (SQLite), for more than {patience.BUSY_TIMEOUT} seconds",
    ),
    "architecture.md": (f"have {patience.WITHIN:.0f} seconds together",),
    "cli.md": (
        f"never twice within {client_keys.REFETCH_AFTER} seconds",
        f"of at most {client_logos.LOGO_MOST // 1024} KiB and {pictures.SIDE_MOST:,} pixels a side",
        f"it is good for {sign_in.TEMPORARY_LIFETIME // DAY} days",
    ),
    "mail.md": (
        f"kind, recipient and times are kept for {queue.KEPT_AFTER_END // DAY} days",
        f"tried again after {', '.join(map(str, FIRST_WAITS))}, {LAST_WAIT} minutes",
    ),
}


@pytest.mark.parametrize(("page", "told"), [(page, told) for page, lines in TOLD.items() for told in lines])
def test_a_limit_is_told_as_it_is(page, told):
    assert told in " ".join(pages.read(page).split())
