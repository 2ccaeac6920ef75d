"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graft.errors import RecipeError
from graft.files import refusals_are_named, sync_folder


@contextmanager
def staged_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder beside `folder`, which takes its name when the block succeeds.

    On any error, an interrupt included, it is removed and nothing is left.

    Args:
        folder: New, or an existing empty folder.

    Raises:
        RecipeError: There is something in the folder already; nothing is touched.
        ResourceError: The disk is full or the place cannot be written.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "photos"
        >>> with staged_folder(place) as staged:
        ...     _ = (staged / "note.txt").write_text("whole")
        ...     place.exists()
        False
        >>> (place / "note.txt").read_text()
        'whole'
    """
    target = Path(folder)
    refuse_taken(target)
    staged = target.absolute().with_name(f".{target.absolute().name}.{uuid.uuid4().hex[:12]}.tmp")
    with refusals_are_named(target):
        staged.mkdir(parents=True)
    try:
        yield staged
        with refusals_are_named(target):
            if os.name == "nt" and target.exists():
                target.rmdir()
            staged.rename(target)  # over an empty folder, and over nothing else
            sync_folder(staged.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def refuse_taken(folder: Path) -> None:
    """Raise a `RecipeError` where a folder holds something, or is none."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise RecipeError(
            f"'{folder}' already exists and is not an empty folder.",
            "Choose another folder; Graft never writes among other files.",
        )
    if folder.exists() and folder.samefile(Path.cwd()):
        raise RecipeError(
            f"'{folder}' is the folder that you are in.", "Name a new folder, such as 'samples'."
        )
