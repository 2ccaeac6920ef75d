"""Finding picture files: in folders of any depth, as single files, or by patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from graft.data.decode import is_picture
from graft.errors import DataError
from graft.files import readable_path

# A file so named is meant as a picture, even where this program cannot read the format: it is set
# aside with a reason and not passed over.
_IMAGE_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|png|gif|bmp|tiff?|webp|avif|jp2|p[bgnp]m|ico|hei[cf]|tga|psd|svg)",
    re.IGNORECASE,
)
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is one that operating systems leave behind.

    Example:
        >>> [is_hidden(name) for name in (".DS_Store", "__MACOSX", "Thumbs.db", "ants")]
        [True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in _CLUTTER


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders directly inside `folder`, sorted by name."""
    return _contents(folder).folders


def images_in(folder: Path) -> list[Path]:
    """Return the picture files directly inside `folder`, sorted by name."""
    return [file for file in _contents(folder).files if _is_image(file)]


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the picture files in `folder` and everything below it, in a stable order.

    Links are followed; a folder that links lead to twice, or in a circle, is entered once.
    """
    entered: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        here = pending.pop()
        status = here.stat()
        identity = (status.st_dev, status.st_ino)
        if identity not in entered:
            entered.add(identity)
            folders, files = _contents(here)
            yield from filter(_is_image, files)
            pending.extend(reversed(folders))


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the pictures that files, folders and patterns stand for.

    Args:
        paths: Files (taken as they are), folders (searched to any depth) and patterns such as
            "photos/*.jpg" or "photos/**/*.png".

    Returns:
        Every file once: the arguments in the given order, the contents of each sorted.

    Raises:
        DataError: A path does not exist, or a folder or pattern holds no picture.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.jpg").write_bytes(b""), (folder / "notes.txt").write_text("")
        >>> [path.name for path in find_images([folder])]
        ['a.jpg']
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_images_of(readable_path(path))))
    return list(found)


def _images_of(path: Path) -> list[Path]:
    if path.is_dir():
        images = list(images_below(path))
    elif path.exists():
        return [path]
    elif glob.has_magic(str(path)):
        # Path.glob takes no absolute patterns.
        matches = map(Path, sorted(glob.glob(str(path), recursive=True)))  # noqa: PTH207
        images = [match for match in matches if match.is_file() and _is_image(match)]
    else:
        raise DataError(f"'{path}' does not exist.", "Give files, folders or patterns.")
    if not images:
        raise DataError(f"'{path}' holds no images.", "Give files, folders or patterns.")
    return images


class _Contents(NamedTuple):
    folders: list[Path]
    files: list[Path]


def _contents(folder: Path) -> _Contents:
    """Return what is visible directly inside a folder, sorted by name."""
    contents = _Contents([], [])
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not is_hidden(entry.name):
                    kind = contents.folders if _is_folder(entry) else contents.files
                    kind.append(folder / entry.name)
    except OSError as error:
        raise DataError(
            f"The folder '{folder}' cannot be read: {error.strerror}.",
            "Allow reading it, or move it away.",
        ) from error
    return contents


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere: set aside with its reason if named as an image
        return False


def _is_image(path: Path) -> bool:
    named_so = _IMAGE_SUFFIX.fullmatch(path.suffix) is not None
    return named_so or is_picture(path)
