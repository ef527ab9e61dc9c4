"""New accounts: by people themselves, as far as the operator's policy admits them, or by the operator."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts import audit, passwords, roles, throttle, users
from idp.accounts.audit import Event
from idp.accounts.users import Person
from idp.accounts.visitor import Visitor
from idp.errors import InvalidInputError, RegistrationRefused
from idp.models import User
from idp.settings import Settings

USERNAME_TAKEN = "Username already taken: please choose another."


def check_policy(settings: Settings) -> None:
    """Check whether anybody may register at all.

    Raises:
        RegistrationRefused: says why not, and whom to ask.
    """
    if settings.registration == "closed":
        raise RegistrationRefused("Accounts here are made by the operator. Please ask them for one.")


def register(db: Session, settings: Settings, visitor: Visitor, person: Person, password: str) -> None:
    """Register somebody who came by themselves.

    Returns nothing to tell by: when the address belongs to an account already, nothing happens and the reply is the
    same, at the same cost. A user name that is taken must be said, or nobody could choose another.

    Raises:
        RegistrationRefused: the policy does not admit them.
        InvalidInputError: fields with faults, a taken user name among them.
        Throttled: too many registrations from this network.
    """
    check_policy(settings)
    person = person.check()
    passwords.check_new_password(
        settings, password, (person.username, person.email, person.given_name, person.family_name)
    )
    if settings.registration == "preauthorized":
        audit.record(db, Event.REGISTRATION_REFUSED, visitor, reason="not_preauthorized")
        raise RegistrationRefused("User not pre-authorized to register. Please ask the operator to list your address.")
    throttle.spend(db, settings, throttle.REGISTRATION_ADDRESS, visitor.network)
    if users.is_username_taken(db, person.username) and not _is_own_address(person):
        raise InvalidInputError({"username": [USERNAME_TAKEN]})
    password_hash = crypto.hash_password(password, settings.bcrypt_cost)
    user_id = users.create_user_unless_taken(db, person, password_hash)
    # Somebody else may have taken the name while the password was hashed.
    if users.owner_of_username(db, person.username) != user_id and not _is_own_address(person):
        raise InvalidInputError({"username": [USERNAME_TAKEN]})
    if user_id is None:
        audit.record(db, Event.REGISTRATION_REFUSED, visitor, reason="address_taken")
    else:
        audit.record(db, Event.ACCOUNT_CREATED, visitor, user_id=user_id, username=person.username)


def add_user(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    person: Person,
    password: str | None,
    *,
    role_names: Iterable[str] = (),
    is_email_verified: bool = True,
) -> User:
    """Create an account by the operator, who vouches for the address.

    Raises:
        InvalidInputError: fields with faults.
        AlreadyExistsError: the name or address is taken.
    """
    person = person.check()
    own = (person.username, person.email, person.given_name, person.family_name)
    if password is not None:
        passwords.check_new_password(settings, password, own)
    password_hash = None if password is None else crypto.hash_password(password, settings.bcrypt_cost)
    user = users.create_user(db, visitor, person, password_hash=password_hash, is_email_verified=is_email_verified)
    roles.change_roles(db, visitor, user.id, add=role_names)
    return user


def _is_own_address(person: Person) -> bool:
    """A user name that is the address says no more than the address does: then the reply must not tell either."""
    return "@" in person.username
