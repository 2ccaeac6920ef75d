"""Images that lie in no files of their own, written out once as files into the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from graft.data.layout import LabelledFile, Listing
from graft.errors import DataError
from graft.files import wrap_os_errors
from graft.user_cache import user_cache

FORMAT = 1  # of what is written out; another number writes everything anew

_LISTING = "listing.json"


def cache_place(name: str, key: Any) -> Path:
    """Return the cache folder for the images that `name` and `key` determine."""
    digest = hashlib.sha256(json.dumps([FORMAT, name, key]).encode()).hexdigest()
    stem = re.sub(r"[^\w.-]+", "--", name)
    return user_cache() / "datasets" / f"{stem}-{digest[:16]}"


class ImageFiles:
    """A folder of images as it is written, each under the SHA-256 of its bytes.

    Args:
        folder: Where to.
        scratch: An existing folder for what is needed only while writing.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.scratch = folder, scratch
        self.entries: list[tuple[str, str, str]] = []
        self.notes: list[str] = []

    def add(self, data: bytes, suffix: str, label: str, split: str) -> None:
        """Write an encoded image unless it is there."""
        digest = hashlib.sha256(data).hexdigest()
        path = f"images/{digest[:2]}/{digest}{suffix}"
        if not (self.folder / path).exists():
            with wrap_os_errors(self.folder):
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).write_bytes(data)
        self.entries.append((path, label, split))

    def refer(self, path: str, label: str, split: str) -> None:
        """List an image that lies elsewhere, by its absolute path."""
        self.entries.append((path, label, split))


Write: TypeAlias = Callable[[ImageFiles], None]


def write_out(write: Write, target: Path, name: str) -> None:
    """Write the images of a source into a new folder.

    The folder appears under its name complete or not at all. Where another process was quicker,
    its folder stays.

    Args:
        write: Adds every image, and notes on what it leaves out.
        target: The folder to make.
        name: What errors call the source.

    Raises:
        DataError: As `write` raises it.
        ResourceError: The disk is full or the folder cannot be made.
    """
    with wrap_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}.", ignore_cleanup_errors=True
        )
    with scratch as place:
        images = ImageFiles(Path(place) / target.name, Path(place))
        write(images)
        listing = {"source": name, "entries": images.entries, "notes": images.notes}
        with wrap_os_errors(target):
            images.folder.mkdir(exist_ok=True)
            (images.folder / _LISTING).write_text(
                json.dumps(listing, indent=1) + "\n", encoding="utf-8"
            )
            if hasattr(os, "sync"):
                os.sync()  # once for all images, before their folder gets its name
            _rename(images.folder, target)


def read_back(target: Path) -> Listing | None:
    """Return what `write_out` wrote into a folder, or None if it has not."""
    try:
        document = json.loads((target / _LISTING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(
            f"The cached images in '{target}' cannot be read: {error}.", "Remove that folder."
        ) from error
    entries = [
        LabelledFile(target / path, label, split) for path, label, split in document["entries"]
    ]
    return Listing(entries, document["notes"])


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise
