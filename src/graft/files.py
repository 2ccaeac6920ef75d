"""Files that are either whole or absent: atomic writes, locks, content hashes, full disks named."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graft.errors import DataError, RecipeError, ResourceError

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp|\.tmp\w{6}")
"""Names of files and folders that are being written: Graft's own, and those of safetensors."""

LONGEST_NAME = 255
"""Bytes that the name of a file may have on the usual file systems."""

SUFFIX = 32
"""Bytes by which the name of a temporary file is longer than that of its target."""

NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system answers that cannot lock a folder, or nothing at all."""


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def wrap_os_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system refuses while `path` is written into a `ResourceError`."""
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error
    except Exception as error:
        # By name, because importing safetensors would cost every start of the command line.
        number = re.search(r"os error (\d+)", str(error))
        if type(error).__name__ != "SafetensorError" or number is None:
            raise
        raise _refusal(path, OSError(code := int(number[1]), os.strerror(code))) from error


def _refusal(path: str | os.PathLike[str], error: OSError) -> ResourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            f"The disk is full: '{path}' could not be written.",
            "Free some space or choose another --out; what was complete before is kept.",
        )
    folder = Path(path).parent
    if error.errno == errno.ENOENT and not folder.exists():
        return ResourceError(
            f"'{path}' cannot be written: the folder '{folder}' was moved, renamed or deleted.",
            "Move it back; a run that was moved is continued with --resume and its new --out.",
        )
    return ResourceError(
        f"'{path}' cannot be written: {error.strerror or error}.",
        "Choose a place that you may write to.",
    )


def writable_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a user chose for something new, if a file system can have it.

    Raises:
        RecipeError: It is empty, holds a NUL character, or one of its names is too long.
        ResourceError: A folder on the way to it may not be searched.

    Example:
        >>> writable_path("runs/ants").name
        'ants'
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        what = "holds a NUL character" if text else "is empty"
        raise RecipeError(f"The path {text!r} {what}.", "Name a folder, such as runs/first.")
    target = Path(text)
    for name in target.parts:
        if (length := len(os.fsencode(name))) > LONGEST_NAME - SUFFIX:
            raise RecipeError(
                f"The name '{name[:20]}…' has {length} bytes; at most {LONGEST_NAME - SUFFIX} "
                "can be written.",
                "Choose a shorter name.",
            )
    with wrap_os_errors(target):
        target.exists()
    return target


def readable_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a user gave to read from, which need not exist.

    Raises:
        RecipeError: It is empty or holds a NUL character.
        DataError: The system cannot follow it: a name is too long, a folder above may not be
            searched, or links lead in a circle.

    Example:
        >>> readable_path("")
        Traceback (most recent call last):
        graft.errors.RecipeError: The path '' is empty. Name a file or folder.
    """
    text = os.fspath(path)
    if not text or "\0" in text:
        what = "holds a NUL character" if text else "is empty"
        raise RecipeError(f"The path {text!r} {what}.", "Name a file or folder.")
    try:
        Path(text).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise DataError(
            f"'{text}' cannot be reached: {error.strerror}.",
            "Give a path that leads to a file or folder that you may read.",
        ) from error
    return Path(text)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed over `path`.

    On any error the temporary file is removed and the old content stays. The file gets the mode of
    an ordinary new one, whatever wrote it: safetensors makes its files private.

    Raises:
        ResourceError: The disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    target = Path(path)
    temporary = temporary_for(target)
    try:
        with wrap_os_errors(target):
            temporary.touch()
            mode = temporary.stat().st_mode  # 0666 without the umask, which only setting it tells
            yield temporary
            temporary.chmod(mode)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
            sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_for(target: Path) -> Path:
    """Return a new name beside `target` for what will take its place."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder; its subfolders are not entered.

    Only for whoever holds the folder: nobody else may be writing there.
    """
    for path in folder.glob(".*"):
        if TEMPORARY.fullmatch(path.name):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, as far as the system lets us."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an existing folder: one process, one thread at a time.

    The lock is advisory, on the folder itself, and the system releases it when the process ends,
    however it ends. Where a folder cannot be locked (Windows, some network file systems), it is an
    empty hidden file beside it; where nothing can, there is no lock.

    Raises:
        BlockingIOError: Somebody else holds it.
        OSError: The folder is not there, or may not be read.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with locked(folder), locked(folder):
        ...     pass
        Traceback (most recent call last):
        BlockingIOError: ...
    """
    place = folder.resolve(strict=True)
    beside = place.with_name(f".{place.name}.lock")
    descriptor = _lock(place) if sys.platform != "win32" else None
    own = descriptor is None
    if own:
        descriptor = _lock(beside, os.O_RDWR | os.O_CREAT | getattr(os, "O_TEMPORARY", 0))
    try:
        yield
    finally:
        if own:
            with contextlib.suppress(OSError):
                beside.unlink()
        if descriptor is not None:
            os.close(descriptor)


def _lock(path: Path, flags: int = os.O_RDONLY) -> int | None:
    """Return a locked descriptor of `path`; None where that cannot be."""
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno in NO_LOCKS:
                return None
            if sys.platform == "win32" and error.errno in (errno.EACCES, errno.EDEADLK):
                raise BlockingIOError(*error.args) from error
            raise
        os.close(descriptor)  # it was replaced or removed just before we had it


def sync_folder(folder: Path) -> None:
    """Make the renames inside `folder` durable, where the platform can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any, *, indent: int | None = None) -> bytes:
    r"""Return `value` as JSON in UTF-8 with a newline.

    A file name need not be valid text; what of it is none becomes a JSON escape. NaN and infinity
    are refused.

    Example:
        >>> to_json({"path": "caf\udce9.png"})
        b'{"path": "caf\\udce9.png"}\n'
    """
    return f"{json_text(value, indent=indent)}\n".encode()


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""Return `value` as JSON in which every character prints, whatever names hold.

    JSON itself lets pass what a terminal or an editor obeys: C1 controls, marks that turn the
    direction of reading, DEL, and what of a file name is no text. They become JSON escapes.

    Raises:
        ValueError: A number is NaN or infinite.

    Example:
        >>> print(json_text({"path": "caf\x9b31m\u202e\x1b[0m"}))
        {"path": "caf\u009b31m\u202e\u001b[0m"}
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    acting = {letter for letter in set(text) if letter != "\n" and not letter.isprintable()}
    if not acting:
        return text
    return text.translate({ord(letter): json.dumps(letter)[1:-1] for letter in acting})


def to_cell(text: str) -> str:
    r"""Return text for a cell of a CSV file, in which nothing can act.

    A spreadsheet takes a cell that begins with = + - or @ for a formula, even behind a separator
    inside another cell; a terminal obeys controls. These characters are written as their escapes,
    as in Python, and so is the backslash. `from_cell` gives the text back. Bytes of a file name
    that are no text stay as they are.

    Example:
        >>> print(to_cell("ants"), to_cell("=cmd()"), to_cell("-rf"), to_cell("a\x1b[31m;+1"))
        ants \u003dcmd() \u002drf a\x1b[31m;\u002b1
        >>> all(from_cell(to_cell(name)) == name for name in ("=1", "a\nb", "c:\\new", "'", "é"))
        True
    """
    escaped = "".join(map(_escaped, text))
    return _FORMULA.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)


def from_cell(cell: str) -> str:
    """Return the text that `to_cell` was given."""
    return _ESCAPE.sub(lambda found: found[0].encode("ascii").decode("unicode_escape"), cell)


def _escaped(letter: str) -> str:
    if letter == "\\" or not (letter.isprintable() or "\udc80" <= letter <= "\udcff"):
        return letter.encode("unicode_escape").decode()
    return letter


_FORMULA = re.compile(r"""(?:^|(?<=[;,"']))[=+@＝＋－＠-]""")
_ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(to_json(value, indent=2))
