"""The file that `idp export` writes: one JSON document, or a JSON object a line."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from idp.transfer.candidates import Candidate, Invitee, Source
from idp.transfer.checking import KEPT_COLUMNS
from idp.transfer.exporting import FORMAT, VERSION
from idp.transfer.report import Kind, Report
from idp.transfer.text_file import fault

_SPOKEN_FOR = ("username", "email", "given_name", "family_name", "password_hash")
_MOST_SECONDS = 2**40


def read(name: str, text: str, report: Report) -> Source:
    """Read a file of accounts.

    Args:
        name: what to call it in messages.
        text: its content.
        report: what does not come along is told here.

    Raises:
        InvalidInputError: it is no JSON, no such file, or not the whole of one.
    """
    head, _, rest = text.lstrip().partition("\n")
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        header = None
    if isinstance(header, dict) and "format" in header and "accounts" not in header:
        _check_header(name, header)
        entries = list(_lines(name, rest))
        if header.get("has_end"):  # files of older releases have none
            _take_end(name, entries)
        layout = "lines"
    else:
        entries = list(_document(name, text))
        layout = "json"
    candidates: list[Candidate] = []
    invitees: list[Invitee] = []
    for kind, line, entry in entries:
        if kind == "account":
            report.found += 1
            candidates += _candidate(entry, line, report)
        elif kind == "preauthorization":
            report.preauthorizations_found += 1
            invitees += _invitee(entry, line, report)
        else:
            report.drop(Kind.UNKNOWN_KEY, kind)
    return Source(layout, candidates, invitees)


def _check_header(name: str, header: Mapping[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise fault(name, 1, "This is no file that `idp export` wrote.")
    if header.get("version") != VERSION:
        raise fault(
            name, 1, f"This program reads version {VERSION} of this format only: use the release that wrote it."
        )


def _lines(name: str, text: str) -> Iterator[tuple[str, int, Any]]:
    for line, content in enumerate(text.split("\n"), start=2):
        if not content.strip():
            continue
        entry = _load(name, content, line)
        if not isinstance(entry, dict) or len(entry) != 1:
            raise fault(name, line, "Each line should hold one account or one preauthorization.")
        yield from ((kind, line, value) for kind, value in entry.items())


def _take_end(name: str, entries: list[tuple[str, int, Any]]) -> None:
    """Take off the last line, which counts those before it.

    Raises:
        InvalidInputError: it is missing, or counts others.
    """
    kind, line, told = entries.pop() if entries else ("", 0, None)
    if kind != "end":
        raise fault(
            name,
            0,
            "The end is missing: the export broke off, or the file was cut. Nothing was imported: export again.",
        )
    counts = Counter(kind for kind, _, _ in entries)
    found = {"accounts": counts["account"], "preauthorizations": counts["preauthorization"]}
    if told != found:
        raise fault(
            name,
            line,
            f"Lines are missing, or too many: the file has {found['accounts']:,} accounts and "
            f"{found['preauthorizations']:,} preauthorizations, and its end counts others. Nothing was imported: "
            "export again.",
        )


def _document(name: str, text: str) -> Iterator[tuple[str, int, Any]]:
    document = _load(name, text, 1)
    if not isinstance(document, dict):
        raise fault(name, 0, "This is no file that `idp export` wrote.")
    _check_header(name, document)
    for key, kind in (("accounts", "account"), ("preauthorizations", "preauthorization")):
        entries = document.get(key, [])
        if not isinstance(entries, list):
            raise fault(name, 0, f"`{key}` should be a list.")
        yield from ((kind, 0, entry) for entry in entries)


def _load(name: str, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise fault(name, line + error.lineno - 1, f"This is not JSON: {error.msg}.") from None
    except (ValueError, RecursionError):  # a number with thousands of digits; thousands of brackets
        raise fault(name, line, "This JSON holds something that no account has.") from None


def _candidate(entry: Any, line: int, report: Report) -> Iterator[Candidate]:
    if not isinstance(entry, dict) or not isinstance(entry.get("username"), str):
        report.leave_out(Kind.BAD_ENTRY, f"account {report.found}", "it has no user name", line)
        return
    username = entry["username"]
    for key in entry:
        if key not in (*KEPT_COLUMNS, "password", "roles"):
            report.drop(Kind.UNKNOWN_KEY, key, username)
    given_roles = entry.get("roles")
    roles = tuple(each for each in given_roles if isinstance(each, str)) if isinstance(given_roles, list) else None
    if given_roles is not None and (roles is None or len(roles) != len(given_roles)):
        report.tell(Kind.BAD_ROLE, username, "a role that is no text", line)
    yield Candidate(
        username,
        _text(entry, "email"),
        _text(entry, "given_name"),
        _text(entry, "family_name"),
        _text(entry, "password_hash") or _text(entry, "password"),
        roles,
        columns={key: entry[key] for key in KEPT_COLUMNS if key in entry and key not in _SPOKEN_FOR},
        line=line,
    )


def _invitee(entry: Any, line: int, report: Report) -> Iterator[Invitee]:
    if not isinstance(entry, dict) or not isinstance(entry.get("email"), str):
        report.tell(Kind.BAD_PREAUTHORIZATION, "an entry without an address", "", line)
        return
    given, client_id = entry.get("roles"), entry.get("client_id", "")
    moments = (entry.get("expires_at"), entry.get("created_at"))
    roles = tuple(each for each in given if isinstance(each, str)) if isinstance(given, list) else ()
    if not all(map(_is_moment, moments)) or not isinstance(client_id, str) or not client_id.isprintable():
        report.tell(Kind.BAD_PREAUTHORIZATION, entry["email"][:80], "its times or its client are strange", line)
        return
    yield Invitee(entry["email"], roles, client_id, *moments, line)


def _is_moment(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_SECONDS)


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
