"""Files that are no configuration: each is refused with a sentence that says where, and nothing is written."""

import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.errors import InvalidInputError
from idp.models import User
from idp.transfer import accounts_file, exporting, streamlit_authenticator, text_file, yaml_file
from idp.transfer.checking import Checker
from idp.transfer.report import Report
from tests.transfer.conftest import Import

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no configuration"),
        ("just text", "no configuration"),
        ("- a\n- b\n", "no configuration"),
        ("cookie: {}\n", "should hold `usernames`"),
        ("credentials: secret\n", "line 1: `credentials` should hold"),
        ("credentials:\n  usernames: secret\n", "line 2: `usernames` should map"),
        ("credentials:\n\tusernames: {}\n", "line 2: This is not YAML: found character"),
        ("credentials: {usernames: {ada: {password: secret\n", "This is not YAML"),
        (
            "credentials:\n  usernames:\n    ada: {}\n    ada: {}\n",
            "line 4: 'ada' is here for the second time; first on line 3",
        ),
        ("a: 1\n---\nb: 2\n", "line 2: A second document"),
        ("a: *secret\n", "line 1: An alias (*)"),
        ("a: &a [*a]\n", "line 1: An alias (*) stands here for what it is itself"),
        ("? [a, b]\n: c\n", "line 1: A key must be text"),
        ("a: &b [x]\n*b : c\n", "line 2: A key must be text"),
        ("a: !!python/object/apply:os.system [secret]\n", "line 1: A tag (!)"),
        ("a: !secret x\n", "line 1: A tag (!)"),
        ("a: \x07\n", "line 1: This is not YAML: it holds a character"),
        ("[" * 60 + "]" * 60, "More than 50 levels"),
        ("[" * 5000, "nest"),  # the library itself counts that far since PyYAML 6.0.4
        (BOMB, "stands for more than"),
        ("names: [a]\nusernames: [a, b]\n", "line 1: `names` has 1 entries, but `usernames` has 2"),
        ("names: secret\nusernames: [a, b]\n", "line 1: `names` should be a list"),
    ],
)
def test_what_is_wrong_and_where(import_: Import, db: Session, text: str, told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        import_(text)
    assert told in caught.value.message
    assert "secret" not in caught.value.message
    assert db.scalars(select(func.count()).select_from(User)).one() == 0


def test_all_repeated_keys_are_told_at_once() -> None:
    text = "".join(f"k{n}: a\nk{n}: b\n" for n in range(30))
    with pytest.raises(InvalidInputError) as caught:
        yaml_file.parse("config.yaml", text)
    assert len(caught.value.faults["config.yaml"]) == 21
    assert caught.value.faults["config.yaml"][-1] == "... and 10 more."


def test_what_is_no_utf_8() -> None:
    with pytest.raises(InvalidInputError, match="line 2: This is not UTF-8"):
        text_file.read_text("config.yaml", io.BytesIO(b"a: b\nname: M\xfcller\n"))
    assert text_file.read_text("config.yaml", io.BytesIO("a: b".encode("utf-8-sig"))) == "a: b"


def test_an_export_that_is_no_utf_8() -> None:
    """As an editor saves it that knows one alphabet only, or two bytes for each letter."""
    head = b'{"format":"streamlit-idp accounts","version":1}\n'
    with pytest.raises(InvalidInputError, match="line 3: This is not UTF-8"):
        accounts_file.read("file", io.BytesIO(head + b'\n{"account":{"username":"M\xfcller"}}\n'), Report())
    with pytest.raises(InvalidInputError, match="line 1: This is not UTF-8"):
        accounts_file.read("file", io.BytesIO(head.decode().encode("utf-16")), Report())
    marked = "\ufeff" + head.decode() + '{"account":{"username":"ada"}}\r\n'
    assert [each.username for each in accounts_file.read("file", io.BytesIO(marked.encode()), Report()).candidates] == [
        "ada"
    ]


def test_a_line_without_an_end() -> None:
    head = b'{"format":"streamlit-idp accounts","version":1}\n'
    with pytest.raises(InvalidInputError, match="line 2: This line is longer"):
        accounts_file.read("file", io.BytesIO(head + b" " * (1 << 21)), Report())


def an_export(form: str, count: int) -> bytes:
    accounts = [json.dumps({"username": f"user{n}", "email": f"user{n}@example.org"}) for n in range(count)]
    if form == "json":
        lines = [exporting.HEAD, ",\n".join(accounts), exporting.BETWEEN, exporting.END]
    else:
        end = {"end": {"accounts": count, "preauthorizations": 0}}
        head = {"format": exporting.FORMAT, "version": exporting.VERSION, "has_end": True}
        lines = [json.dumps(head), *(f'{{"account": {each}}}' for each in accounts), json.dumps(end)]
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize("form", ["json", "lines"])
def test_however_many_accounts_there_are_few_are_in_memory(form: str) -> None:
    stream, report = io.BytesIO(an_export(form, 20_000)), Report()
    tracemalloc.start()
    try:
        source = accounts_file.read("file", stream, report)
        assert (source.layout, source.count) == (form, 20_000)
        assert sum(1 for _ in source.candidates) == report.found == 20_000
        assert list(source.invitees) == []
        assert tracemalloc.get_traced_memory()[1] < 1 << 20  # one MiB; the file has more
    finally:
        tracemalloc.stop()


def test_an_export_that_somebody_laid_out_anew_is_read_too() -> None:
    text = an_export("json", 3).decode().replace('"username"', '\n"username"')  # the first line is as it was
    for shown in (text, json.dumps(json.loads(text)), json.dumps(json.loads(text), indent=4)):
        source = accounts_file.read("file", io.BytesIO(shown.encode()), Report())
        assert [each.username for each in source.candidates] == ["user0", "user1", "user2"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"format": "x", "version": 1}', "no file that `idp export` wrote"),
        ('{"format": "x", "version": 1, "accounts": []}', "no file that `idp export` wrote"),
        ('{"format": "streamlit-idp accounts", "version": 9, "accounts": []}', "reads version 1 of this format only"),
        ('{"format": "streamlit-idp accounts", "version": 1, "accounts": {}}', "`accounts` should be a list"),
    ],
)
def test_a_document_of_another_kind_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        accounts_file.read("file", io.BytesIO(text.encode()), Report())


