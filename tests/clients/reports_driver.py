"""Runs `reports.py` of `docs/clients/requests-oauthlib.md`: says where to go, hears where the browser came back."""

import json
import sys

import reports  # type: ignore[import-not-found]


def say(told: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


session = reports.new_session()
say(reports.begin_sign_in(session))
userinfo = reports.finish_sign_in(session, sys.stdin.readline().strip())
first = session.token["refresh_token"]
say(
    {
        "userinfo": userinfo,
        "renewed": reports.renew(session),
        "rotated": session.token["refresh_token"] != first,
        "logout": reports.sign_out_url(session),
    }
)
