"""The file that `idp export` writes: one JSON document with an account on each line, or a JSON object a line.

It is read line by line, and more than once: however large it is, no more than a line is kept in memory. A document of
another shape is read whole, and so is one that is damaged, unless it is too large for that.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import SEEK_END
from itertools import islice
from typing import Any, BinaryIO

from idp.errors import InvalidInputError
from idp.transfer import text_file
from idp.transfer.candidates import Candidate, Invitee, Source, text_of
from idp.transfer.checking import KEPT_COLUMNS, MOST_SECONDS
from idp.transfer.exporting import BETWEEN, END, FORMAT, HEAD, VERSION
from idp.transfer.report import Kind, Report
from idp.transfer.text_file import fault

_SPOKEN_FOR = ("username", "email", "given_name", "family_name", "password_hash")
_LINE_MOST = 1 << 20  # bytes; an account has some hundreds

Entries = Callable[[], Iterator[tuple[str, int, Any]]]  # from the first one on: kind, line (or 0), what it says


def read(name: str, stream: BinaryIO, report: Report) -> Source:
    """Read a file of accounts to its end, so that nothing comes in of one that is not whole.

    Args:
        name: what to call it in messages.
        stream: its content; it is read again for what the source yields, and has to stay open for that.
        report: what does not come along is told here.

    Raises:
        InvalidInputError: it is no JSON, no such file, or not the whole of one.
    """
    head = _first_line(stream)
    if head == HEAD:
        try:
            return _source("json", partial(_document_by_lines, name, stream), report)
        except InvalidInputError:  # it is damaged, or somebody gave it another shape
            if stream.seek(0, SEEK_END) > text_file.MOST_BYTES:
                raise
    elif header := _header(head):
        _check_header(name, header)
        # Files of older releases have no end.
        return _source("lines", partial(_lines, name, stream, has_end=bool(header.get("has_end"))), report)
    stream.seek(0)
    entries = list(_document(name, text_file.read_text(name, stream)))
    return _source("json", lambda: iter(entries), report)


def _source(layout: str, entries: Entries, report: Report) -> Source:
    """Go through the entries once, which checks that all can be read, and count them."""
    counts: Counter[str] = Counter()
    for kind, _, _ in entries():
        counts[kind] += 1
        if kind not in ("account", "preauthorization"):
            report.drop(Kind.UNKNOWN_KEY, kind)
    return Source(layout, _candidates(entries, report), _invitees(entries, report), counts["account"])


def _first_line(stream: BinaryIO) -> str:
    stream.seek(0)
    while raw := stream.readline(_LINE_MOST):
        if line := raw.decode("utf-8-sig", "replace").strip():
            return line
    return ""


def _header(head: str) -> Mapping[str, Any] | None:
    """Return the first line of a file that has an object on each; None when it is the beginning of something else."""
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) and "format" in header and "accounts" not in header else None


def _numbered(name: str, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the lines behind the first one that says something, with their numbers; empty ones are passed over."""
    stream.seek(0)
    is_first = True
    for number, raw in enumerate(iter(lambda: stream.readline(_LINE_MOST + 1), b""), start=1):
        if len(raw) > _LINE_MOST:
            raise fault(name, number, "This line is longer than that of any account.")
        text = text_file.decode(name, raw, number).strip()
        if text and not is_first:
            yield number, text
        is_first = is_first and not text


def _check_header(name: str, header: Mapping[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise fault(name, 1, "This is no file that `idp export` wrote.")
    if header.get("version") != VERSION:
        raise fault(
            name, 1, f"This program reads version {VERSION} of this format only: use the release that wrote it."
        )


def _lines(name: str, stream: BinaryIO, *, has_end: bool) -> Iterator[tuple[str, int, Any]]:
    counts: Counter[str] = Counter()
    last: tuple[str, int, Any] | None = None
    for line, content in _numbered(name, stream):
        entry = _load(name, content, line)
        if not isinstance(entry, dict) or len(entry) != 1:
            raise fault(name, line, "Each line should hold one account or one preauthorization.")
        if last is not None:
            counts[last[0]] += 1
            yield last
        [(kind, value)] = entry.items()
        last = kind, line, value
    if has_end:
        _check_end(name, last or ("", 0, None), counts)
    elif last is not None:
        yield last


def _check_end(name: str, last: tuple[str, int, Any], counts: Mapping[str, int]) -> None:
    """Check the last line, which counts those before it.

    Raises:
        InvalidInputError: it is missing, or counts others.
    """
    kind, line, told = last
    if kind != "end":
        raise _without_end(name)
    found = {"accounts": counts["account"], "preauthorizations": counts["preauthorization"]}
    if told != found:
        raise fault(
            name,
            line,
            f"Lines are missing, or too many: the file has {found['accounts']:,} accounts and "
            f"{found['preauthorizations']:,} preauthorizations, and its end counts others. Nothing was imported: "
            "export again.",
        )


def _without_end(name: str) -> InvalidInputError:
    return fault(
        name, 0, "The end is missing: the export broke off, or the file was cut. Nothing was imported: export again."
    )


def _document_by_lines(name: str, stream: BinaryIO) -> Iterator[tuple[str, int, Any]]:
    """Read a document as `idp export` lays it out.

    Raises:
        InvalidInputError: it is laid out in another way, or is no document.
    """
    kind = "account"
    lines = _numbered(name, stream)
    for line, content in lines:
        if kind == "account" and content == BETWEEN:
            kind = "preauthorization"
        elif kind == "preauthorization" and content == END:
            break
        else:
            yield kind, line, _load(name, content.removesuffix(","), line)
    else:
        raise _without_end(name)
    for line, _ in islice(lines, 1):
        raise fault(name, line, "Something stands behind the end.")


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


def _candidates(entries: Entries, report: Report) -> Iterator[Candidate]:
    for kind, line, entry in entries():
        if kind == "account":
            report.found += 1
            yield from _candidate(entry, line, report)


def _invitees(entries: Entries, report: Report) -> Iterator[Invitee]:
    for kind, line, entry in entries():
        if kind == "preauthorization":
            report.preauthorizations_found += 1
            yield from _invitee(entry, line, report)


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
        text_of(entry, "email"),
        text_of(entry, "given_name"),
        text_of(entry, "family_name"),
        text_of(entry, "password_hash") or text_of(entry, "password"),
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
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_SECONDS)