@pytest.mark.parametrize("form", ["json", "lines"])
def test_an_export_that_was_cut_is_refused_wherever_that_was(form: str) -> None:
    whole = an_export(form, 3).rstrip()
    for length in range(len(whole)):
        with pytest.raises(InvalidInputError):
            accounts_file.read("file", io.BytesIO(whole[:length]), Report())
    with pytest.raises(InvalidInputError):
        accounts_file.read("file", io.BytesIO(whole + b"\n" + whole), Report())


def test_an_export_that_lost_a_line_is_refused() -> None:
    head, first, *rest = an_export("lines", 3).splitlines(keepends=True)
    for lines in ([head, *rest], [head, first, first, *rest]):
        with pytest.raises(InvalidInputError, match="Lines are missing, or too many"):
            accounts_file.read("file", io.BytesIO(b"".join(lines)), Report())


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda whole: whole.replace(b'{"username": "user1"', b'{"username: "user1"'), "line 3: This is not JSON"),
        (lambda whole: whole.replace(b"user1", b"us\xffr1"), "line 3: This is not UTF-8"),
        (lambda whole: whole[: whole.index(b"], ")], "The end is missing"),
        (lambda whole: whole + b"and more\n", "line 7: Something stands behind the end"),
    ],
)
def test_of_an_export_that_is_too_large_to_be_read_whole_the_line_at_fault_is_told(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes], told: str
) -> None:
    monkeypatch.setattr(text_file, "MOST_BYTES", 100)
    whole = an_export("json", 3)
    assert accounts_file.read("file", io.BytesIO(whole), Report()).count == 3
    with pytest.raises(InvalidInputError, match=told):
        accounts_file.read("file", io.BytesIO(spoil(whole)), Report())


class Watched(io.BytesIO):
    """Counts the lines that are read of it."""

    lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self.lines += 1
        return super().readline(size)


