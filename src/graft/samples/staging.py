"""A folder that is there whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from graft.errors import RecipeError
from graft.files import (
    TEMPORARY,
    locked,
    refusals_are_named,
    remove,
    sync_folder,
    temporary_for,
    writable_path,
)


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
    target = writable_path(folder)
    with ExitStack() as held:
        with refusals_are_named(target):
            refuse_taken(target)
            _sweep(target.absolute())
            staged = _stage(target.absolute(), held)
        try:
            yield staged
            with refusals_are_named(target):
                if os.name == "nt" and target.exists():
                    target.rmdir()
                staged.rename(target)  # over an empty folder, and over nothing else
                sync_folder(staged.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _stage(target: Path, held: ExitStack) -> Path:
    """Make a folder and hold it, so that nobody takes it for that of a dead process."""
    while True:
        staged = temporary_for(target)
        staged.mkdir(parents=True)
        # Somebody may have swept it in the instant before we hold it; then we take another.
        with suppress(BlockingIOError, FileNotFoundError):
            held.enter_context(locked(staged))
            return staged


def _sweep(target: Path) -> None:
    """Remove the folders that processes which were killed staged for the same target."""
    if not target.parent.is_dir():
        return
    for other in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        if TEMPORARY.fullmatch(other.name) and other.is_dir():
            with suppress(OSError), locked(other):
                remove(other)


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
