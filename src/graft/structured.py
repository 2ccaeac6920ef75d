"""JSON and YAML from anywhere, read with limits.

The standard readers take a few bytes that grow to a billion nodes, numbers of any length, NaN, the
same key twice, and as many levels as fit on the stack. What Graft writes needs none of these, so
here they are errors with a plain message, raised before they cost anything.
"""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 64 << 20
"""Of a JSON file: the record of a run with ten thousand classes has about a tenth of it."""

MOST_YAML_BYTES = 1 << 20
"""Of a YAML text, whose reader takes seconds per megabyte."""

DEEPEST = 64
"""Levels of lists and mappings; recipes and models have less than ten."""

LONGEST_NUMBER = 64
"""Characters of a number: more than any that a program writes by itself."""


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Return a file of UTF-8 text.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, no regular file, or not UTF-8.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode):
        raise ValueError("it is a pipe, a socket or a device")  # which would be waited for
    if (size := state.st_size) > most:
        raise ValueError(f"it has {size:,} bytes, and at most {most:,} are read")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text: {error.reason} at byte {error.start}") from error


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is not JSON, nested too deeply, repeats a key, or holds a number that is not
            finite or absurdly long.

    Example:
        >>> parse_json('{"width": 512}')
        {'width': 512}
        >>> parse_json('{"width": 512, "width": 1}')
        Traceback (most recent call last):
        ValueError: the key 'width' is there twice
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _refuse_depth(value)
    return value


def parse_yaml(text: str) -> Any:
    r"""Return the value of a YAML text of plain data: no tags that make objects, no aliases.

    Raises:
        ValueError: It is not such a text, or is too large, nested too deeply, or holds a number or
            a date that cannot be.

    Example:
        >>> parse_yaml("training: {lr: 0.01}")
        {'training': {'lr': 0.01}}
        >>> parse_yaml("a: &a [1, 2]\nb: *a")
        Traceback (most recent call last):
        ValueError: line 2 refers to another place by the alias '*a'; write the value out
    """
    if len(text) > MOST_YAML_BYTES:
        raise ValueError(
            f"it has {len(text):,} characters, and at most {MOST_YAML_BYTES:,} are read"
        )
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    except (RecursionError, OverflowError, AttributeError, TypeError, LookupError) as error:
        # PyYAML's constructors check little: a date such as 2020-99-99, a tag on the wrong value.
        raise ValueError(f"a value cannot be read: {error}") from error


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: two are the same data where their texts are.

    Example:
        >>> canonical({"b": True, "a": (1,)})
        '{"a":[1],"b":true}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def shown(value: Any, most: int = 80) -> str:
    """Return how a value is written, cut where that is long; for messages.

    Example:
        >>> shown("x" * 100, most=12)
        "'xxxxxxxx..."
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to write integers of 5,000 digits
        return f"a {type(value).__name__} that is too long to be written"
    return text if len(text) <= most else f"{text[: most - 3]}..."


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, without aliases and with bounds."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise ValueError(
                f"line {event.start_mark.line + 1} refers to another place by the alias "
                f"'*{event.anchor}'; write the value out"
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_yaml_int(self, node: Any) -> int:
        _refuse_length(str(node.value))
        return super().construct_yaml_int(node)

    def construct_yaml_float(self, node: Any) -> float:
        _refuse_length(str(node.value))
        return super().construct_yaml_float(node)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)
_PlainLoader.add_constructor("tag:yaml.org,2002:float", _PlainLoader.construct_yaml_float)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:40]!r} is there twice")
    return found


def _refuse_length(text: str) -> None:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} characters, beginning with {text[:12]}")


def _integer(text: str) -> int:
    _refuse_length(text)
    return int(text)


def _finite(text: str) -> float:
    _refuse_length(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _refuse_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        members = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for inner in members for each in inner if isinstance(each, dict | list)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")
