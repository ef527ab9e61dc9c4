"""JSON as it goes to apps: whatever people and apps sent before, it becomes JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp import compact_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_it_reads_back_as_it_was(value: object) -> None:
    assert json.loads(compact_json.encode(value)) == value
    assert json.loads(compact_json.text(value)) == value


def test_it_has_no_spaces_and_is_utf_8() -> None:
    assert compact_json.encode({"name": "Zoë", "roles": ["a", "b"]}) == '{"name":"Zoë","roles":["a","b"]}'.encode()


@pytest.mark.parametrize("value", ["half a pair: \ud800", 2**64, {7: "a number for a name"}])
def test_what_the_quick_library_does_not_take(value: object) -> None:
    assert compact_json.encode({"it": value}) == json.dumps({"it": value}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "text", ["[]", '["pwd"]', '["pwd", "otp"]', "null", "{}", '{"a": [1]}', "[1, null]", '"a"', "[[]]"]
)
@pytest.mark.parametrize("padding", [0, 64 - 16, 100])
def test_a_column_is_read_as_json_and_whoever_changes_it_changes_their_own(text: str, padding: int) -> None:
    padded = text + " " * padding
    for _ in range(3):
        read = compact_json.read(padded)
        assert read == json.loads(text) == compact_json.read(padded.encode())
        if isinstance(read, list):
            read.append("more")
        elif isinstance(read, dict):
            read["more"] = True
