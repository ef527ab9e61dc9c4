"""YAML as plain data: mappings, lists, text and nothing. No type is guessed and no object is ever made.

Text stays as it was written: a user called `no`, a password `0123` are what they look like. The data are built from
the parser's events, without a tree of nodes between: quick enough for millions of lines, and each mapping knows its
own. What an alias stands for is shared, not copied; the size that it would have is counted, so that a few lines that
claim to be billions are refused.
"""

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import ReaderError

from idp.errors import InvalidInputError
from idp.transfer.text_file import fault

MOST_VALUES = 20_000_000
MOST_DEPTH = 50
_FAULTS_TOLD = 20
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C where PyYAML was built with it
_NOTHING = ("", "~", "null", "Null", "NULL")
_STANDARD = "tag:yaml.org,2002:"
_TAGS = {  # what says no more than the value itself does; anything else asks for an object to be made
    None,
    "!",
    *(_STANDARD + name for name in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp", "set", "omap")),
    *(f"{_STANDARD}python/{name}" for name in ("str", "unicode", "int", "bool", "tuple", "list", "dict", "none")),
}


class Mapping(dict[str, Any]):
    """A mapping that knows on which lines it and its values begin."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """Return the line of a key; that of the mapping when the key came along with an alias."""
        return self.lines.get(key, self.line)


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    value: Any
    anchor: str | None
    key: str | None = None
    merged: Any = None
    size: int = 1


@dataclass(slots=True)
class _Anchored:
    value: Any
    size: int
    is_open: bool


def parse(name: str, text: str) -> Any:
    """Parse one document.

    Args:
        name: what to call the file in messages.
        text: its content.

    Returns:
        `Mapping`, list, str or None.

    Raises:
        InvalidInputError: says on which line the text is no YAML, or none that is read here.
    """
    parser = None
    try:
        parser = _PARSER(text)
        return _Builder(name, parser).build()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # Only the parser's own words: the lines around the fault may hold passwords.
        problem = error.problem or error.context or "something unexpected"
        raise fault(name, mark.line + 1 if mark else 0, f"This is not YAML: {problem}.") from None
    except ReaderError as error:
        before = text.encode("utf-8", "replace")[: error.position] if _PARSER is not yaml.SafeLoader else None
        line = text.count("\n", 0, error.position) if before is None else before.count(b"\n")
        raise fault(name, line + 1, "This is not YAML: it holds a character that no text has.") from None
    finally:
        if parser is not None:
            parser.dispose()


class _Builder:
    """Builds data from a parser's events."""

    def __init__(self, name: str, parser: Any) -> None:
        self._name = name
        self._parser = parser
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._result: Any = None
        self._values = 0
        self._repeated: list[str] = []

    def build(self) -> Any:
        documents = 0
        while not isinstance(event := self._parser.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.ScalarEvent):
                self._add_scalar(event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._open(event)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._add_alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._fault(event, "A second document begins here: the file may hold one.")
        if self._repeated:
            more = len(self._repeated) - _FAULTS_TOLD
            told = self._repeated[:_FAULTS_TOLD] + ([f"... and {more} more."] if more > 0 else [])
            raise InvalidInputError({self._name: told})
        return self._result

    def _add_scalar(self, event: yaml.ScalarEvent) -> None:
        self._check(event)
        top = self._stack[-1] if self._stack else None
        text: str = event.value
        if top is not None and isinstance(top.value, Mapping) and top.key is None:
            self._set_key(top, text, event)
            if event.anchor:
                self._anchors[event.anchor] = _Anchored(text, 1, False)
            return
        is_nothing = event.implicit[0] and text in _NOTHING
        value = None if is_nothing or event.tag == f"{_STANDARD}null" else text
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1, False)
        self._add(value, 1)

    def _set_key(self, top: _Open, key: str, event: Any) -> None:
        line = event.start_mark.line + 1
        if key in top.value.lines:
            if len(self._repeated) <= _FAULTS_TOLD:
                shown = "".join(c if c.isprintable() else "?" for c in key[:60])
                first = top.value.lines[key]
                self._repeated.append(f"line {line}: {shown!r} is here for the second time; first on line {first}.")
            else:
                self._repeated.append("")
        top.key = key
        top.value.lines.setdefault(key, line)

    def _open(self, event: Any) -> None:
        self._check(event)
        if self._stack and isinstance(self._stack[-1].value, Mapping) and self._stack[-1].key is None:
            raise self._fault(event, "A key must be text.")
        if len(self._stack) >= MOST_DEPTH:
            raise self._fault(event, f"More than {MOST_DEPTH} levels are nested here.")
        line: int = event.start_mark.line + 1
        value: Any = Mapping(line) if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 0, True)
        self._stack.append(_Open(value, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        for each in done.merged if isinstance(done.merged, list) else [done.merged]:
            for key, value in each.items() if isinstance(each, Mapping) else ():
                done.value.setdefault(key, value)
        if done.anchor:
            self._anchors[done.anchor] = _Anchored(done.value, done.size, False)
        self._add(done.value, done.size)

    def _add_alias(self, event: yaml.AliasEvent) -> None:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise self._fault(event, "An alias (*) stands here for something that has not come yet.")
        if known.is_open:
            raise self._fault(event, "An alias (*) stands here for what it is itself a part of.")
        self._values += known.size
        self._check(event)
        top = self._stack[-1]
        if isinstance(top.value, Mapping) and top.key is None:
            if not isinstance(known.value, str):
                raise self._fault(event, "A key must be text.")
            self._set_key(top, known.value, event)
            return
        self._add(known.value, known.size)

    def _add(self, value: Any, size: int) -> None:
        if not self._stack:
            self._result = value
            return
        top = self._stack[-1]
        top.size += size
        if isinstance(top.value, list):
            top.value.append(value)
            return
        assert top.key is not None
        if top.key == "<<" and not isinstance(value, str):
            top.merged = value
        else:
            top.value[top.key] = value
        top.key = None

    def _check(self, event: Any) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise self._fault(event, f"The file stands for more than {MOST_VALUES:,} values.")
        if getattr(event, "tag", None) not in _TAGS:
            raise self._fault(event, "A tag (!) asks for an object to be made here; only plain values are read.")

    def _fault(self, event: Any, sentence: str) -> InvalidInputError:
        return fault(self._name, event.start_mark.line + 1, sentence)
