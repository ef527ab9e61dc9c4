"""The configuration file of streamlit-authenticator, in every layout that it had from 0.1 to 0.4.

0.1 has parallel lists (names, usernames, passwords; some people added emails). From 0.2 on `credentials.usernames` maps
each user name to its data; 0.3 added roles and counts of failed logins, 0.4 first and last names and hints.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from idp.transfer import yaml_file
from idp.transfer.candidates import Candidate, Invitee, Source, split_name, text_of
from idp.transfer.report import Kind, Report
from idp.transfer.text_file import fault
from idp.transfer.yaml_file import Mapping

_LISTS = ("usernames", "names", "passwords", "emails")
_PREAUTHORIZED = ("preauthorized", "pre-authorized", "pre_authorized")
_SETTINGS = ("cookie", "oauth2", "api_key", "two_factor_auth", "captcha", "server_url", "validator")
_READ = ("email", "name", "first_name", "last_name", "password", "roles", "role", "picture")
_HINTS = ("password_hint", "hint")
_STATE = ("logged_in", "failed_login_attempts", "id", "login_time", "last_login", "captcha", "two_factor_auth")


def read(name: str, text: str, report: Report) -> Source:
    """Read a configuration file.

    Args:
        name: what to call it in messages.
        text: its content.
        report: what does not come along is told here.

    Raises:
        InvalidInputError: it is no YAML, or no such configuration.
    """
    document = yaml_file.parse(name, text)
    if not isinstance(document, Mapping):
        raise fault(name, 0, "This is no configuration of streamlit-authenticator: it has no `credentials`.")
    credentials = document.get("credentials") if "credentials" in document else document
    if not isinstance(credentials, Mapping) or "usernames" not in credentials:
        line = document.line_of("credentials")
        raise fault(name, line, "`credentials` should hold `usernames`.")
    usernames = credentials["usernames"]
    if isinstance(usernames, Mapping) or usernames is None:
        people = usernames or Mapping(0)
        candidates = list(_people(people, report))
        layout = _layout(document, people)
    elif isinstance(usernames, list):
        candidates = list(_columns(name, credentials, report))
        layout = "0.1"
    else:
        raise fault(name, credentials.line_of("usernames"), "`usernames` should map each user name to its data.")
    _tell_rest(document, credentials, report)
    invitees = [each for key in _PREAUTHORIZED for each in _invitees(document, key, report)]
    if credentials is not document:
        invitees += [each for key in _PREAUTHORIZED for each in _invitees(credentials, key, report)]
    return Source(layout, candidates, invitees, len(candidates))


def _people(people: Mapping, report: Report) -> Iterator[Candidate]:
    """Yield the accounts of a mapping. Of names that differ by case the old package knew the last one only."""
    last = {username.lower(): username for username in people}
    for username, person in people.items():
        line = people.line_of(username)
        report.found += 1
        if last[username.lower()] != username:
            told = f"signed in as {last[username.lower()]!r}, which comes later in the file"
            report.leave_out(Kind.DUPLICATE_USERNAME, username, told, line)
        elif isinstance(person, Mapping):
            yield _person(username, person, line, report)
        else:
            report.leave_out(Kind.BAD_ENTRY, username, "no data below the user name", line)


def _person(username: str, person: Mapping, line: int, report: Report) -> Candidate:
    for key in person:
        if key in _HINTS:
            report.drop(Kind.HINT, key, username)
        elif key in _STATE:
            report.drop(Kind.OTHER_SYSTEM, key, username)
        elif key not in _READ:
            report.drop(Kind.UNKNOWN_KEY, key, username)
    given, family, is_guess = text_of(person, "first_name"), text_of(person, "last_name"), False
    if not given and not family:
        given, family, is_guess = split_name(text_of(person, "name"))
    return Candidate(
        username,
        text_of(person, "email"),
        given,
        family,
        text_of(person, "password"),
        _roles(username, person, line, report),
        is_guess,
        {"picture": text_of(person, "picture")} if text_of(person, "picture") else {},
        line,
    )


def _columns(name: str, credentials: Mapping, report: Report) -> Iterator[Candidate]:
    """Yield the accounts of parallel lists.

    Raises:
        InvalidInputError: the lists are none, or not as long as each other.
    """
    lists: dict[str, Sequence[Any]] = {}
    for key in _LISTS:
        values = credentials.get(key)
        if isinstance(values, list):
            lists[key] = values
        elif values is not None:
            raise fault(name, credentials.line_of(key), f"`{key}` should be a list, as `usernames` is.")
    length = len(lists["usernames"])
    for key, values in lists.items():
        if len(values) != length:
            sentence = f"`{key}` has {len(values)} entries, but `usernames` has {length}: they must go together."
            raise fault(name, credentials.line_of(key), sentence)
    people = Mapping(0)
    for position, username in enumerate(lists["usernames"]):
        entry = Mapping(0)
        for key, short in (("names", "name"), ("passwords", "password"), ("emails", "email")):
            if key in lists:
                entry[short] = lists[key][position]
        if not isinstance(username, str):
            report.found += 1
            report.leave_out(Kind.BAD_ENTRY, f"entry {position + 1}", "its user name is no text")
        elif username in people:
            report.found += 1
            report.leave_out(Kind.DUPLICATE_USERNAME, username, "the list has it more than once")
        else:
            people[username] = entry
            people.lines[username] = credentials.line_of("usernames")
    yield from _people(people, report)


def _invitees(place: Mapping, key: str, report: Report) -> Iterator[Invitee]:
    found = place.get(key)
    line = place.line_of(key)
    if isinstance(found, Mapping):
        found = found.get("emails")
    if found is None:
        return
    for address in found if isinstance(found, list) else [found]:
        report.preauthorizations_found += 1
        if isinstance(address, str):
            yield Invitee(address, line=line)
        else:
            report.tell(Kind.BAD_PREAUTHORIZATION, key, "an entry that is no text", line)


def _tell_rest(document: Mapping, credentials: Mapping, report: Report) -> None:
    """Tell which parts of the file do not come along."""
    known = {"credentials", *_PREAUTHORIZED, *_LISTS}
    for place in [document] if credentials is document else [document, credentials]:
        for key in place:
            if key in _SETTINGS:
                report.drop(Kind.OTHER_SYSTEM, key)
            elif key not in known:
                report.drop(Kind.UNKNOWN_KEY, key)


def _roles(username: str, person: Mapping, line: int, report: Report) -> tuple[str, ...] | None:
    """Read the roles: a list; people wrote one role, or several with commas between, as plain text too."""
    if "roles" not in person and "role" not in person:
        return None
    given: list[str] = []
    for value in (person.get("roles"), person.get("role")):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                given += [role.strip() for role in each.split(",") if role.strip()]
            elif each is not None:
                report.tell(Kind.BAD_ROLE, username, "a role that is no text", line)
    return tuple(dict.fromkeys(given))


def _layout(document: Mapping, people: Mapping) -> str:
    """Tell by its marks which release wrote the file; people mix them, so this is a hint for the report only."""
    first = [each for each in list(people.values())[:100] if isinstance(each, Mapping)]
    keys = {key for each in first for key in each}
    if keys & {"first_name", "last_name", "password_hint"} or {"oauth2", "api_key"} & set(document):
        return "0.4"
    if keys & {"failed_login_attempts", "roles"} or "pre-authorized" in document:
        return "0.3"
    return "0.2"
