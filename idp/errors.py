"""What can go wrong, as one tree.

    IdpError                       a public message, a private detail for the log
    ├── SettingsError              every fault of the configuration at once
    ├── NotReadyError              the instance was not initialised, or its database is older or newer
    └── Refusal                    a person or an app can mend it; has a stable code and an HTTP status
        ├── InvalidInputError      which fields, and what to do about each
        │   └── PasswordRefused    every unmet rule of the password policy
        ├── SignInRefused          unknown name and wrong password look the same
        ├── AddressUnverified      the password is right, but the account's address is not confirmed yet
        ├── RegistrationRefused    the policy does not admit this person
        ├── SessionRequired        nobody is signed in
        ├── NotFoundError          no such user, client, session, request
        ├── AlreadyExistsError     a name, address or id is taken
        ├── ExpiredError           too late: a parked request, a form
        └── Throttled              too many attempts; says when to come back
            └── Busy               too much at once, whoever's it is; says when to come back

Faults of the protocol are OAuth error codes, not these: see `docs/errors.md`.
"""

from collections.abc import Mapping, Sequence

BUSY_RETRY_AFTER = 5  # seconds


class IdpError(Exception):
    """The root of the tree.

    Args:
        message: a sentence that may be shown to anybody.
        detail: what only the log may know.
    """

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class SettingsError(IdpError):
    """The configuration has faults; `faults` names each with what to do."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("The configuration has faults:\n" + "\n".join(f"  - {fault}" for fault in faults))
        self.faults = tuple(faults)


class NotReadyError(IdpError):
    """The instance cannot serve yet; the message names the command that helps."""


class Refusal(IdpError):
    """Something that the person or app at the other end can mend."""

    code = "refused"
    status = 400


class InvalidInputError(Refusal):
    """Fields with faults.

    Args:
        faults: field name to sentences, in the order of the form.
    """

    code = "invalid_input"
    status = 422

    def __init__(self, faults: Mapping[str, Sequence[str]]) -> None:
        super().__init__(" ".join(sentence for sentences in faults.values() for sentence in sentences))
        self.faults = {field: tuple(sentences) for field, sentences in faults.items()}


class PasswordRefused(InvalidInputError):
    """The new password breaks rules of the policy; each unmet rule is named."""

    code = "password_refused"

    def __init__(self, unmet: Sequence[str], field: str = "password") -> None:
        super().__init__({field: unmet})
        self.unmet = tuple(unmet)


def refuse_faults(faults: Mapping[str, Sequence[str]]) -> None:
    """Raise one error for all fields that have faults.

    Args:
        faults: field name to sentences; none where there is nothing to say.

    Raises:
        InvalidInputError: when any field has one.
    """
    if found := {name: told for name, told in faults.items() if told}:
        raise InvalidInputError(found)


class SignInRefused(Refusal):
    """Unknown name, wrong password or disabled account: one message for all (OWASP authentication)."""

    code = "sign_in_refused"
    status = 401


class AddressUnverified(Refusal):
    """The account waits for its address to be confirmed. Only who knows its password is told."""

    code = "address_unverified"
    status = 403


class RegistrationRefused(Refusal):
    """The registration policy does not admit this person."""

    code = "registration_refused"
    status = 403


class SessionRequired(Refusal):
    """Nobody is signed in."""

    code = "session_required"
    status = 401


class NotFoundError(Refusal):
    """There is no such thing."""

    code = "not_found"
    status = 404


class AlreadyExistsError(Refusal):
    """A name, address or id is taken."""

    code = "already_exists"
    status = 409


class ExpiredError(Refusal):
    """It came too late."""

    code = "expired"
    status = 400


class Throttled(Refusal):
    """Too many attempts.

    Args:
        retry_after: seconds until the next attempt is admitted.
    """

    code = "throttled"
    status = 429

    def __init__(self, retry_after: int) -> None:
        seconds = "1 second" if retry_after == 1 else f"{retry_after} seconds"
        wait = seconds if retry_after < 120 else f"{-(-retry_after // 60)} minutes"
        super().__init__(f"Too many attempts. Please wait {wait} and try again.")
        self.retry_after = retry_after


class Busy(Throttled):
    """There is more to do than can be done; nothing of the request was."""

    code = "busy"
    status = 503

    def __init__(self) -> None:
        super().__init__(BUSY_RETRY_AFTER)
        self.message = "The provider is too busy right now. Please try again in a few seconds."
