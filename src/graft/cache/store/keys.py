"""What rows are found by: an entry by the facts that determine its rows, a row by its name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b, sha256
from typing import Any

NAME_BYTES = 16
"""Bytes of a row's name on disk. Two names that meet by chance would need 2^64 rows."""


def canonical(facts: Mapping[str, Any]) -> bytes:
    """Return the one JSON text of facts, whatever order they come in.

    Args:
        facts: JSON values by name, nested to any depth; a tuple counts as a list.

    Raises:
        TypeError: A value, or a key at any depth, is none of JSON.
        ValueError: A number is not finite.

    Example:
        >>> canonical({"seed": 0, "cut": "stage4"}) == canonical({"cut": "stage4", "seed": 0})
        True
    """
    _refuse_other_keys(facts)
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the key of facts: the SHA-256 of their canonical JSON in 64 hexadecimal digits.

    Example:
        >>> key_of({"cut": "stage4"})[:12]
        'b9dad3419218'
    """
    return sha256(canonical(facts)).hexdigest()


def names(ids: Iterable[str]) -> bytes:
    """Return the names of rows as they stand on disk, `NAME_BYTES` each, one after the other.

    Example:
        >>> len(names(["image one:0", "image one:1"]))
        32
    """
    return b"".join(
        blake2b(row.encode("utf-8", "surrogatepass"), digest_size=NAME_BYTES).digest()
        for row in ids
    )


def _refuse_other_keys(value: Any) -> None:
    # json.dumps would write 1 and "1" alike, and different facts must never share a key.
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"Facts have names that are text, not {key!r}.")
            _refuse_other_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_other_keys(inner)
