"""A data set scanned again: pictures that an earlier run could read are not decoded to find out."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from graft.data.decode import decoder
from graft.data.manifest import Manifest
from graft.data.scan import known_pictures, scan
from graft.errors import DataError, ResourceError
from graft.user_cache import note_cache


def examine(source: str, cache: str | os.PathLike[str] | None = None) -> Manifest:
    """Scan a data set thoroughly, and note what was found for the next time.

    Every file is read and hashed each time; a note counts for the same bytes and decoder only, so
    the manifest is the same with and without one.

    Args:
        source: As `scan` takes it.
        cache: Where notes are kept: a folder, "off", or None for the user's own.

    Raises:
        DataError: As `scan` does.
    """
    notes = note_cache(cache)
    if notes is None:
        return scan(source)
    key = sha256(os.fsencode(f"{decoder()}\n{source}")).hexdigest()
    note = notes / f"{key}.scan.csv"
    known = _known(note)
    manifest = scan(source, known=known)
    if known_pictures(manifest.samples) != known:
        with suppress(ResourceError, OSError):  # a full disk costs the next run some decoding
            notes.mkdir(parents=True, exist_ok=True)
            manifest.save(note)
    return manifest


def _known(note: Path) -> dict[str, tuple[int, int]]:
    try:
        return known_pictures(Manifest.load(note).samples)
    except (DataError, ValueError):  # none yet, or a damaged one
        return {}
