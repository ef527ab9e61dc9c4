"""Six mailed digits: an app's second step before an account is made, or a name or password is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from flask import Response, jsonify

from idp import crypto, sentences
from idp.accounts import names, one_time_codes, recovery, throttle
from idp.errors import InvalidInputError, refuse_faults
from idp.oidc.presented_token import AccessRefused
from idp.web import context
from idp.web.api import schemas
from idp.web.api.bearer import CallingApp, TokenRefused, required_app
from idp.web.api.bodies import read_body
from idp.web.api.idempotency import once

RECOVERY_SCOPES = ("recovery", "recovery:password")
# Purpose to the scopes of which one is needed.
_SCOPES: Mapping[str, tuple[str, ...]] = {
    one_time_codes.REGISTRATION: ("registration",),
    one_time_codes.PASSWORD: RECOVERY_SCOPES,
    one_time_codes.USERNAME: RECOVERY_SCOPES,
}
_ALL_SCOPES = ("registration", *RECOVERY_SCOPES)


class WrongCode(InvalidInputError):
    """Wrong digits, or a code that is spent, too old, or for something else."""

    code = "wrong_code"

    def __init__(self) -> None:
        super().__init__({"code": [sentences.CODE_WRONG()]})


@dataclass(frozen=True)
class CodeUse:
    """The code that came with a request, if one did.

    It is looked at first and used up last, so that a request that is refused for another reason leaves it good.

    Attributes:
        app: that presents it.
        purpose: what it must have been made for.
        handle: its id; empty when none came.
        digits: as typed.
    """

    app: CallingApp
    purpose: str
    handle: str
    digits: str

    @classmethod
    def of(cls, app: CallingApp, purpose: str, members: Mapping[str, Any]) -> Self:
        """Take the code from a request's body."""
        return cls(app, purpose, members.get("code_id", ""), members.get("code", ""))

    @property
    def is_given(self) -> bool:
        """Whether a code came with the request."""
        return bool(self.handle)

    def check(self) -> None:
        """Check the digits before anything is done; a wrong guess is one guess less.

        Raises:
            WrongCode: they are wrong.
            Throttled: too many wrong ones from this app.
        """
        if self.handle and not _is_right(self.app, self.handle, self.digits):
            raise WrongCode

    def claim(self, email: str) -> None:
        """Use the code up, after the work that it permits and in the same transaction.

        Args:
            email: where it must have been mailed.

        Raises:
            WrongCode: somebody was quicker, or it is for something else. What was done is undone.
        """
        db, client_id = context.database(), self.app.client.client_id
        if self.handle and not one_time_codes.claim_code(db, self.handle, self.digits, self.purpose, client_id, email):
            db.rollback()
            one_time_codes.note_refusal(db, self.app.visitor, client_id)
            raise WrongCode


def send_code() -> Response:
    """Mail a code. The answer is the same whether or not there is an account."""
    app = required_app(*_ALL_SCOPES)
    members = read_body(schemas.NEW_CODE)
    needed = _SCOPES[members["purpose"]]
    if app.scopes.isdisjoint(needed):
        message = f"A code for {members['purpose']} needs the scope {' or '.join(needed)}."
        raise TokenRefused(AccessRefused(403, "insufficient_scope", message, " ".join(needed)))
    wanted, other = ("username", "email") if members["purpose"] == one_time_codes.PASSWORD else ("email", "username")
    refuse_faults(
        {
            wanted: [] if members.get(wanted) else [f"A code for {members['purpose']} needs this member."],
            other: [f"A code for {members['purpose']} has no use for this member."] if other in members else [],
        }
    )
    return once(app.client.client_id, partial(_send, app, members))


def check_code(code_id: str) -> Response:
    """Tell whether digits are right, without using the code up: the call that it is for does that."""
    app = required_app(*_ALL_SCOPES)
    members = read_body(schemas.CODE_GUESS)
    if not _is_right(app, code_id, members["code"]):
        raise WrongCode
    return Response(status=204)


def _send(app: CallingApp, members: Mapping[str, Any]) -> Response:
    code_id = one_time_codes.send_code(
        context.database(),
        context.settings(),
        app.visitor,
        members["purpose"],
        app.client.client_id,
        members["email"] if "email" in members else _address_of(members["username"]),
        app.client.client_name,
        members.get("language", "en"),
        typed=members.get("username", ""),
    )
    answer = jsonify({"id": code_id})
    answer.status_code = 202
    return answer


def _address_of(username: str) -> str:
    """Return where to mail a code. A name that is nobody's gets an address of its own that is nobody's.

    Otherwise all such names would share one throttle, and its emptiness would betray them.
    """
    found = recovery.find_address(context.database(), username)
    return found or f"{crypto.digest(names.username_key(username))[:32]}@nowhere.invalid"


def _is_right(app: CallingApp, handle: str, digits: str) -> bool:
    """Check digits; a code has few guesses, and an app has only so many wrong ones over all codes."""
    db = context.database()
    attempt = throttle.spend(db, context.settings(), throttle.CODE_ADDRESS, f"guesses of {app.visitor.network}")
    is_right = one_time_codes.check_code(db, app.visitor, handle, digits, app.client.client_id)
    if is_right:
        attempt.refund(db)
    return is_right
