"""JSON and YAML from anywhere: plain data within limits, or a plain message at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graft.structured import parse_json, parse_yaml, read_text

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join([f'*{chr(97 + level)}'] * 9)}]"
    for level in range(9)
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text("abc é'\n:", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=4), inner),
    max_leaves=12,
)


@given(PLAIN)
def test_plain_data_is_read_as_it_was_written(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100 + "]" * 100, "levels deep"),
        ("1" * 5000, "5,000 characters"),
        ("-0." + "1" * 5000, "5,003 characters"),
        ("1e999", "too large"),
        ("[NaN]", "NaN"),
        ("-Infinity", "Infinity"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        ("{", "Expecting"),
    ],
)
def test_json_beyond_its_limits_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "line 2 .* alias"),
        ("a: &a [*a]", "alias"),
        ("[" * 100_000, "levels deep"),
        ("\n".join(" " * level + "a:" for level in range(200)), "levels deep"),
        ("1" * 5000, "5,000 characters"),
        ("1" + ":59" * 5000, "characters"),
        ("2020-99-99", "cannot be read|must be in"),
        ("!!python/object/apply:os.getpid []", "could not determine a constructor"),
        ("!!int [1]", "expected a scalar"),
        ("? [1]\n: 2", "construct"),
        ("x" * 2_000_000, "2,000,000 characters"),
    ],
)
def test_yaml_beyond_its_limits_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_yaml(text)


def test_a_file_that_is_too_large_or_no_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "big.json"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"1,099,511,627,776 bytes"):
        read_text(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_text(file)
