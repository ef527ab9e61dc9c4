"""Queries and forms are read and written as Python's own library does it."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from idp import urlencoded

WILD = st.text(st.sampled_from("ab=&+%;#?/:~.0123456789cfCF \x00é\u20ac")) | st.text()


@given(WILD)
@example("")
@example("a&&b=&=c&==&a=%C3%A9+%2B&%ff=%F")
def test_what_is_read_is_what_the_library_reads(encoded: str) -> None:
    assert urlencoded.read(encoded, 1_000) == parse_qsl(encoded, keep_blank_values=True)


@given(WILD)
def test_what_is_no_utf_8_is_refused_where_it_has_to_be(encoded: str) -> None:
    try:
        expected = parse_qsl(encoded, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            urlencoded.read(encoded, 1_000, "strict")
    else:
        assert urlencoded.read(encoded, 1_000, "strict") == expected


def test_fields_are_counted_before_they_are_read() -> None:
    assert len(urlencoded.read("a=1&b=2&c", 3)) == 3
    with pytest.raises(ValueError, match="more than 2 fields"):
        urlencoded.read("a=1&b=2&c", 2)


@given(st.dictionaries(WILD, WILD))
def test_what_is_written_is_what_the_library_writes(parameters: dict[str, str]) -> None:
    assert urlencoded.write(parameters) == urlencode(parameters)
    assert dict(urlencoded.read(urlencoded.write(parameters), 1_000)) == parameters