@pytest.mark.parametrize("form", ["json", "lines"])
def test_one_reading_tells_whether_an_export_is_whole_and_how_much_it_holds(form: str) -> None:
    stream = Watched(an_export(form, 100))
    assert accounts_file.read("file", stream, Report()).count == 100
    assert stream.lines < 110


class Pipe(io.BytesIO):
    """What can be read only once."""

    def seekable(self) -> bool:
        return False


def test_what_comes_through_a_pipe_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with text_file.rereadable("stdin", Pipe(b"x" * 3_000_000)) as stream:
        for _ in range(2):
            assert len(stream.read()) == 3_000_000
            stream.seek(0)
    monkeypatch.setattr(text_file, "MOST_BYTES", 2_000_000)
    with (
        pytest.raises(InvalidInputError, match="put it into a file"),
        text_file.rereadable("stdin", Pipe(b"x" * 3_000_000)),
    ):
        pass


def test_what_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "MOST_BYTES", 1024 * 1024)
    with pytest.raises(InvalidInputError, match="more than 1 MB"):
        text_file.read_text("stdin", io.BytesIO(b"x" * (1024 * 1024 + 1)))


def test_without_the_c_parser_all_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_file, "_PARSER", yaml.SafeLoader)
    assert yaml_file.parse("x", "a: [b, &c {d: ~}, *c]\n") == {"a": ["b", {"d": None}, {"d": None}]}
    for text in ("a:\n\tb: c", "a: \x07", "a: &a [*a]"):
        with pytest.raises(InvalidInputError, match="line "):
            yaml_file.parse("x", text)


TEXTS = strategies.text(max_size=12) | strategies.sampled_from(["a@b.example", "$2b$04$x", "roles", "ada", "<<", "~"])
SCALARS = strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | TEXTS
WORDS = (
    "credentials usernames names passwords emails email name roles role password preauthorized pre-authorized "
    "first_name accounts preauthorizations format version id"
)
KEYS = TEXTS | strategies.sampled_from(WORDS.split())
SHAPES = strategies.recursive(
    SCALARS, lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(KEYS, inner, max_size=5)
)
PEOPLE = strategies.dictionaries(TEXTS, strategies.dictionaries(KEYS, SHAPES, max_size=6) | SHAPES, max_size=4)
CONFIGURATIONS = strategies.fixed_dictionaries(
    {"credentials": strategies.fixed_dictionaries({"usernames": PEOPLE | SHAPES})},
    optional={"preauthorized": SHAPES, "pre-authorized": SHAPES, "cookie": SHAPES},
)
EXPORTS = strategies.fixed_dictionaries(
    {"format": strategies.just("streamlit-idp accounts"), "version": strategies.just(1)},
    optional={
        "accounts": SHAPES | strategies.lists(PEOPLE | strategies.dictionaries(KEYS, SHAPES)),
        "preauthorizations": SHAPES,
    },
)


def _judge(read: Any, text: str) -> None:
    """Read and check; only a refusal may come out."""
    report = Report()
    try:
        source = read("file", io.BytesIO(text.encode()) if read is accounts_file.read else text, report)
    except InvalidInputError:
        return
    rows = list(Checker(report).check_all(source.candidates))
    assert report.found == len(rows) + report.left_out
    assert report.as_dict()


@given(SHAPES | CONFIGURATIONS)
@settings(max_examples=200, deadline=None)
def test_no_shape_is_a_surprise(shape: Any) -> None:
    _judge(streamlit_authenticator.read, yaml.safe_dump(shape, allow_unicode=True))


@given(strategies.text() | strategies.text(alphabet="{}[]:,&*!|>-#'\"%@`?~ \n\tab<"))
@settings(max_examples=300, deadline=None)
def test_no_text_is_a_surprise(text: str) -> None:
    _judge(streamlit_authenticator.read, text)
    _judge(accounts_file.read, text)


@given(SHAPES | EXPORTS)
@settings(max_examples=200, deadline=None)
def test_no_json_is_a_surprise(shape: Any) -> None:
    _judge(accounts_file.read, json.dumps(shape))
